// Moments in double: what blocks of sums become, how they merge, and the scale that follows. Plain C++.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "fastnorm/fastnorm.h"

namespace fastnorm {

// Count, mean as origin + rest, sum of squared deviations. The origin is a value near the mean: what is small then
// carries the digits. Not centred: both parts of the mean are zero.
struct Moments {
    double n, origin, rest, m2;
};

// Chan, Golub and LeVeque's exact update. An empty side leaves the other as it is.
inline Moments merge(const Moments& a, const Moments& b) {
    if (a.n == 0) return b;
    if (b.n == 0) return a;
    const double n = a.n + b.n;
    const double delta = (b.origin - a.origin) + (b.rest - a.rest);
    return {n, a.origin, a.rest + delta * (b.n / n), a.m2 + b.m2 + delta * delta * (a.n * (b.n / n))};
}

inline double merge(double a, double b) { return a + b; }

// Merges a sequence in the fixed tree: neighbours level by level, an odd last one moving up as it is. That tree is a
// binary counter, so any aligned power-of-two stretch may be merged beforehand without changing a bit.
template <class Value>
class Tree {
public:
    void add(Value value) {
        std::size_t level = 0;
        for (; (count_ >> level) & 1; ++level) value = merge(levels_[level], value);
        levels_[level] = value;
        ++count_;
    }
    Value result() const {
        Value value{};
        bool any = false;
        for (std::size_t level = 0; count_ >> level; ++level) {
            if (!((count_ >> level) & 1)) continue;
            value = any ? merge(levels_[level], value) : levels_[level];
            any = true;
        }
        return value;
    }

private:
    static_assert(std::is_trivially_default_constructible_v<Value>,
                  "clearing the levels would take longer than adding");

    std::size_t count_ = 0;
    Value levels_[64];
};

// Moments of n values from their sums about a pivot.
inline Moments from_sums(std::size_t count, double pivot, double s1, double s2, bool centred) {
    const auto n = static_cast<double>(count);
    if (!centred) return {n, 0, 0, s2};
    const double inverse_n = 1.0 / n;
    const double m2 = s2 - s1 * s1 * inverse_n;
    return {n, pivot, s1 * inverse_n, m2 < 0 ? 0 : m2};
}

inline bool is_centred(Statistic s) {
    return s != Statistic::mean_square && s != Statistic::norm && s != Statistic::clamped_norm;
}

// Whether the scale follows the second moment: then the gradient has a term of s2.
inline bool has_slope(Statistic s) { return s != Statistic::unit; }

// Those that kernels.group_statistics knows.
inline bool is_mean_of_squares(Statistic s) { return s == Statistic::variance || s == Statistic::mean_square; }

// The scale of a group, see fastnorm.h. 0 where nothing can be divided by.
inline double rstd(const Scale& scale, double m2, double n) {
    const auto inverse = [](double v) { return v == 0 ? 0.0 : 1.0 / v; };
    switch (scale.statistic) {
        case Statistic::norm: {
            const double norm = std::sqrt(m2 + scale.eps);
            return norm == 0 ? std::nan("") : 1.0 / norm;
        }
        case Statistic::std_unbiased:
            return inverse(std::sqrt(m2 / (n - 1)) + scale.eps);
        case Statistic::std_biased:
            return inverse(std::sqrt(m2 / n) + scale.eps);
        case Statistic::max:
            return inverse(std::sqrt(m2 > scale.eps || std::isnan(m2) ? m2 : scale.eps));
        case Statistic::unit:
            return 1.0;
        case Statistic::clamped_norm: {
            const double norm = std::sqrt(m2);
            return inverse(norm < scale.eps ? scale.eps : norm);
        }
        default:
            return inverse(std::sqrt(m2 * (1.0 / n) + scale.eps));
    }
}

}  // namespace fastnorm

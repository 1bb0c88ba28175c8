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
//
// Mean and deviations are those of the data divided by 2^exponent, which is exact. The exponent is 0 unless squares of
// the data would over- or underflow in double.
struct Moments {
    double n, origin, rest, m2;
    int exponent;
};

// Whether a sum of squares in the compute type has lost nothing to over- or underflow.
template <class C>
bool is_safe(double s2) {
    return sizeof(C) == 4 ? s2 >= 0x1p-80 && s2 <= 0x1p120 : s2 >= 0x1p-960 && s2 <= 0x1p1000;
}

// The exponent for data whose largest value is of order 2^order. Deviations of double data are either zero or at least
// 2^-53 of the largest value, so their squares fit, too.
inline int exponent_for(int order) { return order >= -400 && order <= 480 ? 0 : order; }

// The same moments of data divided by 2^exponent.
inline Moments rescaled(const Moments& m, int exponent) {
    const int by = m.exponent - exponent;
    if (by == 0) return m;
    return {m.n, std::ldexp(m.origin, by), std::ldexp(m.rest, by), std::ldexp(m.m2, 2 * by), exponent};
}
// Of the data as they are; m2 becomes 0 or infinite where double ends.
inline Moments unscaled(const Moments& m) { return rescaled(m, 0); }

// Chan, Golub and LeVeque's exact update for moments of one exponent.
inline Moments merge_alike(const Moments& a, const Moments& b, double delta) {
    const double n = a.n + b.n;
    return {n, a.origin, a.rest + delta * (b.n / n), a.m2 + b.m2 + delta * delta * (a.n * (b.n / n)), a.exponent};
}
inline double between(const Moments& a, const Moments& b) { return (b.origin - a.origin) + (b.rest - a.rest); }

// The same for any moments, at the exponent of the largest value.
inline Moments merge_scaled(const Moments& a, const Moments& b) {
    constexpr int kNone = -(1 << 20);
    int order = kNone;
    const bool finite = std::isfinite(a.origin + a.rest + a.m2) && std::isfinite(b.origin + b.rest + b.m2);
    const auto look = [&](double value, int exponent) {
        if (finite && value != 0) order = std::max(order, std::ilogb(value) + exponent);
    };
    for (const Moments* m : {&a, &b}) {
        look(m->origin, m->exponent), look(m->rest, m->exponent), look(std::sqrt(m->m2), m->exponent);
    }
    const int exponent = order != kNone ? exponent_for(order) : 0;
    const Moments left = rescaled(a, exponent), right = rescaled(b, exponent);
    return merge_alike(left, right, between(left, right));
}

// An empty side leaves the other as it is.
inline Moments merge(const Moments& a, const Moments& b) {
    if (a.n == 0) return b;
    if (b.n == 0) return a;
    const double delta = between(a, b);
    if (a.exponent == b.exponent && (delta == 0 || is_safe<double>(delta * delta))) return merge_alike(a, b, delta);
    return merge_scaled(a, b);
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

// n values merged in that tree.
template <class Value>
Value merged(const Value* values, std::size_t n) {
    Tree<Value> tree;
    for (std::size_t i = 0; i < n; ++i) tree.add(values[i]);
    return tree.result();
}

// Moments of n values from their sums about a pivot.
inline Moments from_sums(std::size_t count, double pivot, double s1, double s2, bool centred, int exponent = 0) {
    const auto n = static_cast<double>(count);
    if (!centred) return {n, 0, 0, s2, exponent};
    const double inverse_n = 1.0 / n;
    const double m2 = s2 - s1 * s1 * inverse_n;
    return {n, pivot, s1 * inverse_n, m2 < 0 ? 0 : m2, exponent};
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

inline double rstd(const Scale& scale, const Moments& m) {
    if (m.exponent == 0 || !has_slope(scale.statistic)) return rstd(scale, m.m2, m.n);
    // eps as it is for the scaled data: beside a standard deviation or norm, or beside a sum of squares.
    const bool deviation = scale.statistic == Statistic::std_unbiased || scale.statistic == Statistic::std_biased ||
                           scale.statistic == Statistic::clamped_norm;
    const double eps = std::ldexp(scale.eps, (deviation ? -1 : -2) * m.exponent);
    // What is nothing beside eps is not worth a scale.
    if (m.m2 == 0 || eps > 0x1p1000) return rstd(scale, unscaled(m).m2, m.n);
    return std::ldexp(rstd({scale.statistic, eps}, m.m2, m.n), -m.exponent);
}

}  // namespace fastnorm

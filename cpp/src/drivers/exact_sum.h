// Sums in double that keep their rounding errors.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace fastnorm {

// Adds v, and what is lost by that.
inline void add_exactly(double v, double& sum, double& lost) {
    const double total = sum + v, part = total - sum;
    lost += (sum - (total - part)) + (v - part);
    sum = total;
}

// A sum and what its additions lost.
struct ExactSum {
    double sum = 0, lost = 0;

    void add(double v) { add_exactly(v, sum, lost); }
    double value() const { return value(sum, lost); }
    // What an infinite sum lost is NaN.
    static double value(double sum, double lost) { return sum + (std::isnan(lost) ? 0.0 : lost); }
};

// Some of them side by side, which are added up in vectors.
class ExactSums {
public:
    explicit ExactSums(std::size_t n) : n_(n), sums_(2 * n) {}

    void add(std::size_t i, double v) { add_exactly(v, sums_[i], sums_[n_ + i]); }
    void add(std::size_t i, const ExactSums& other, std::size_t k) {
        add(i, other.sums_[k]);
        sums_[n_ + i] += other.sums_[other.n_ + k];
    }
    // n neighbours.
    void add(std::size_t first, std::size_t n, const double* values) {
        double *const sums = sums_.data() + first, *const lost = sums + n_;
        for (std::size_t i = 0; i < n; ++i) add_exactly(values[i], sums[i], lost[i]);
    }
    double value(std::size_t i) const { return ExactSum::value(sums_[i], sums_[n_ + i]); }
    // The first n.
    void values(std::size_t n, double* to) const {
        for (std::size_t i = 0; i < n; ++i) to[i] = value(i);
    }

private:
    std::size_t n_;
    std::vector<double> sums_;  // and behind all of them what they lost
};

struct ExactPairs {
    explicit ExactPairs(std::size_t n) : a(n), b(n) {}

    void add(std::size_t i, const ExactPairs& other, std::size_t k) { a.add(i, other.a, k), b.add(i, other.b, k); }

    ExactSums a, b;
};

}  // namespace fastnorm

// Sums in double that keep their rounding errors.
#pragma once

#include <cmath>

namespace fastnorm {

// A sum and what its additions lost.
struct ExactSum {
    double sum = 0, lost = 0;

    void add(double v) {
        const double total = sum + v, part = total - sum;
        lost += (sum - (total - part)) + (v - part);
        sum = total;
    }
    void add(const ExactSum& other) {
        add(other.sum);
        lost += other.lost;
    }
    double value() const { return std::isfinite(sum) ? sum + lost : sum; }
};

struct ExactPair {
    ExactSum a, b;

    void add(double u, double v) { a.add(u), b.add(v); }
    void add(const ExactPair& other) { a.add(other.a), b.add(other.b); }
};

}  // namespace fastnorm

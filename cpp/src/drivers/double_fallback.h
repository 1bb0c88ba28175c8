// Double arithmetic, element by element, for the blocks that the compute type cannot sum. Rare, so plain.
#pragma once

#include "kernels/table.h"
#include "statistics.h"

namespace fastnorm {

// Data of double are divided by a power of two where their squares would not fit.
template <class T>
Moments exact_moments(const T* x, std::size_t n, bool centred) {
    int exponent = 0;
    if constexpr (std::is_same_v<T, double>) {
        double largest = 0;
        for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
        if (largest > 0 && std::isfinite(largest)) exponent = exponent_for(std::ilogb(largest));
    }
    const auto value = [&](std::size_t i) {
        return exponent == 0 ? static_cast<double>(widen(x[i])) : std::ldexp(widen(x[i]), -exponent);
    };
    // Deviations from the first value are exactly zero if all are the same.
    const double first = centred ? value(0) : 0.0;
    double sum = 0;
    for (std::size_t i = 1; centred && i < n; ++i) sum += value(i) - first;
    const double pivot = first + sum / static_cast<double>(n);
    double s1 = 0, s2 = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double d = value(i) - pivot;
        s1 += d;
        s2 += d * d;
    }
    return from_sums(n, pivot, s1, s2, centred, exponent);
}

// The moments of block k from its sums, or from its elements where the sums are of no use.
template <class T>
Moments block_moments(const BlockSums& sums, std::size_t k, const T* x, std::size_t n, bool centred) {
    if (std::isnan(sums.s2[k])) return exact_moments(x, n, centred);
    return from_sums(n, sums.pivot[k], sums.s1[k], sums.s2[k], centred);
}

}  // namespace fastnorm

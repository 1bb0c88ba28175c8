// Double arithmetic, element by element, for the blocks that the compute type cannot sum. Rare, so plain.
#pragma once

#include "kernels/table.h"
#include "statistics.h"

namespace fastnorm {

template <class T>
Moments exact_moments(const T* x, std::ptrdiff_t step, std::size_t n, double origin, bool centred) {
    const auto size = static_cast<double>(n);
    double sum = 0;
    if (centred) {
        for (std::size_t i = 0; i < n; ++i) sum += widen(x[static_cast<std::ptrdiff_t>(i) * step]) - origin;
    }
    const double mean = sum / size;
    double s1 = 0, s2 = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double d = (widen(x[static_cast<std::ptrdiff_t>(i) * step]) - origin) - mean;
        s1 += d;
        s2 += d * d;
    }
    return from_sums(size, origin + mean, origin, s1, s2, centred);
}

// The moments of a block from its sums, or from the block where the sums are of no use.
template <class T>
Moments block_moments(const BlockSums& sums, const T* x, std::ptrdiff_t step, std::size_t n, double origin,
                      bool centred) {
    if (std::isnan(sums.s2)) return exact_moments(x, step, n, centred ? origin : 0.0, centred);
    return from_sums(static_cast<double>(n), sums.pivot, origin, sums.s1, sums.s2, centred);
}

}  // namespace fastnorm

// Double arithmetic, element by element, for the blocks that the compute type cannot sum. Rare, so plain.
#pragma once

#include "kernels/table.h"
#include "statistics.h"

namespace fastnorm {

template <class T>
Moments exact_moments(const T* x, std::size_t n, bool centred) {
    double sum = 0;
    for (std::size_t i = 0; centred && i < n; ++i) sum += widen(x[i]);
    const double pivot = sum / static_cast<double>(n);
    double s1 = 0, s2 = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double d = widen(x[i]) - pivot;
        s1 += d;
        s2 += d * d;
    }
    return from_sums(n, pivot, s1, s2, centred);
}

// The moments of block k from its sums, or from its elements where the sums are of no use.
template <class T>
Moments block_moments(const BlockSums& sums, std::size_t k, const T* x, std::size_t n, bool centred) {
    if (std::isnan(sums.s2[k])) return exact_moments(x, n, centred);
    return from_sums(n, sums.pivot[k], sums.s1[k], sums.s2[k], centred);
}

}  // namespace fastnorm

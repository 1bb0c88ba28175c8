// What one SIMD target offers for sums over panels of samples, besides products.
#pragma once

#include "table.h"

namespace fastnorm {

// Rows of contiguous lanes, centred as a Block is, to strips of kStrip<C> lanes which are `strip` elements apart.
template <class T, class C>
struct Strips {
    std::size_t rows, lanes;
    const T* from;
    std::ptrdiff_t from_row;
    C* to;
    std::ptrdiff_t strip;
    const C *h, *l;
};

template <class T, class C>
using PackStrips = void (*)(const Strips<T, C>&);

// to[lane][row] = from[row][lane]: rows of contiguous lanes become lanes of contiguous rows.
template <class C>
struct Transpose {
    std::size_t rows, lanes;
    const C* from;
    std::ptrdiff_t from_row;
    C* to;
    std::ptrdiff_t to_lane;
};

// to += the sums of columns: `count` rows, a multiple of kRowsApart, whose lanes are padded to whole vectors.
inline constexpr std::size_t kRowsApart = 4;

struct ColumnSums {
    std::size_t count, lanes;
    const double* from;
    std::ptrdiff_t from_row;
    double* to;
};

// The matrix kernels of every target are these.
struct SumKernels : MatrixKernels {
    void (*column_sums)(const ColumnSums&);

    PackStrips<float, double> pack_f32;
    PackStrips<double, double> pack_f64;
    PackStrips<BF16, double> pack_bf16;
    PackStrips<F16, double> pack_f16;

    template <class T>
    PackStrips<T, double> pack() const {
        if constexpr (std::is_same_v<T, double>) return pack_f64;
        if constexpr (std::is_same_v<T, float>) return pack_f32;
        if constexpr (std::is_same_v<T, BF16>) return pack_bf16;
        if constexpr (std::is_same_v<T, F16>) return pack_f16;
    }
    void (*transpose_f32)(const Transpose<float>&);
    void (*transpose_f64)(const Transpose<double>&);

    template <class C>
    auto transpose() const {
        if constexpr (std::is_same_v<C, float>) return transpose_f32;
        if constexpr (std::is_same_v<C, double>) return transpose_f64;
    }
};

inline const SumKernels& sum_kernels(const KernelTable& table) {
    return static_cast<const SumKernels&>(*table.matrices);
}

}  // namespace fastnorm

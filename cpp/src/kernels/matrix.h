// What one SIMD target offers for linear maps: single-threaded loops over raw pointers. Plain C++, no Highway.
#pragma once

#include <cstddef>

#include "shape/types.h"

namespace fastnorm {

// Columns of the right factor that are best stored together: three vectors of the longest kind, and a multiple of three
// of every other. Whole vectors are read, so that its rows are padded to a multiple of this.
template <class C>
inline constexpr std::size_t kStrip = 192 / sizeof(C);
// Rows of the left factor come in multiples of this, padded with anything.
inline constexpr std::size_t kTileRows = 8;

// c = a b, or c += a b: `rows` of `depth` elements times `lanes` columns, whose elements are neighbours. Each element
// of c is one chain of fused operations in the order of the depth, whatever the tiles and the vectors are.
template <class C>
struct Product {
    std::size_t rows, depth, lanes;
    const C* a;
    std::ptrdiff_t a_row, a_step;
    const C* b;
    std::ptrdiff_t b_step;
    C* c;
    std::ptrdiff_t c_row;
    bool add;
};

// A block of contiguous lanes on its way between memory and the matrices: (x - h) - l one way, x + h the other. The
// shift has one value per lane, or one per row.
template <class From, class To, class C>
struct Block {
    std::size_t rows, lanes;
    const From* from;
    std::ptrdiff_t from_row;
    To* to;
    std::ptrdiff_t to_row;
    const C *h, *l;
    bool shift_lanes;
};

// Data of type T, matrices of type C.
template <class T, class C>
struct BlockKernels {
    void (*read)(const Block<T, C, C>&);
    void (*write)(const Block<C, T, C>&);
};

struct MatrixKernels {
    void (*product_f32)(const Product<float>&);
    void (*product_f64)(const Product<double>&);
    BlockKernels<float, float> f32;
    BlockKernels<double, double> f64;
    BlockKernels<BF16, float> bf16;
    BlockKernels<F16, float> f16;
    BlockKernels<float, double> f32_wide;
    BlockKernels<BF16, double> bf16_wide;
    BlockKernels<F16, double> f16_wide;

    template <class C>
    auto product() const {
        if constexpr (std::is_same_v<C, float>) return product_f32;
        if constexpr (std::is_same_v<C, double>) return product_f64;
    }
    template <class T, class C>
    const BlockKernels<T, C>& of() const {
        constexpr bool wide = !std::is_same_v<C, Compute<T>>;
        if constexpr (std::is_same_v<T, double>) return f64;
        if constexpr (std::is_same_v<T, float> && !wide) return f32;
        if constexpr (std::is_same_v<T, float> && wide) return f32_wide;
        if constexpr (std::is_same_v<T, BF16> && !wide) return bf16;
        if constexpr (std::is_same_v<T, BF16> && wide) return bf16_wide;
        if constexpr (std::is_same_v<T, F16> && !wide) return f16;
        if constexpr (std::is_same_v<T, F16> && wide) return f16_wide;
    }
};

}  // namespace fastnorm

// What one SIMD target offers: single-threaded loops over raw pointers. Plain C++, no Highway.
#pragma once

#include <cstddef>

#include "matrix.h"
#include "shape/types.h"

namespace fastnorm {

// Micro-blocks: what is summed in the compute type before double takes over. Part of the determinism promise.
inline constexpr std::size_t kBlock = 1024;  // elements of a span
inline constexpr std::size_t kRows = 64;     // rows of columns

inline constexpr std::size_t kBatch = 64;  // blocks or rows that one kernel call reports about

// Sums of span blocks about their pivots: s1 = sum (x - pivot), s2 = sum (x - pivot)^2. s2 is NaN where the compute
// type cannot hold the squares.
struct BlockSums {
    double pivot[kBatch], s1[kBatch], s2[kBatch];
};

// Rows <= kBatch of contiguous lanes, and which of these count: those whose byte is not 0.
template <class T>
struct CountedRows {
    std::size_t rows, lanes;
    const T* x;
    std::ptrdiff_t x_row;
    const std::uint8_t* mask;
    std::ptrdiff_t mask_row;
};

// What follows from the sums of whole groups: see Moments and Coefficients, whose arithmetic this is, in vectors.
template <class C>
struct GroupStatistics {
    double *mean, *rstd, *m2;
    C *h, *l, *r;
};

// to = clamp(round(y / scale) + zero), rounded to even.
template <class C>
struct Quantizer {
    const C *scale, *zero;
    bool lanes;           // one of each for every lane
    C least, most;        // of the bytes
    bool within = false;  // whether the caller knows that all quotients are numbers and get bytes of their own
};

// Gradients beyond this size may overflow in sums in float, which double has to take over then.
inline constexpr double kLargeGradient = 0x1p100;

// s1 = sum dy*weight, s2 = sum dy*weight*xhat.
struct GradSums {
    double s1, s2;
};

// `rows` equally shaped spans of `lanes` contiguous elements; `*_row` steps are in elements.
template <class T>
struct Plane {
    using C = Compute<T>;
    std::size_t rows, lanes;
    const T* x;
    const T* dy;
    const T* added;  // to dx; nullptr is nothing
    T* y;            // y or dx
    std::ptrdiff_t x_row, dy_row, added_row, y_row;
    // Rows that are summed may go on in as many further runs of `lanes` elements, these steps apart.
    std::size_t more_runs;
    std::ptrdiff_t x_run, dy_run;

    // Of gradients without `added` and more runs: which elements count, those whose byte is not 0; nullptr is all. The
    // others are in no sum, and their dx is that of constant statistics.
    const std::uint8_t* mask;
    std::ptrdiff_t mask_row;

    // Statistics: mean = h + l, scale r; the input gradient's s1/n and s2/n. One value per lane, or one per row.
    const C *h, *l, *r, *c1, *c2;
    std::ptrdiff_t stat_row;
    bool stat_lanes;

    // Weight and bias, likewise.
    const C *w, *b;
    std::ptrdiff_t param_row;
    bool param_lanes;
    bool no_bias;  // all of b is the same: long rows leave the first cache no room for it
    Activation activation;

    // Whether to write past the caches: for outputs that would not stay in them. Rows must then be aligned to elements.
    bool stream;
    // Whether inputs have mostly left the caches, see comes_from_afar.
    bool far;
    // Whether rows follow one another in every operand, so that a vector may reach into the next row. Statistics and
    // parameters of lanes then go on behind the last lane for a vector, with those of the first lanes. That pays where
    // whole lines go past the caches; in them, rows alone are faster.
    bool flat;
    // After how many lanes statistics and parameters of lanes are the same again, if rows follow one another in every
    // operand; 0 is unknown.
    std::size_t period;
    // Elements from x to what is read next, to be fetched meanwhile; 0 is nothing.
    std::ptrdiff_t ahead;
};

template <class T>
struct Kernels {
    using C = Compute<T>;

    // Sums of count <= kBatch blocks of n <= kBlock elements, or of lengths[0], lengths[1], ... of them, `step`
    // elements apart. Not centred: the pivot is zero.
    void (*span_moments)(const T* x, std::ptrdiff_t step, std::size_t count, std::size_t n, const std::size_t* lengths,
                         bool centred, BlockSums& out);
    // The same of the elements that count of rows of at most kBlock, of which there are sizes[i]. s2 is NaN for those
    // whose sums are of no use: they have to be picked out.
    void (*counted_moments)(const CountedRows<T>& rows, bool centred, BlockSums& out, double* sizes);
    // Statistics of groups of n elements that are one block each, with rstd = (m2/n + eps)^-1/2. False if a group needs
    // another way: the compute type cannot hold its squares or its statistics.
    bool (*group_statistics)(const BlockSums& sums, std::size_t count, std::size_t n, bool centred, double eps,
                             const GroupStatistics<C>& out);
    // (values + eps)^-1/2 in place, 0 where that is infinite.
    void (*inverse_root)(double* values, std::size_t n, double eps);
    // Per lane the mean of the first rows, as many as the largest power of two <= min(rows, kRows).
    void (*column_pivots)(const T* x, std::ptrdiff_t step, std::size_t rows, std::size_t lanes, C* pivots);
    // Adds the sums about the pivots of rows <= kRows to s1 and s2.
    void (*column_moments)(const T* x, std::ptrdiff_t step, std::size_t rows, std::size_t lanes, const C* pivots,
                           double* s1, double* s2);
    // The same of elements that count.
    void (*counted_column_moments)(const CountedRows<T>& rows, const C* pivots, double* s1, double* s2);
    // y = act(z), z = ((x - h) - l) * r * w + b
    void (*normalize)(const Plane<T>&);
    // dx = r * (dy*w - c1 - xhat*c2) + added, or dy*r*w where it does not count
    void (*input_gradient)(const Plane<T>&);
    // y = dy * act'(z)
    void (*activation_gradient)(const Plane<T>&);
    // y = x + dy
    void (*add)(const Plane<T>&);
    // Copies past the caches.
    void (*stream)(const T* from, std::size_t n, T* to);
    // Rounds n values to bytes, see Quantization: of the scales and zero points one per value or one for all.
    void (*quantize)(const T* y, std::size_t n, const Quantizer<C>& by, std::uint8_t* to);
    // One GradSums a row of at most kBlock elements.
    void (*span_gradients)(const Plane<T>&, GradSums* out);
    // Adds the sums of rows <= kRows to s1 and s2, per lane.
    void (*column_gradients)(const Plane<T>&, double* s1, double* s2);
    // dx of rows <= kRows with statistics row by row and the weight lane by lane; adds dy and dy*xhat to s1, s2, per
    // lane. With an inverse of n, rows of at most kBlock elements are summed on the way: c1 = s1/n, 0 if not centred,
    // and c2 = s2/n. Else c1 and c2 are given. To write past the caches, rows must be a multiple of 64 bytes apart.
    // Returns how many rows are done: it stops before rows whose own sums do not fit into the compute type and, if dx
    // `overwrites` dy, before those with gradients so large that s1 and s2 might not.
    std::size_t (*row_gradients)(const Plane<T>&, double inverse, bool centred, bool overwrites, C* s1, C* s2);
    // Bytes that are not 0.
    std::size_t (*count_nonzero)(const std::uint8_t* mask, std::size_t n);
    // How many of rows < 256 count, per lane.
    void (*column_counts)(const std::uint8_t* mask, std::ptrdiff_t step, std::size_t rows, std::size_t lanes,
                          double* counts);
    // The elements of x that count, one after the other; returns how many. A vector more than these may be written.
    std::size_t (*compress)(const std::uint8_t* mask, std::size_t n, const T* x, T* to);
    // The least and the largest of n >= 1 values; NaN if one is.
    void (*row_range)(const T* row, std::size_t n, double* least, double* most);
    // The largest absolute value, or NaN.
    double (*row_largest)(const T* row, std::size_t n);
    // The values in the type that is computed in.
    void (*widen)(const T* from, std::size_t n, C* to);
};

struct KernelTable {
    const Kernels<float>* f32;
    const Kernels<double>* f64;
    const Kernels<BF16>* bf16;
    const Kernels<F16>* f16;
    const MatrixKernels* matrices;

    template <class T>
    const Kernels<T>& of() const {
        if constexpr (std::is_same_v<T, float>) return *f32;
        if constexpr (std::is_same_v<T, double>) return *f64;
        if constexpr (std::is_same_v<T, BF16>) return *bf16;
        if constexpr (std::is_same_v<T, F16>) return *f16;
    }
};

}  // namespace fastnorm

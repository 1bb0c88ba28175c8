// What one SIMD target offers for orthogonal factorizations in double: single-threaded loops over raw pointers.
#pragma once

#include "sums.h"

namespace fastnorm {

// Columns of a panel that is reflected at a time.
inline constexpr std::size_t kReflections = 16;

// Takes the columns of an upper triangular block of kReflections rows and of `count` rows below it, a multiple of 4, to
// the triangular factor of both. What was below becomes the V of Q = I - [I; V] t [I; V]', t being upper triangular.
struct Reflect {
    double* upper;
    std::ptrdiff_t upper_row;
    double* rows;
    std::ptrdiff_t row;
    std::size_t count;
    double* t;
};

// The sums of every target are these.
struct OrthogonalKernels : SumKernels {
    void (*reflect)(const Reflect&);
    // Rows of a multiple of kReflections elements.
    void (*pair_products)(const double* a, const double* b, std::size_t n, double* to);  // a*a, b*b, a*b, |a*b|
    void (*rotate)(double* a, double* b, std::size_t n, double cosine, double sine);     // c a - s b, s a + c b
};

inline const OrthogonalKernels& orthogonal_kernels(const KernelTable& table) {
    return static_cast<const OrthogonalKernels&>(*table.matrices);
}

}  // namespace fastnorm

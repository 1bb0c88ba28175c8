// Factorizations of samples in float64 that do not square their condition, by loops of our own: the same bits for every
// number of threads.
#pragma once

#include "fastnorm/fastnorm.h"

namespace fastnorm {

// The triangular factor R of a QR factorization: `upper` becomes that of itself, stacked on the centred samples of
// `space`, which has one axis of features and no groups. Its diagonal comes out non-negative, which makes it unique.
void triangular_factor(const Space& space, Input x, const double* centre, double* upper);

// Rotates the rows of a matrix, `step` doubles apart and padded with zeros to whole steps of 16, until they are
// orthogonal: the one-sided method of Jacobi, accurate whatever the sizes of the rows.
void orthogonal_rows(double* matrix, std::size_t rows, std::size_t columns, std::size_t step);

}  // namespace fastnorm

// Sums of products of features with a choice of the arithmetic.
#pragma once

#include "fastnorm/fastnorm.h"

namespace fastnorm {

// As fastnorm::comoments; `single` multiplies 16-bit and float data in float, 128 samples at a time. What leaves its
// range, or its normal numbers, is lost then.
void comoments(const Space& space, Input a, const double* centre_a, Input b, const double* centre_b, double* sums,
               double* totals, bool single);

}  // namespace fastnorm

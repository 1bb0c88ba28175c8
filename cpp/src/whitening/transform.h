// The map of features with a choice of the arithmetic.
#pragma once

#include "fastnorm/fastnorm.h"

namespace fastnorm {

// As fastnorm::transform; `wide` maps 16-bit and float data in double.
void transform(const Space& space, const LinearMap& map, Input x, const double* centre_x, Input dy,
               const double* centre_dy, Output y, bool wide);

}  // namespace fastnorm

// Normalization where only some elements count. Sums go through the kernels: rows or stretches that count whole as they
// are, others by way of tiles. Many groups are taken a part at a time, since sums take more room than small groups do.
#pragma once

#include "drivers/driver_call.h"

namespace fastnorm {

// `forward` and `backward` with a mask; there is data.
void masked_forward(const Space& space, Input x, Output y, const Parameters& parameters, Scale scale, Saved saved,
                    Input where);
void masked_backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                     const double* mean, const double* rstd, const Gradients& out, Input where, const double* count);

}  // namespace fastnorm

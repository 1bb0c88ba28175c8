// The kernels of the chosen SIMD target.
#pragma once

#include "kernels/table.h"

namespace fastnorm {

// Look it up once a call, so that a change of target never mixes targets within a call.
const KernelTable& kernels();

}  // namespace fastnorm

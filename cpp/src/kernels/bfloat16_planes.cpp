// The kernels that write planes of bfloat16 data.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bfloat16_planes.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_PLANES(, BF16);

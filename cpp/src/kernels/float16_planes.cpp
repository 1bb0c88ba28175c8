// The kernels that write planes of float16 data.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float16_planes.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_PLANES(, F16);

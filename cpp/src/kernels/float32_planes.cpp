// The kernels that write planes of float32 data.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float32_planes.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_PLANES(, float);

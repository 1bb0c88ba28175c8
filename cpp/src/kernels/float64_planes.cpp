// The kernels that write planes of float64 data.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float64_planes.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_PLANES(, double);

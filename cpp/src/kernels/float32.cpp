// The kernels for float32 data.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float32.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_DEFINE_KERNELS(float, kFloat32);

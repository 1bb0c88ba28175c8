// The table of kernels for float32 data, and those that add.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float32.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_DEFINE_KERNELS(float, kFloat32);

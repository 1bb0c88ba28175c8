// The table of kernels for float16 data, and those that add.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float16.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_DEFINE_KERNELS(F16, kFloat16);

// The table of kernels for bfloat16 data, and those that add.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bfloat16.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_DEFINE_KERNELS(BF16, kBFloat16);

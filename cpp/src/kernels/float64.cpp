// The table of kernels for float64 data, and those that add.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/float64.cpp"
#include "each-target.h"

#include "kernels-inl.h"

FASTNORM_DEFINE_KERNELS(double, kFloat64);

// Every kernel of bfloat16 data, for processors that round to it.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bfloat16_native.cpp"
#define FASTNORM_ROUNDS_TO_BFLOAT16
#include "each-target.h"

#include "kernels-inl.h"

#if FASTNORM_NATIVE_BF16
FASTNORM_DEFINE_KERNELS(BF16, kBFloat16);
FASTNORM_PLANES(, BF16);
#endif

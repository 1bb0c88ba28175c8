// Begins a unit that is compiled once per SIMD target. The unit defines HWY_TARGET_INCLUDE as its own name before.
// No include guard: Highway's foreach_target.h includes the unit again for each target, and so this file.

// One target per generation. Sizeless vectors (SVE, RVV) cannot be held in arrays, so those machines run NEON or plain
// C++. Of NEON, the form that every 64-bit Arm processor has: what the others add is not used here, and compilers for
// newer processors leave the plain HWY_NEON out. Releases before HWY_NEON_WITHOUT_AES have HWY_NEON alone.
#undef FASTNORM_OTHER_NEON
#define FASTNORM_OTHER_NEON (HWY_NEON_WITHOUT_AES != 0 ? (HWY_NEON | HWY_NEON_BF16) : 0)
// A unit that defines FASTNORM_ROUNDS_TO_BFLOAT16 is for processors that do (AVX512_BF16), and for nothing else but the
// baseline. All of them have what Highway calls AVX3_DL, and the one instruction is written out, so that its old
// releases do. Not where every processor that the compiler was told of has AVX-512: then Highway leaves the lesser
// targets out.
#include "hwy/detect_compiler_arch.h"
#undef FASTNORM_MAY_ROUND_TO_BFLOAT16
#if HWY_ARCH_X86_64 && !HWY_COMPILER_MSVC && !HWY_COMPILER_CLANGCL && !defined(__AVX512F__) && \
    !defined(FASTNORM_FEW_TARGETS)
#define FASTNORM_MAY_ROUND_TO_BFLOAT16 1
#else
#define FASTNORM_MAY_ROUND_TO_BFLOAT16 0
#endif
#undef FASTNORM_SIMD_OF_X86
#define FASTNORM_SIMD_OF_X86 \
    (HWY_SSE2 | HWY_SSSE3 | HWY_SSE4 | HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR)
#undef FASTNORM_OTHER_X86
#if defined(FASTNORM_FEW_TARGETS)
// For builds in which a compiler takes minutes for each: the one that is named, HWY_AVX2 or HWY_AVX3.
#define FASTNORM_OTHER_X86 (FASTNORM_SIMD_OF_X86 & ~FASTNORM_FEW_TARGETS)
#elif FASTNORM_MAY_ROUND_TO_BFLOAT16 && defined(FASTNORM_ROUNDS_TO_BFLOAT16)
#undef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#define FASTNORM_OTHER_X86 (FASTNORM_SIMD_OF_X86 & ~HWY_AVX3_DL)
#else
#define FASTNORM_OTHER_X86 (FASTNORM_SIMD_OF_X86 & ~(HWY_SSE4 | HWY_AVX2 | HWY_AVX3))
#endif
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (FASTNORM_OTHER_X86 | FASTNORM_OTHER_NEON | HWY_ALL_SVE | HWY_RVV)
// The baseline is plain C++ with every compiler. Most would get Highway's emulation of vectors of 16 bytes, which takes
// clang 20 minutes and 8 GB for one unit.
#undef HWY_BROKEN_EMU128
#define HWY_BROKEN_EMU128 1
#include "hwy/detect_targets.h"
// Older releases do not know all of these; the names above are read only after this point.
#ifndef HWY_SSE2
#define HWY_SSE2 0
#endif
#ifndef HWY_AVX3_ZEN4
#define HWY_AVX3_ZEN4 0
#endif
#ifndef HWY_AVX3_SPR
#define HWY_AVX3_SPR 0
#endif
#ifndef HWY_NEON_WITHOUT_AES
#define HWY_NEON_WITHOUT_AES 0
#endif
#ifndef HWY_NEON_BF16
#define HWY_NEON_BF16 0
#endif
#ifndef HWY_ALL_SVE
#define HWY_ALL_SVE (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif

// Whether there is that target, also where it is seen from units that are not compiled for it.
#undef FASTNORM_HAS_BFLOAT16_TARGET
#if FASTNORM_MAY_ROUND_TO_BFLOAT16 && (HWY_ATTAINABLE_TARGETS & (HWY_AVX3 | HWY_AVX3_DL))
#define FASTNORM_HAS_BFLOAT16_TARGET 1
#else
#define FASTNORM_HAS_BFLOAT16_TARGET 0
#endif

#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

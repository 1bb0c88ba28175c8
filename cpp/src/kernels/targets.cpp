// The kernels of every SIMD target, gathered from the units of the data types.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/targets.cpp"

#include "targets.h"
#include "each-target.h"

#include "orthogonal-inl.h"
#include "sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

extern const Kernels<float> kFloat32;
extern const Kernels<double> kFloat64;
extern const Kernels<BF16> kBFloat16;
extern const Kernels<F16> kFloat16;

constexpr OrthogonalKernels kMatrices{MakeSumKernels(), ReflectPanel, PairProducts, RotatePair};
constexpr KernelTable kTable{&kFloat32, &kFloat64, &kBFloat16, &kFloat16, &kMatrices};

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if FASTNORM_HAS_BFLOAT16_TARGET
#include <cpuid.h>
#endif

namespace fastnorm {

#if FASTNORM_HAS_BFLOAT16_TARGET
namespace N_AVX3_DL {
extern const Kernels<BF16> kBFloat16;
}
#endif

namespace {

#if FASTNORM_HAS_BFLOAT16_TARGET
constexpr KernelTable kRoundsToBFloat16{&N_AVX3::kFloat32, &N_AVX3::kFloat64, &N_AVX3_DL::kBFloat16, &N_AVX3::kFloat16,
                                        &N_AVX3::kMatrices};

// AMD's from Zen 4 on, Intel's from Sapphire Rapids on.
bool rounds_to_bfloat16() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5));
}
#endif

std::vector<Target> compiled_targets() {
    return {
#if FASTNORM_HAS_BFLOAT16_TARGET
        {rounds_to_bfloat16() ? HWY_AVX3_DL : 0, "AVX512_BF16", &kRoundsToBFloat16},
#endif
#if HWY_TARGETS & HWY_AVX3
        {HWY_AVX3, "AVX512", &N_AVX3::kTable},
#endif
#if HWY_TARGETS & HWY_AVX2
        {HWY_AVX2, "AVX2", &N_AVX2::kTable},
#endif
#if HWY_TARGETS & HWY_SSE4
        {HWY_SSE4, "SSE4", &N_SSE4::kTable},
#endif
#if HWY_TARGETS & HWY_NEON_WITHOUT_AES
        {HWY_NEON_WITHOUT_AES, "NEON", &N_NEON_WITHOUT_AES::kTable},
#endif
#if HWY_TARGETS & HWY_NEON
        {HWY_NEON, "NEON", &N_NEON::kTable},
#endif
#if HWY_TARGETS & HWY_SCALAR
        {HWY_SCALAR, "BASELINE", &N_SCALAR::kTable},
#endif
    };
}

}  // namespace

std::vector<Target> supported_targets() {
    std::vector<Target> targets;
    for (const Target& target : compiled_targets()) {
        if (hwy::SupportedTargets() & target.bit) targets.push_back(target);
    }
    // Whatever the compiler was told to take for granted runs here, named above or not.
    if (targets.empty()) {
        targets.push_back({HWY_STATIC_TARGET, hwy::TargetName(HWY_STATIC_TARGET), &HWY_STATIC_DISPATCH(kTable)});
    }
    return targets;
}

}  // namespace fastnorm
#endif  // HWY_ONCE

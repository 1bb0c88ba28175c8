// Compiled once per SIMD target: Highway's foreach_target.h includes this file again for each of them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/targets.cpp"

// One target per generation. Sizeless vectors (SVE, RVV) cannot be held in arrays, so those machines run NEON or plain C++.
#define HWY_DISABLED_TARGETS (HWY_SSE2 | HWY_SSSE3 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_ALL_SVE | HWY_RVV)
#include "targets.h"

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
#ifndef HWY_ALL_SVE
#define HWY_ALL_SVE (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif

#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

#include "gradients-inl.h"
#include "matrix-inl.h"
#include "moments-inl.h"
#include "statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class T>
constexpr Kernels<T> MakeKernels() {
    return {SpanMoments<T>, GroupStatisticsOf<T>, ColumnPivots<T>,  ColumnMoments<T>,
            Normalize<T>,   InputGradient<T>,     SpanGradients<T>, ColumnGradients<T>};
}

const KernelTable* Table() {
    static constexpr KernelTable table{MakeKernels<float>(), MakeKernels<double>(), MakeKernels<BF16>(),
                                       MakeKernels<F16>(), MakeMatrixKernels()};
    return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fastnorm {

std::vector<Target> compiled_targets() {
    return {
#if HWY_TARGETS & HWY_AVX3
        {HWY_AVX3, "AVX512", N_AVX3::Table()},
#endif
#if HWY_TARGETS & HWY_AVX2
        {HWY_AVX2, "AVX2", N_AVX2::Table()},
#endif
#if HWY_TARGETS & HWY_SSE4
        {HWY_SSE4, "SSE4", N_SSE4::Table()},
#endif
#if HWY_TARGETS & HWY_NEON
        {HWY_NEON, "NEON", N_NEON::Table()},
#endif
#if HWY_TARGETS & HWY_EMU128
        {HWY_EMU128, "BASELINE", N_EMU128::Table()},
#endif
#if HWY_TARGETS & HWY_SCALAR
        {HWY_SCALAR, "BASELINE", N_SCALAR::Table()},
#endif
    };
}

std::vector<Target> supported_targets() {
    std::vector<Target> targets;
    for (const Target& target : compiled_targets()) {
        if (hwy::SupportedTargets() & target.bit) targets.push_back(target);
    }
    return targets;
}

}  // namespace fastnorm
#endif  // HWY_ONCE

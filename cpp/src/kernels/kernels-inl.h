// Every kernel of one data type. A unit of its own for each type, so that they compile side by side.
#if defined(FASTNORM_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_KERNELS_INL_H_
#undef FASTNORM_KERNELS_INL_H_
#else
#define FASTNORM_KERNELS_INL_H_
#endif

#include "gradients-inl.h"
#include "masks-inl.h"
#include "moments-inl.h"
#include "statistics-inl.h"

// Constant-initialized: nothing that was compiled for a target may run before the machine is known to have it.
#undef FASTNORM_DEFINE_KERNELS
#define FASTNORM_DEFINE_KERNELS(T, name)                                                          \
    HWY_BEFORE_NAMESPACE();                                                                       \
    namespace fastnorm {                                                                          \
    namespace HWY_NAMESPACE {                                                                     \
    extern const Kernels<T> name;                                                                 \
    constexpr Kernels<T> name{                                                                    \
        SpanMoments<T>,   GroupStatisticsOf<T>,  ColumnPivots<T>, ColumnMoments<T>, Normalize<T>, \
        InputGradient<T>, ActivationGradient<T>, Add<T>,          StreamCopy<T>,    Quantize<T>,  \
        SpanGradients<T>, ColumnGradients<T>,    RowGradients<T>, Select<T>,        Compress<T>}; \
    }                                                                                             \
    }                                                                                             \
    HWY_AFTER_NAMESPACE()

#endif  // FASTNORM_KERNELS_INL_H_

// Every kernel of one data type. Units of their own for each type, so that they compile side by side.
#if defined(FASTNORM_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_KERNELS_INL_H_
#undef FASTNORM_KERNELS_INL_H_
#else
#define FASTNORM_KERNELS_INL_H_
#endif

#include "convert-inl.h"
#include "counted-inl.h"
#include "gradients-inl.h"
#include "masks-inl.h"
#include "moments-inl.h"
#include "range-inl.h"
#include "statistics-inl.h"

// The functions that write planes are compiled in a unit of their own, to halve the time and memory that each takes.
#undef FASTNORM_PLANES
#define FASTNORM_PLANES(EXTERN, T)                               \
    HWY_BEFORE_NAMESPACE();                                      \
    namespace fastnorm {                                         \
    namespace HWY_NAMESPACE {                                    \
    EXTERN template void Normalize<T>(const Plane<T>&);          \
    EXTERN template void InputGradient<T>(const Plane<T>&);      \
    EXTERN template void ActivationGradient<T>(const Plane<T>&); \
    EXTERN template void Add<T>(const Plane<T>&);                \
    }                                                            \
    }                                                            \
    HWY_AFTER_NAMESPACE()

// Constant-initialized: nothing that was compiled for a target may run before the machine is known to have it.
#undef FASTNORM_DEFINE_KERNELS
#define FASTNORM_DEFINE_KERNELS(T, name)               \
    FASTNORM_PLANES(extern, T);                        \
    HWY_BEFORE_NAMESPACE();                            \
    namespace fastnorm {                               \
    namespace HWY_NAMESPACE {                          \
    extern const Kernels<T> name;                      \
    constexpr Kernels<T> name{SpanMoments<T>,          \
                              CountedMoments<T>,       \
                              GroupStatisticsOf<T>,    \
                              InverseRoot<T>,          \
                              ColumnPivots<T>,         \
                              ColumnMoments<T>,        \
                              CountedColumnMoments<T>, \
                              Normalize<T>,            \
                              InputGradient<T>,        \
                              ActivationGradient<T>,   \
                              Add<T>,                  \
                              StreamCopy<T>,           \
                              Quantize<T>,             \
                              SpanGradients<T>,        \
                              ColumnGradients<T>,      \
                              RowGradients<T>,         \
                              CountNonzero,            \
                              ColumnCounts,            \
                              Compress<T>,             \
                              RowRange<T>,             \
                              RowLargest<T>,           \
                              Widen<T>};               \
    }                                                  \
    }                                                  \
    HWY_AFTER_NAMESPACE()

#endif  // FASTNORM_KERNELS_INL_H_

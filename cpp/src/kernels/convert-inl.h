// Values in the type that is computed in.
#if defined(FASTNORM_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_CONVERT_INL_H_
#undef FASTNORM_CONVERT_INL_H_
#else
#define FASTNORM_CONVERT_INL_H_
#endif

#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class T>
void Widen(const T* from, std::size_t n, Compute<T>* to) {
    const Tag<T> d;
    ForVectors<Virtual<std::remove_const_t<decltype(d)>>::kN>(
        n, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            StoreSome<kFull>(LoadSome<kFull>(d, from + i, count), d, to + i, count);
        });
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_CONVERT_INL_H_

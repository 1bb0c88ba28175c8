// The least and the largest value of a row.
#if defined(FASTNORM_RANGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_RANGE_INL_H_
#undef FASTNORM_RANGE_INL_H_
#else
#define FASTNORM_RANGE_INL_H_
#endif

#include <limits>

#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// NaN, both, if there is one.
template <class T>
void RowRange(const T* row, std::size_t n, double* least, double* most) {
    const Tag<T> d;
    using V = hn::Vec<decltype(d)>;
    const V first = hn::Set(d, static_cast<Compute<T>>(widen(row[0])));
    V low = first, high = first;
    auto nan = hn::IsNaN(first);
    ForVectors<Virtual<std::remove_const_t<decltype(d)>>::kN>(
        n, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
            const V v = decltype(full)::value ? LoadLanes(d, row + i) : LoadTail(d, row + i, count, first);
            low = hn::Min(low, v), high = hn::Max(high, v);
            nan = hn::Or(nan, hn::IsNaN(v));
        });
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    HWY_ALIGN Compute<T> lows[kN];
    HWY_ALIGN Compute<T> highs[kN];
    hn::Store(low, d, lows);
    hn::Store(high, d, highs);
    for (std::size_t half = kN / 2; half > 0; half /= 2) {
        for (std::size_t k = 0; k < half; ++k) {
            lows[k] = std::min(lows[k], lows[k + half]), highs[k] = std::max(highs[k], highs[k + half]);
        }
    }
    const bool any = !hn::AllFalse(d, nan);
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    *least = any ? unknown : static_cast<double>(lows[0]);
    *most = any ? unknown : static_cast<double>(highs[0]);
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_RANGE_INL_H_

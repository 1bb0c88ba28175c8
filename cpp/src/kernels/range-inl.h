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
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    const V first = hn::Set(d, static_cast<Compute<T>>(widen(row[0])));
    V low = first, high = first, other_low = first, other_high = first;
    auto nan = hn::IsNaN(first);
    std::size_t begin = 0;
    for (; begin + 2 * kN <= n; begin += 2 * kN) {
        const V v = LoadLanes(d, row + begin), other = LoadLanes(d, row + begin + kN);
        low = hn::Min(low, v), high = hn::Max(high, v);
        other_low = hn::Min(other_low, other), other_high = hn::Max(other_high, other);
        nan = hn::Or(nan, hn::Or(hn::IsNaN(v), hn::IsNaN(other)));
    }
    ForVectors<kN>(n - begin, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        const T* const from = row + begin + i;
        const V v = decltype(full)::value ? LoadLanes(d, from) : LoadTail(d, from, count, first);
        low = hn::Min(low, v), high = hn::Max(high, v);
        nan = hn::Or(nan, hn::IsNaN(v));
    });
    low = hn::MinOfLanes(d, hn::Min(low, other_low)), high = hn::MaxOfLanes(d, hn::Max(high, other_high));
    const bool any = !hn::AllFalse(d, nan);
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    *least = any ? unknown : static_cast<double>(hn::GetLane(low));
    *most = any ? unknown : static_cast<double>(hn::GetLane(high));
}

// The largest absolute value of a row, NaN if there is one: as whole numbers, where NaN is above infinity.
template <class T>
double RowLargest(const T* row, std::size_t n) {
    using C = Compute<T>;
    const Tag<T> d;
    const hn::RebindToSigned<Tag<T>> whole;
    constexpr std::size_t kN = Virtual<Tag<T>>::kN;
    auto largest = hn::Zero(whole), other = hn::Zero(whole);
    std::size_t begin = 0;
    for (; begin + 2 * kN <= n; begin += 2 * kN) {
        largest = hn::Max(largest, hn::BitCast(whole, hn::Abs(LoadLanes(d, row + begin))));
        other = hn::Max(other, hn::BitCast(whole, hn::Abs(LoadLanes(d, row + begin + kN))));
    }
    ForVectors<kN>(n - begin, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        const T* const from = row + begin + i;
        const auto v = decltype(full)::value ? LoadLanes(d, from) : LoadTail(d, from, count, hn::Zero(d));
        largest = hn::Max(largest, hn::BitCast(whole, hn::Abs(v)));
    });
    const auto bits = hn::MaxOfLanes(whole, hn::Max(largest, other));
    return static_cast<double>(static_cast<C>(hn::GetLane(hn::BitCast(d, bits))));
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_RANGE_INL_H_

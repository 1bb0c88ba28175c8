// From sums of blocks to the statistics of groups: double arithmetic, a vector of groups at a time. Rows of some dozen
// elements would otherwise spend more time here than on their data. The same operations in the same order as
// Moments, rstd and Coefficients.
#if defined(FASTNORM_STATISTICS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_STATISTICS_INL_H_
#undef FASTNORM_STATISTICS_INL_H_
#else
#define FASTNORM_STATISTICS_INL_H_
#endif

#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class D>
HWY_INLINE void StoreNarrow(hn::Vec<D> v, D d, double* p) {
    hn::StoreU(v, d, p);
}
template <class D>
HWY_INLINE void StoreNarrow(hn::Vec<D> v, D, float* p) {
    const hn::Rebind<float, D> narrow;
    hn::StoreU(hn::DemoteTo(narrow, v), narrow, p);
}
template <class C, class D>
HWY_INLINE hn::Vec<D> Rounded(hn::Vec<D> v, D d) {
    if constexpr (sizeof(C) == 8) {
        (void)d;
        return v;
    } else {
        return hn::PromoteTo(d, hn::DemoteTo(hn::Rebind<float, D>(), v));
    }
}

// Arrays are kBatch long, so whole vectors may be computed past `count`.
template <class T>
bool GroupStatisticsOf(const BlockSums& sums, std::size_t count, std::size_t n, bool centred, double eps,
                       const GroupStatistics<Compute<T>>& out) {
    using C = Compute<T>;
    const hn::CappedTag<double, 8> d;
    constexpr std::size_t kN = hn::MaxLanes(decltype(d)());
    static_assert(kBatch % kN == 0);
    const auto inverse_n = hn::Set(d, 1.0 / static_cast<double>(n)), zero = hn::Zero(d), one = hn::Set(d, 1.0);
    // The bounds of is_extreme. A NaN of the data itself also takes the other way.
    const auto least = hn::Set(d, sizeof(C) == 4 ? 0x1p-100 : 0.0);
    const auto most = hn::Set(d, sizeof(C) == 4 ? 0x1p100 : std::numeric_limits<double>::max());
    const auto far = hn::Set(d, sizeof(C) == 4 ? 0x1p126 : 0x1p1000);
    bool ordinary = true;
    for (std::size_t i = 0; i < count; i += kN) {
        const auto s1 = hn::LoadU(d, sums.s1 + i), s2 = hn::LoadU(d, sums.s2 + i);
        const auto pivot = hn::LoadU(d, sums.pivot + i);
        const auto rest = centred ? hn::Mul(s1, inverse_n) : zero;
        const auto m2 = centred ? hn::Sub(s2, hn::Mul(hn::Mul(s1, s1), inverse_n)) : s2;
        const auto clipped = hn::IfThenElse(hn::Lt(m2, zero), zero, m2);
        const auto root = hn::Sqrt(hn::Add(hn::Mul(clipped, inverse_n), hn::Set(d, eps)));
        const auto empty = hn::Eq(root, zero);
        const auto rstd = hn::IfThenElse(empty, zero, hn::Div(one, root));
        const auto mean = hn::Add(pivot, rest);
        const auto h = Rounded<C>(mean, d);
        hn::StoreU(mean, d, out.mean + i);
        hn::StoreU(rstd, d, out.rstd + i);
        hn::StoreU(clipped, d, out.m2 + i);
        StoreNarrow(h, d, out.h + i);
        StoreNarrow(hn::Add(hn::Sub(pivot, h), rest), d, out.l + i);
        StoreNarrow(rstd, d, out.r + i);
        const auto fine =
            hn::And(hn::Or(empty, hn::And(hn::Ge(rstd, least), hn::Le(rstd, most))), hn::Le(hn::Abs(mean), far));
        const std::size_t some = count - i < kN ? count - i : kN;
        ordinary = ordinary && hn::CountTrue(d, hn::And(fine, hn::FirstN(d, some))) == some;
    }
    return ordinary;
}

// 0 in place of an infinity, as where a variance and eps are 0.
template <class T>
void InverseRoot(double* values, std::size_t n, double eps) {
    const Tag<double> d;
    const auto one = hn::Set(d, 1.0), most = hn::Set(d, std::numeric_limits<double>::max());
    ForVectors<Virtual<std::remove_const_t<decltype(d)>>::kN>(
        n, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            const auto root = hn::Sqrt(hn::Add(LoadSome<kFull>(d, values + i, count), hn::Set(d, eps)));
            const auto inverse = hn::Div(one, root);
            StoreSome<kFull>(hn::IfThenZeroElse(hn::Gt(hn::Abs(inverse), most), inverse), d, values + i, count);
        });
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_STATISTICS_INL_H_

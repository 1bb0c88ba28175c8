// Moments of spans and columns about a sampled pivot, in one sweep.
//
//     pivot p = mean of a sample      d = x - p      s1 = sum d      s2 = sum d*d
//     unless s1^2 <= n*s2/4: the sample was not typical; p += s1/n and sweep once more
//
// The guard keeps s2 - s1^2/n, the caller's next step, from cancelling more than a quarter of s2. It depends on the
// block's own data only. A constant block gives d = 0 exactly.
#if defined(FASTNORM_MOMENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_MOMENTS_INL_H_
#undef FASTNORM_MOMENTS_INL_H_
#else
#define FASTNORM_MOMENTS_INL_H_
#endif

#include <limits>

#include "reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class D, class T>
struct Deviations {
    D d;
    const T* x;
    hn::Vec<D> pivot;

    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(std::size_t i, std::size_t n) const {
        // Lanes behind the end load as the pivot and so deviate by zero.
        const auto v = hn::Sub(kFull ? LoadLanes(d, x + i) : LoadTail(d, x + i, n, pivot), pivot);
        return {v, v};
    }
};

// Mean of the first 64 elements, or of all if there are fewer.
template <class D, class T>
HWY_INLINE hn::TFromD<D> SamplePivot(D d, const T* x, std::size_t n) {
    using L = Virtual<D>;
    constexpr std::size_t kSample = 64;
    const std::size_t sample = std::min(n, kSample);
    hn::Vec<D> sum[L::kParts];
    Unroll<L::kParts>([&](auto part) FASTNORM_LAMBDA {
        sum[part] = hn::Zero(d);
        for (std::size_t at = part * L::kN; at < sample; at += L::kLanes) {
            const auto v = at + L::kN <= sample ? LoadLanes(d, x + at) : LoadTail(d, x + at, sample - at, hn::Zero(d));
            sum[part] = hn::Add(sum[part], v);
        }
    });
    return static_cast<hn::TFromD<D>>(static_cast<double>(LaneSum(d, sum)) / static_cast<double>(sample));
}

template <class D, class T>
HWY_INLINE bool AllEqual(D d, const T* x, std::size_t n, hn::Vec<D> value) {
    bool equal = true;
    ForVectors<Virtual<D>::kN>(n, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        const auto v = decltype(full)::value ? LoadLanes(d, x + i) : LoadTail(d, x + i, count, value);
        equal = equal && hn::AllTrue(d, hn::Eq(v, value));
    });
    return equal;
}

template <class T>
void SpanMoments(const T* x, std::ptrdiff_t step, std::size_t count, std::size_t n, bool centred, BlockSums& out) {
    const Tag<T> d;
    using C = Compute<T>;
    // Squares outside of this range may have lost bits; a sum of zero is exact only if all deviations are zero.
    constexpr double kLeast = sizeof(C) == 4 ? 0x1p-80 : 0x1p-960;
    constexpr double kMost = sizeof(C) == 4 ? 0x1p120 : 0x1p1000;
    const double size = static_cast<double>(n);
    for (std::size_t k = 0; k < count; ++k, x += step) {
        C pivot = centred ? SamplePivot(d, x, n) : C(0);
        C s1, s2;
        SpanSums(d, n, Deviations<decltype(d), T>{d, x, hn::Set(d, pivot)}, s1, s2);
        if (centred && !(double{s1} * s1 <= 0.25 * size * s2)) {
            pivot = static_cast<C>(pivot + s1 / size);
            SpanSums(d, n, Deviations<decltype(d), T>{d, x, hn::Set(d, pivot)}, s1, s2);
        }
        double square = s2;
        if (!(square >= kLeast && square <= kMost) && !(square == 0 && AllEqual(d, x, n, hn::Set(d, pivot)))) {
            square = std::numeric_limits<double>::quiet_NaN();
        }
        out.pivot[k] = pivot, out.s1[k] = s1, out.s2[k] = square;
    }
}

template <class T>
void ColumnPivots(const T* x, std::ptrdiff_t step, std::size_t rows, std::size_t lanes, Compute<T>* pivots) {
    const Tag<T> d;
    constexpr std::size_t kN = Virtual<decltype(d)>::kN;
    std::size_t sample = kRows;
    while (sample > rows) sample /= 2;
    const auto scale = hn::Set(d, static_cast<Compute<T>>(1.0 / static_cast<double>(sample)));
    ForVectors<kN>(lanes, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        constexpr bool kFull = decltype(full)::value;
        // A power-of-two tree adds equal values exactly: level k of the carry holds the sum of 2^k rows.
        hn::Vec<decltype(d)> carry[8];
        for (std::size_t row = 0; row < sample; ++row) {
            auto sum = LoadSome<kFull>(d, x + static_cast<std::ptrdiff_t>(row) * step + i, count);
            std::size_t level = 0;
            for (; (row >> level) & 1; ++level) sum = hn::Add(carry[level], sum);
            carry[level] = sum;
        }
        std::size_t top = 0;
        while ((std::size_t{1} << top) < sample) ++top;
        StoreSome<kFull>(hn::Mul(carry[top], scale), d, pivots + i, count);
    });
}

template <class D, class T>
struct ColumnDeviations {
    D d;
    const T* x;
    std::ptrdiff_t step;
    const hn::TFromD<D>* pivots;

    template <bool kFull>
    HWY_INLINE hn::Vec<D> Lane(std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, pivots + i, n);
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(hn::Vec<D> pivot, std::size_t row, std::size_t i, std::size_t n) const {
        const auto v = hn::Sub(LoadSome<kFull>(d, x + static_cast<std::ptrdiff_t>(row) * step + i, n), pivot);
        return {v, v};
    }
};

template <class T>
void ColumnMoments(const T* x, std::ptrdiff_t step, std::size_t rows, std::size_t lanes, const Compute<T>* pivots,
                   double* s1, double* s2) {
    const Tag<T> d;
    ColumnSums(d, rows, lanes, ColumnDeviations<decltype(d), T>{d, x, step, pivots}, s1, s2);
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_MOMENTS_INL_H_

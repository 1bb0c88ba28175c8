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
    static constexpr bool kTailApart = false;
    D d;
    const T* x;
    hn::Vec<D> pivot;

    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(std::size_t i, std::size_t n) const {
        // Lanes behind the end load as the pivot and so deviate by zero.
        const auto v = hn::Sub(kFull ? LoadLanes(d, x + i) : LoadTail(d, x + i, n, pivot), pivot);
        return {v, v};
    }
    HWY_INLINE void Next() {}  // moments are those of one run
};

inline constexpr std::size_t kSample = 64;

// The sum of the first elements about a pivot of zero.
template <class D, class Source>
HWY_INLINE void SampleSum(D d, const Source& source, std::size_t sample, hn::TFromD<D>* folded) {
    using L = Virtual<D>;
    hn::Vec<D> sums[L::kParts];
    ForParts<D>([&](auto part) FASTNORM_LAMBDA {
        sums[part] = hn::Zero(d);
        for (std::size_t at = part * L::kN; at < sample; at += L::kLanes) {
            const auto v =
                at + L::kN <= sample ? source.template At<true>(at, L::kN).u : TailOf<D>(source, at, sample - at).u;
            sums[part] = hn::Add(sums[part], v);
        }
    });
    FoldParts(d, sums, folded);
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

// Squares outside of this range may have lost bits.
template <class C>
HWY_INLINE bool IsSafe(double s2) {
    constexpr double kLeast = sizeof(C) == 4 ? 0x1p-80 : 0x1p-960, kMost = sizeof(C) == 4 ? 0x1p120 : 0x1p1000;
    return static_cast<bool>(static_cast<int>(s2 >= kLeast) & static_cast<int>(s2 <= kMost));
}

HWY_INLINE bool IsTypical(double n, double s1, double s2) { return s1 * s1 <= 0.25 * n * s2; }

// What blocks whose sums failed a guard need: another sweep with a better pivot, a mark that squares are lost. Rare, so
// kept out of the loop that needs the registers.
template <class T>
HWY_NOINLINE void RepairSums(const T* x, std::size_t n, bool centred, double& pivot, double& s1, double& s2) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    const auto size = static_cast<double>(n);
    if (centred && !IsTypical(size, s1, s2)) {
        pivot = static_cast<Compute<T>>(pivot + s1 * (1.0 / size));
        const auto at = hn::Set(d, static_cast<Compute<T>>(pivot));
        Folded<D> fold1{}, fold2{};
        SpanSums(d, n, Deviations<D, T>{d, x, at}, fold1.row(0), fold2.row(0));
        Compute<T> again[kFoldedRows];
        fold1.Sum(again), s1 = again[0];
        fold2.Sum(again), s2 = again[0];
    }
    // A sum of zero is exact only if all deviations are zero.
    if (!IsSafe<Compute<T>>(s2) && !(s2 == 0 && AllEqual(d, x, n, hn::Set(d, static_cast<Compute<T>>(pivot))))) {
        s2 = std::numeric_limits<double>::quiet_NaN();
    }
}

// Means of the first elements of every block, sample(k) of them.
template <class D, class T, class F>
HWY_INLINE void SpanPivots(D d, const T* x, std::ptrdiff_t step, std::size_t count, const F& sample,
                           Compute<T>* pivots) {
    using C = Compute<T>;
    for (std::size_t first = 0; first < count; first += kFoldedRows) {
        Folded<D> fold{};
        C sums[kFoldedRows];
        const std::size_t rows = std::min(kFoldedRows, count - first);
        for (std::size_t k = 0; k < rows; ++k, x += step) {
            SampleSum(d, Deviations<D, T>{d, x, hn::Zero(d)}, sample(first + k), fold.row(k));
        }
        fold.Sum(sums);
        for (std::size_t k = 0; k < kFoldedRows; ++k) {
            const double n = static_cast<double>(sample(std::min(first + k, count - 1)));
            pivots[first + k] = static_cast<C>(sums[k] * (1.0 / n));
        }
    }
}

// Step by step for all blocks, since the steps of one block wait for one another: sample, sweep, guard. Sums across
// lanes are those of four blocks at a time.
template <class T>
void SpanMoments(const T* x, std::ptrdiff_t step, std::size_t count, std::size_t most, const std::size_t* lengths,
                 bool centred, BlockSums& out) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    using C = Compute<T>;
    const auto row = [&](std::size_t k) FASTNORM_LAMBDA { return x + static_cast<std::ptrdiff_t>(k) * step; };
    const auto n = [&](std::size_t k) FASTNORM_LAMBDA { return lengths ? lengths[k] : most; };
    C pivot[kBatch], s1[kBatch], s2[kBatch];
    if (!centred) {
        std::fill_n(pivot, count, C(0));
    } else if (!lengths && most >= kSample) {
        SpanPivots(d, x, step, count, [](std::size_t) FASTNORM_LAMBDA { return kSample; }, pivot);
    } else {
        SpanPivots(d, x, step, count, [&](std::size_t k) FASTNORM_LAMBDA { return std::min(n(k), kSample); }, pivot);
    }
    for (std::size_t first = 0; first < count; first += kFoldedRows) {
        Folded<D> fold1{}, fold2{};
        const std::size_t rows = std::min(kFoldedRows, count - first);
        for (std::size_t k = 0; k < rows; ++k) {
            const Deviations<D, T> deviations{d, row(first + k), hn::Set(d, pivot[first + k])};
            SpanSums(d, n(first + k), deviations, fold1.row(k), fold2.row(k));
        }
        fold1.Sum(s1 + first);
        fold2.Sum(s2 + first);
    }
    int fine = 1;
    for (std::size_t i = 0; i < count; ++i) {
        const double sum = s1[i], square = s2[i];
        fine &= static_cast<int>(!centred) | static_cast<int>(IsTypical(static_cast<double>(n(i)), sum, square));
        fine &= static_cast<int>(IsSafe<C>(square));
        out.pivot[i] = pivot[i], out.s1[i] = sum, out.s2[i] = square;
    }
    for (std::size_t i = 0; !fine && i < count; ++i) {
        RepairSums(row(i), n(i), centred, out.pivot[i], out.s1[i], out.s2[i]);
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
    static constexpr bool kTailApart = false;
    using Element = T;
    static constexpr bool kStream = false;
    D d;
    const T* x;
    std::ptrdiff_t step;
    const hn::TFromD<D>* pivots;

    template <bool kFull>
    HWY_INLINE hn::Vec<D> Lane(std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, pivots + i, n);
    }
    HWY_INLINE ColumnDeviations From(std::size_t lane) const { return {d, x + lane, step, pivots + lane}; }
    HWY_INLINE const T* Row(std::size_t row) const { return x + static_cast<std::ptrdiff_t>(row) * step; }
    template <bool kFull>
    HWY_INLINE hn::Vec<D> Read(const T* row, std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, row + i, n);
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(hn::Vec<D> pivot, const T*, hn::Vec<D> x, std::size_t, std::size_t) const {
        const auto v = hn::Sub(x, pivot);
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

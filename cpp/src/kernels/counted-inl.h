// Moments of the elements that count, where they are: along rows and down columns, see moments-inl.h.
#if defined(FASTNORM_COUNTED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_COUNTED_INL_H_
#undef FASTNORM_COUNTED_INL_H_
#else
#define FASTNORM_COUNTED_INL_H_
#endif

#include "hwy/cache_control.h"
#include "masks-inl.h"
#include "moments-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// Of one run; what does not count deviates by zero.
template <class D, class T>
struct CountedDeviations {
    static constexpr bool kTailApart = true;
    D d;
    const T* x;
    const std::uint8_t* mask;
    hn::Vec<D> pivot;

    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(std::size_t i, std::size_t n) const {
        const auto v = hn::Sub(LoadSome<kFull>(d, x + i, n), pivot);
        const auto counted = hn::IfThenElseZero(Counts<kFull>(d, mask + i, n), v);
        return {counted, counted};
    }
    HWY_INLINE void Next() {}
};

template <class T>
void CountedMoments(const CountedRows<T>& rows, bool centred, BlockSums& out, double* sizes) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    using C = Compute<T>;
    const auto source = [&](std::size_t k, C pivot) FASTNORM_LAMBDA {
        const auto at = static_cast<std::ptrdiff_t>(k);
        return CountedDeviations<D, T>{d, rows.x + at * rows.x_row, rows.mask + at * rows.mask_row, hn::Set(d, pivot)};
    };
    const std::size_t n = rows.lanes, sample = std::min(n, kSample);
    C s1[kBatch], s2[kBatch];
    for (std::size_t first = 0; first < rows.rows; first += kFoldedRows) {
        const std::size_t some = std::min(kFoldedRows, rows.rows - first);
        C pivot[kFoldedRows] = {};
        if (centred) {
            Folded<D> fold{};
            for (std::size_t k = 0; k < some; ++k) SampleSum(d, source(first + k, 0), sample, fold.row(k));
            fold.Sum(pivot);
            for (std::size_t k = 0; k < some; ++k) {
                const std::size_t counted = CountNonzero(source(first + k, 0).mask, sample);
                pivot[k] = static_cast<C>(pivot[k] * (1.0 / static_cast<double>(std::max<std::size_t>(1, counted))));
            }
        }
        Folded<D> fold1{}, fold2{};
        for (std::size_t k = 0; k < some; ++k) SpanSums(d, n, source(first + k, pivot[k]), fold1.row(k), fold2.row(k));
        fold1.Sum(s1 + first);
        fold2.Sum(s2 + first);
        for (std::size_t k = 0; k < some; ++k) out.pivot[first + k] = pivot[k];
    }
    for (std::size_t i = 0; i < rows.rows; ++i) {
        const double sum = s1[i], square = s2[i];
        sizes[i] = static_cast<double>(CountNonzero(source(i, 0).mask, n));
        const bool fine = IsSafe<C>(square) && (!centred || IsTypical(sizes[i], sum, square));
        out.s1[i] = sum, out.s2[i] = fine ? square : std::numeric_limits<double>::quiet_NaN();
    }
}

// Down columns, likewise.
template <class D, class T>
struct CountedColumnDeviations {
    static constexpr bool kTailApart = true;
    using Element = T;
    static constexpr bool kStream = false;
    D d;
    CountedRows<T> rows;
    const hn::TFromD<D>* pivots;

    struct RowValues {
        const T* x;
        const std::uint8_t* mask;
    };
    struct Values {
        hn::Vec<D> x;
        hn::Mask<D> counts;
    };
    template <bool kFull>
    HWY_INLINE hn::Vec<D> Lane(std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, pivots + i, n);
    }
    HWY_INLINE CountedColumnDeviations From(std::size_t lane) const {
        CountedColumnDeviations source{d, rows, pivots + lane};
        source.rows.x += lane, source.rows.mask += lane;
        return source;
    }
    HWY_INLINE RowValues Row(std::size_t row) const {
        const auto at = static_cast<std::ptrdiff_t>(row);
        return {rows.x + at * rows.x_row, rows.mask + at * rows.mask_row};
    }
    template <bool kFull>
    HWY_INLINE Values Read(const RowValues& row, std::size_t i, std::size_t n) const {
        // No row is long enough for the processor to see that the next one follows.
        hwy::Prefetch(row.x + static_cast<std::ptrdiff_t>(i) + 4 * rows.x_row);
        return {LoadSome<kFull>(d, row.x + i, n), Counts<kFull>(d, row.mask + i, n)};
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(hn::Vec<D> pivot, const RowValues&, const Values& v, std::size_t,
                                   std::size_t) const {
        const auto counted = hn::IfThenElseZero(v.counts, hn::Sub(v.x, pivot));
        return {counted, counted};
    }
};

template <class T>
void CountedColumnMoments(const CountedRows<T>& rows, const Compute<T>* pivots, double* s1, double* s2) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    ColumnSums(d, rows.rows, rows.lanes, CountedColumnDeviations<D, T>{d, rows, pivots}, s1, s2);
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_COUNTED_INL_H_

// The sums that a gradient needs, along spans and down columns:
//
//     g = dy*w      xhat = ((x - h) - l)*r      s1 = sum g      s2 = sum g*xhat
//
// and, for rows whose own sums are known, their dx together with the column sums of dy and dy*xhat.
//
// Products with the centred value, never sum dy*x minus mean*sum dy, which cancels.
#if defined(FASTNORM_GRADIENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_GRADIENTS_INL_H_
#undef FASTNORM_GRADIENTS_INL_H_
#else
#define FASTNORM_GRADIENTS_INL_H_
#endif

#include "elementwise-inl.h"
#include "reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class D, class T, bool kStatLanes, bool kParamLanes>
struct SpanTerms {
    D d;
    const T *x, *dy;
    Values<D, kStatLanes, 3> stat;
    Values<D, kParamLanes, 1> param;

    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(std::size_t i, std::size_t n) const {
        const auto centred = hn::Sub(hn::Sub(LoadSome<kFull>(d, x + i, n), stat.template Get<kFull>(0, i, n)),
                                     stat.template Get<kFull>(1, i, n));
        // dy loads as zero behind the end, and xhat of zeros is finite: both terms vanish there.
        const auto g = hn::Mul(LoadSome<kFull>(d, dy + i, n), param.template Get<kFull>(0, i, n));
        const auto xhat = hn::Mul(centred, stat.template Get<kFull>(2, i, n));
        return {g, kFull ? xhat : hn::IfThenElseZero(hn::FirstN(d, n), xhat)};
    }
};

template <class T, bool kStatLanes, bool kParamLanes>
void SpanGradientsPlane(const Plane<T>& p, GradSums* out) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    for (std::size_t first = 0; first < p.rows; first += kFoldedRows) {
        const std::size_t rows = std::min(kFoldedRows, p.rows - first);
        Folded<D> fold1{}, fold2{};
        for (std::size_t k = 0; k < rows; ++k) {
            const auto at = static_cast<std::ptrdiff_t>(first + k);
            const SpanTerms<D, T, kStatLanes, kParamLanes> terms{d,
                                                                 p.x + at * p.x_row,
                                                                 p.dy + at * p.dy_row,
                                                                 {d, at * p.stat_row, {p.h, p.l, p.r}},
                                                                 {d, at * p.param_row, {p.w}}};
            SpanSums(d, p.lanes, terms, fold1.row(k), fold2.row(k));
        }
        Compute<T> s1[kFoldedRows], s2[kFoldedRows];
        fold1.Sum(s1);
        fold2.Sum(s2);
        for (std::size_t k = 0; k < rows; ++k) out[first + k] = {s1[k], s2[k]};
    }
}

template <class T>
void SpanGradients(const Plane<T>& p, GradSums* out) {
    WithForm(p, [&](auto stat, auto param) {
        SpanGradientsPlane<T, decltype(stat)::value, decltype(param)::value>(p, out);
    });
}

template <class D, bool kStatLanes, bool kParamLanes, class T>
struct ColumnTerms {
    D d;
    const Plane<T>& p;

    struct LaneValues {
        hn::Vec<D> h, l, r, w;
    };

    template <bool kFull>
    HWY_INLINE hn::Vec<D> Of(bool lanes, const hn::TFromD<D>* source, std::ptrdiff_t row, std::size_t i,
                             std::size_t n) const {
        return lanes ? LoadSome<kFull>(d, source + i, n) : hn::Set(d, source[row]);
    }
    template <bool kFull>
    HWY_INLINE LaneValues Lane(std::size_t i, std::size_t n) const {
        return {Of<kFull>(kStatLanes, p.h, 0, i, n), Of<kFull>(kStatLanes, p.l, 0, i, n),
                Of<kFull>(kStatLanes, p.r, 0, i, n), Of<kFull>(kParamLanes, p.w, 0, i, n)};
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(LaneValues v, std::size_t row, std::size_t i, std::size_t n) const {
        const auto at = static_cast<std::ptrdiff_t>(row);
        if constexpr (!kStatLanes) {
            v.h = hn::Set(d, p.h[at * p.stat_row]);
            v.l = hn::Set(d, p.l[at * p.stat_row]);
            v.r = hn::Set(d, p.r[at * p.stat_row]);
        }
        if constexpr (!kParamLanes) v.w = hn::Set(d, p.w[at * p.param_row]);
        const auto x = LoadSome<kFull>(d, p.x + at * p.x_row + i, n);
        const auto dy = LoadSome<kFull>(d, p.dy + at * p.dy_row + i, n);
        return {hn::Mul(dy, v.w), hn::Mul(hn::Sub(hn::Sub(x, v.h), v.l), v.r)};
    }
};

template <class T>
void ColumnGradients(const Plane<T>& p, double* s1, double* s2) {
    WithForm(p, [&](auto stat, auto param) {
        const Tag<T> d;
        using D = std::remove_const_t<decltype(d)>;
        const ColumnTerms<D, decltype(stat)::value, decltype(param)::value, T> terms{d, p};
        ColumnSums(d, p.rows, p.lanes, terms, s1, s2);
    });
}

// Column terms dy and xhat of rows with statistics of their own; on the way every element's dx is written. Nothing of
// an element is read after that, so dx may lie on x or dy.
template <class D, class T>
struct RowTerms {
    D d;
    const Plane<T>& p;

    template <bool kFull>
    HWY_INLINE hn::Vec<D> Lane(std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, p.w + i, n);
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(hn::Vec<D> w, std::size_t row, std::size_t i, std::size_t n) const {
        const auto at = static_cast<std::ptrdiff_t>(row);
        const auto x = LoadSome<kFull>(d, p.x + at * p.x_row + i, n);
        const auto dy = LoadSome<kFull>(d, p.dy + at * p.dy_row + i, n);
        const auto r = hn::Set(d, p.r[at]);
        const auto xhat = hn::Mul(hn::Sub(hn::Sub(x, hn::Set(d, p.h[at])), hn::Set(d, p.l[at])), r);
        const auto rest = hn::NegMulAdd(xhat, hn::Set(d, p.c2[at]), hn::Sub(hn::Mul(dy, w), hn::Set(d, p.c1[at])));
        StoreOut<kFull>(hn::Mul(r, rest), d, p.y + at * p.y_row + i, n, p.stream);
        return {dy, xhat};
    }
};

template <class T>
void RowGradients(const Plane<T>& p, double* s1, double* s2) {
    const Tag<T> d;
    ColumnSums(d, p.rows, p.lanes, RowTerms<std::remove_const_t<decltype(d)>, T>{d, p}, s1, s2,
               p.stream ? Head(d, p.y, p.lanes) : 0);
    if (p.stream) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_GRADIENTS_INL_H_

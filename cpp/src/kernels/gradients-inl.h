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

#include <cmath>

#include "elementwise-inl.h"
#include "reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class D, class T, bool kStatLanes, bool kParamLanes, bool kMasked>
struct SpanTerms {
    static constexpr bool kTailApart = kMasked;
    D d;
    const T *x, *dy;
    const std::uint8_t* mask;
    std::ptrdiff_t x_run, dy_run;
    Values<D, kStatLanes, 3> stat;
    Values<D, kParamLanes, 1> param;

    HWY_INLINE void Next() { x += x_run, dy += dy_run; }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(std::size_t i, std::size_t n) const {
        const auto centred = hn::Sub(hn::Sub(LoadSome<kFull>(d, x + i, n), stat.template Get<kFull>(0, i, n)),
                                     stat.template Get<kFull>(1, i, n));
        // dy loads as zero behind the end, and xhat of zeros is finite: both terms vanish there.
        const auto g = hn::Mul(LoadSome<kFull>(d, dy + i, n), param.template Get<kFull>(0, i, n));
        const auto xhat = hn::Mul(centred, stat.template Get<kFull>(2, i, n));
        if constexpr (kMasked) {
            const auto counts = Counts<kFull>(d, mask + i, n);
            return {hn::IfThenElseZero(counts, g), hn::IfThenElseZero(counts, xhat)};
        }
        return {g, kFull ? xhat : hn::IfThenElseZero(hn::FirstN(d, n), xhat)};
    }
};

template <class T>
HWY_INLINE void PrefetchRow(const T* row, std::size_t lanes) {
    for (std::size_t i = 0; i < lanes; i += 64 / sizeof(T)) hwy::Prefetch(row + i);
}

// `ahead`: how many rows on are asked for meanwhile, one by one; 0 is none.
template <class T, bool kStatLanes, bool kParamLanes, bool kMasked = false>
void SpanGradientsPlane(const Plane<T>& p, GradSums* out, std::ptrdiff_t ahead = 0) {
    const Tag<T> d;
    using D = std::remove_const_t<decltype(d)>;
    for (std::size_t first = 0; first < p.rows; first += kFoldedRows) {
        const std::size_t rows = std::min(kFoldedRows, p.rows - first);
        Folded<D> fold1{}, fold2{};
        for (std::size_t k = 0; k < rows; ++k) {
            const auto at = static_cast<std::ptrdiff_t>(first + k);
            const SpanTerms<D, T, kStatLanes, kParamLanes, kMasked> terms{d,
                                                                          p.x + at * p.x_row,
                                                                          p.dy + at * p.dy_row,
                                                                          p.mask + at * p.mask_row,
                                                                          p.x_run,
                                                                          p.dy_run,
                                                                          {d, at * p.stat_row, {p.h, p.l, p.r}},
                                                                          {d, at * p.param_row, {p.w}}};
            if (ahead) {
                PrefetchRow(p.x + (at + ahead) * p.x_row, p.lanes);
                PrefetchRow(p.dy + (at + ahead) * p.dy_row, p.lanes);
            }
            SpanSums(d, p.lanes, terms, fold1.row(k), fold2.row(k), p.more_runs);
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
        constexpr bool kStat = decltype(stat)::value, kParam = decltype(param)::value;
        if constexpr (!kStat || !kParam) {  // else masked lanes are summed down columns
            if (p.mask) return SpanGradientsPlane<T, kStat, kParam, true>(p, out);
        }
        SpanGradientsPlane<T, kStat, kParam>(p, out);
    });
}

template <class D, bool kStatLanes, bool kParamLanes, bool kMasked, class T>
struct ColumnTerms {
    static constexpr bool kTailApart = kMasked;
    using Element = T;
    static constexpr bool kStream = false;
    D d;
    Plane<T> p;  // a copy, which no store can reach

    // Of a lane or of a row: whichever they vary along.
    struct Held {
        hn::Vec<D> h, l, r, w;
    };
    struct RowValues {
        const T *x, *dy;
        const std::uint8_t* mask;
        Held of;
    };

    HWY_INLINE ColumnTerms From(std::size_t lane) const {
        ColumnTerms terms{d, p};
        terms.p.x += lane, terms.p.dy += lane;
        if (kMasked) terms.p.mask += lane;
        if (kStatLanes) terms.p.h += lane, terms.p.l += lane, terms.p.r += lane;
        if (kParamLanes) terms.p.w += lane;
        return terms;
    }
    template <bool kFull>
    HWY_INLINE Held Lane(std::size_t i, std::size_t n) const {
        Held v{hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
        if constexpr (kStatLanes) {
            v.h = LoadSome<kFull>(d, p.h + i, n), v.l = LoadSome<kFull>(d, p.l + i, n);
            v.r = LoadSome<kFull>(d, p.r + i, n);
        }
        if constexpr (kParamLanes) v.w = LoadSome<kFull>(d, p.w + i, n);
        return v;
    }
    HWY_INLINE RowValues Row(std::size_t row) const {
        const auto at = static_cast<std::ptrdiff_t>(row);
        const auto none = hn::Zero(d);
        RowValues v{p.x + at * p.x_row, p.dy + at * p.dy_row, p.mask + at * p.mask_row, {none, none, none, none}};
        if constexpr (!kStatLanes) {
            v.of.h = hn::Set(d, p.h[at * p.stat_row]), v.of.l = hn::Set(d, p.l[at * p.stat_row]);
            v.of.r = hn::Set(d, p.r[at * p.stat_row]);
        }
        if constexpr (!kParamLanes) v.of.w = hn::Set(d, p.w[at * p.param_row]);
        return v;
    }
    struct Values {
        hn::Vec<D> x, dy;
        hn::Mask<D> counts;
    };
    template <bool kFull>
    HWY_INLINE Values Read(const RowValues& row, std::size_t i, std::size_t n) const {
        const auto x = LoadSome<kFull>(d, row.x + i, n), dy = LoadSome<kFull>(d, row.dy + i, n);
        if constexpr (kMasked) return {x, dy, Counts<kFull>(d, row.mask + i, n)};
        return {x, dy, hn::Eq(hn::Zero(d), hn::Zero(d))};
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(const Held& lane, const RowValues& row, const Values& v, std::size_t,
                                   std::size_t) const {
        const Held &stat = kStatLanes ? lane : row.of, &param = kParamLanes ? lane : row.of;
        const auto g = hn::Mul(v.dy, param.w), xhat = hn::Mul(hn::Sub(hn::Sub(v.x, stat.h), stat.l), stat.r);
        if constexpr (kMasked) return {hn::IfThenElseZero(v.counts, g), hn::IfThenElseZero(v.counts, xhat)};
        return {g, xhat};
    }
};

template <class T>
void ColumnGradients(const Plane<T>& p, double* s1, double* s2) {
    WithForm(p, [&](auto stat, auto param) {
        const Tag<T> d;
        using D = std::remove_const_t<decltype(d)>;
        const auto sums = [&](auto masked) {
            const ColumnTerms<D, decltype(stat)::value, decltype(param)::value, decltype(masked)::value, T> terms{d, p};
            ColumnSums(d, p.rows, p.lanes, terms, s1, s2);
        };
        p.mask ? sums(std::true_type{}) : sums(std::false_type{});
    });
}

// Column terms dy and xhat of rows with statistics of their own; on the way every element's dx is written. Nothing of
// an element is read after that, so dx may lie on x or dy.
template <class D, class T, bool kFar, bool kStreams>
struct RowTerms {
    static constexpr bool kTailApart = false;
    using Element = T;
    static constexpr bool kStream = kStreams;
    D d;
    Plane<T> p;
    std::ptrdiff_t x_ahead, dy_ahead;  // elements to the rows that are read next

    struct RowValues {
        const T *x, *dy, *added;
        T* dx;
        hn::Vec<D> h, l, r, c1, c2;
    };

    template <bool kFull>
    HWY_INLINE hn::Vec<D> Lane(std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, p.w + i, n);
    }
    HWY_INLINE RowValues Row(std::size_t row) const {
        const auto at = static_cast<std::ptrdiff_t>(row);
        return {p.x + at * p.x_row,  p.dy + at * p.dy_row, p.added + at * p.added_row,
                p.y + at * p.y_row,  hn::Set(d, p.h[at]),  hn::Set(d, p.l[at]),
                hn::Set(d, p.r[at]), hn::Set(d, p.c1[at]), hn::Set(d, p.c2[at])};
    }
    struct Values {
        hn::Vec<D> x, dy, added;
    };
    template <bool kFull>
    HWY_INLINE Values Read(const RowValues& row, std::size_t i, std::size_t n) const {
        if (kFar) {
            hwy::Prefetch(row.x + i + x_ahead);
            hwy::Prefetch(row.dy + i + dy_ahead);
        }
        Values v{LoadSome<kFull>(d, row.x + i, n), LoadSome<kFull>(d, row.dy + i, n), hn::Zero(d)};
        if (p.added) v.added = LoadSome<kFull>(d, row.added + i, n);
        return v;
    }
    template <bool kFull>
    HWY_INLINE Pair<hn::Vec<D>> At(hn::Vec<D> w, const RowValues& row, const Values& v, std::size_t i,
                                   std::size_t n) const {
        const auto xhat = hn::Mul(hn::Sub(hn::Sub(v.x, row.h), row.l), row.r);
        const auto rest = hn::NegMulAdd(xhat, row.c2, hn::Sub(hn::Mul(v.dy, w), row.c1));
        auto dx = hn::Mul(row.r, rest);
        if (p.added) dx = hn::Add(dx, v.added);
        StoreOut<kFull>(dx, d, row.dx + i, n, kStream);
        return {v.dy, xhat};
    }
};

template <class T>
HWY_INLINE bool AnyLarge(const T* rows, std::ptrdiff_t step, std::size_t count, std::size_t lanes) {
    const Tag<T> d;
    const auto limit = hn::Set(d, static_cast<Compute<T>>(kLargeGradient));
    auto any = hn::Gt(hn::Zero(d), limit);
    for (std::size_t k = 0; k < count; ++k, rows += step) {
        ForVectors<Virtual<std::remove_const_t<decltype(d)>>::kN>(
            lanes, [&](std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
                any = hn::Or(any, hn::Gt(hn::Abs(LoadSome<decltype(full)::value>(d, rows + i, n)), limit));
            });
    }
    return !hn::AllFalse(d, any);
}

// Whether sums of rows in float are of use, made into means.
HWY_INLINE bool AreMeans(const GradSums* sums, std::size_t count, double inverse) {
    bool fine = true;
    for (std::size_t k = 0; k < count; ++k) {
        fine &= std::fabs(sums[k].s1 * inverse) <= kLargeGradient && std::fabs(sums[k].s2 * inverse) <= kLargeGradient;
    }
    return fine;
}

// The sums of some rows, then their dx and columns while they are in the first-level cache. What comes from memory is
// fetched meanwhile: reading and writing by turns would use half of the memory's rate each. Rows of 4 to 16 lines are
// asked for as the ones before them are summed, a few at a time: 50176x96 and 12000x256 take 0.73 and 0.84 of the time
// (Zen 4). Others as dx is written: of 768 and more there is no room for both, and rows of less than 4 lines would take
// 1.05 to 1.09 times as long.
template <class T>
std::size_t RowGradients(const Plane<T>& p, double inverse, bool centred, bool overwrites, Compute<T>* s1,
                         Compute<T>* s2) {
    using C = Compute<T>;
    const std::size_t bytes = p.lanes * sizeof(T);
    const bool by_sums = p.far && inverse != 0 && sizeof(T) == sizeof(C) && bytes >= 4 * 64 && bytes <= 16 * 64;
    // What is fetched ahead has to find room beside what is worked on.
    const std::size_t near = (by_sums ? 3 : p.far ? 12 : 24) * 1024;
    const Tag<T> d;
    const std::size_t most = std::clamp<std::size_t>(near / (2 * bytes) / 4 * 4, 4, kRows);
    const std::size_t head = p.stream ? Head(d, p.y, p.lanes) : 0;
    const auto ahead = static_cast<std::ptrdiff_t>(most);
    Plane<T> q = p;
    const auto quad = [&](std::size_t row, auto far, auto stream) FASTNORM_LAMBDA {
        using Terms = RowTerms<std::remove_const_t<decltype(d)>, T, decltype(far)::value, decltype(stream)::value>;
        const Terms terms{d, q, ahead * p.x_row, ahead * p.dy_row};
        ColumnQuad(d, row, q.rows - row, p.lanes, terms, s1, s2, head);
    };
    GradSums sums[kRows];
    C c1[kRows], c2[kRows];
    constexpr bool kNarrow = sizeof(C) == 4;
    std::size_t first = 0;
    for (; first < p.rows; first += q.rows) {
        q.rows = std::min(most, p.rows - first);
        if (kNarrow && overwrites && AnyLarge(q.dy, p.dy_row, q.rows, p.lanes)) break;
        if (inverse != 0) {
            SpanGradientsPlane<T, false, true>(q, sums, by_sums ? ahead : 0);
            if (kNarrow && !AreMeans(sums, q.rows, inverse)) break;
            for (std::size_t k = 0; k < q.rows; ++k) c1[k] = centred ? static_cast<C>(sums[k].s1 * inverse) : C(0);
            for (std::size_t k = 0; k < q.rows; ++k) c2[k] = static_cast<C>(sums[k].s2 * inverse);
            q.c1 = c1, q.c2 = c2;
        }
        for (std::size_t row = 0; row < q.rows; row += 4) {
            if (p.stream && by_sums) {
                quad(row, std::false_type{}, std::true_type{});
            } else if (p.stream) {
                quad(row, std::true_type{}, std::true_type{});
            } else if (p.far && !by_sums) {
                quad(row, std::true_type{}, std::false_type{});
            } else {  // in order: four rows side by side would not look like a stream to the processor
                for (std::size_t k = row; k < std::min(row + 4, q.rows); ++k) {
                    PrefetchRow(q.y + static_cast<std::ptrdiff_t>(k) * p.y_row, p.lanes);
                }
                quad(row, std::false_type{}, std::false_type{});
            }
        }
        const auto done = static_cast<std::ptrdiff_t>(q.rows);
        q.x += done * p.x_row, q.dy += done * p.dy_row, q.y += done * p.y_row;
        q.added += done * p.added_row;
        q.h += done, q.l += done, q.r += done, q.c1 += done, q.c2 += done;
    }
    if (p.stream) hwy::FlushStream();
    return first;
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_GRADIENTS_INL_H_

// The two reductions: along a span and down columns. An operation hands in a source of lanes (u, v); both engines
// give s1 = sum u and s2 = sum u*v in the order of additions that numerics promises:
//
//     acc += (q0 + q1) + (q2 + q3)       for each quad, per virtual lane
//     sum  = halving tree over the lanes
#if defined(FASTNORM_REDUCE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_REDUCE_INL_H_
#undef FASTNORM_REDUCE_INL_H_
#else
#define FASTNORM_REDUCE_INL_H_
#endif

#include <algorithm>

#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

template <class V>
struct Pair {
    V u, v;
};

// Adds four terms (u, u*v) to the accumulators.
template <class V>
HWY_INLINE void AddQuad(const Pair<V>& a, const Pair<V>& b, const Pair<V>& c, const Pair<V>& d, V& s1, V& s2) {
    s1 = hn::Add(s1, hn::Add(hn::Add(a.u, b.u), hn::Add(c.u, d.u)));
    s2 = hn::Add(s2, hn::Add(hn::MulAdd(b.u, b.v, hn::Mul(a.u, a.v)), hn::MulAdd(d.u, d.v, hn::Mul(c.u, c.v))));
}

// Adds the vectors that hold the virtual lanes: part i and i + half, down to one.
template <class D, std::size_t kCount>
HWY_INLINE hn::Vec<D> SumParts(D d, const hn::Vec<D> (&parts)[kCount]) {
    if constexpr (kCount == 1) {
        return parts[0];
    } else {
        constexpr std::size_t kHalf = kCount / 2;
        hn::Vec<D> sums[kHalf];
        Unroll<kHalf>([&](auto i) FASTNORM_LAMBDA { sums[i] = hn::Add(parts[i], parts[i + kHalf]); });
        return SumParts(d, sums);
    }
}

// Adds the virtual lanes down to a folded row: their parts, then within the vector.
template <class D>
HWY_INLINE void FoldParts(D d, const hn::Vec<D> (&parts)[Virtual<D>::kParts], hn::TFromD<D>* folded) {
    hn::StoreU(Fold(d, SumParts(d, parts)), FoldedTag<D>(), folded);
}

// The folded sums of up to kFoldedRows rows, waiting to be added across.
template <class D>
struct Folded {
    using C = hn::TFromD<D>;
    static constexpr std::size_t kLanes = Virtual<FoldedTag<D>>::kN;

    HWY_ALIGN C rows[kFoldedRows * kLanes];

    HWY_INLINE C* row(std::size_t k) { return rows + k * kLanes; }
    HWY_INLINE void Sum(C (&sums)[kFoldedRows]) const { SumFolded(FoldedTag<D>(), rows, sums); }
};

// source.template At<kFull>(offset, count) gives the lanes at an offset; lanes behind count must be zero.
template <class D, class Source>
HWY_INLINE void SpanSums(D d, std::size_t n, const Source& source, hn::TFromD<D>* folded1, hn::TFromD<D>* folded2) {
    using L = Virtual<D>;
    using V = hn::Vec<D>;
    V s1[L::kParts], s2[L::kParts];
    Unroll<L::kParts>([&](auto part) FASTNORM_LAMBDA { s1[part] = s2[part] = hn::Zero(d); });

    std::size_t i = 0;
    for (; i + L::kQuad <= n; i += L::kQuad) {
        Unroll<L::kParts>([&](auto part) FASTNORM_LAMBDA {
            const std::size_t at = i + part * L::kN;
            const auto a = source.template At<true>(at, L::kN);
            const auto b = source.template At<true>(at + L::kLanes, L::kN);
            const auto c = source.template At<true>(at + 2 * L::kLanes, L::kN);
            const auto e = source.template At<true>(at + 3 * L::kLanes, L::kN);
            AddQuad(a, b, c, e, s1[part], s2[part]);
        });
    }
    // The last quad, with zeros for what is missing. Parts that have nothing stay as they are.
    const auto some = [&](std::size_t at) FASTNORM_LAMBDA {
        if (at + L::kN <= n) return source.template At<true>(at, L::kN);
        if (at < n) return source.template At<false>(at, n - at);
        return Pair<V>{hn::Zero(d), hn::Zero(d)};
    };
    Unroll<L::kParts>([&](auto part) FASTNORM_LAMBDA {
        const std::size_t at = i + part * L::kN;
        if (at >= n) return;
        AddQuad(some(at), some(at + L::kLanes), some(at + 2 * L::kLanes), some(at + 3 * L::kLanes), s1[part], s2[part]);
    });
    FoldParts(d, s1, folded1);
    FoldParts(d, s2, folded2);
}

// source.Lane<kFull>(lane, count) gives what a lane needs for all rows, source.At<kFull>(it, row, lane, count) the
// terms. Rows stream through in order, with the accumulators of a tile of lanes in the first-level cache. With a head,
// that many lanes are a tile of their own, and the vectors start behind it.
template <class D, class Source>
HWY_INLINE void ColumnSums(D d, std::size_t rows, std::size_t lanes, const Source& source, double* sum1, double* sum2,
                           std::size_t head = 0) {
    constexpr std::size_t kTile = 2048 / sizeof(hn::TFromD<D>);
    constexpr std::size_t kN = Virtual<D>::kN;
    HWY_ALIGN hn::TFromD<D> acc1[kTile];
    HWY_ALIGN hn::TFromD<D> acc2[kTile];
    for (std::size_t first = 0, width; first < lanes; first += width) {
        width = first < head ? head : std::min(kTile, lanes - first);
        const std::size_t whole = (width + kN - 1) / kN * kN;
        std::fill_n(acc1, whole, hn::TFromD<D>(0));
        std::fill_n(acc2, whole, hn::TFromD<D>(0));
        for (std::size_t row = 0; row < rows; row += 4) {
            const std::size_t some = std::min<std::size_t>(4, rows - row);
            ForVectors<kN>(width, [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
                constexpr bool kFull = decltype(full)::value;
                using V = hn::Vec<D>;
                const auto lane = source.template Lane<kFull>(first + i, count);
                V s1 = hn::Load(d, acc1 + i), s2 = hn::Load(d, acc2 + i);
                const auto at = [&](std::size_t k) FASTNORM_LAMBDA {
                    return source.template At<kFull>(lane, row + k, first + i, count);
                };
                if (HWY_LIKELY(some == 4)) {
                    AddQuad(at(0), at(1), at(2), at(3), s1, s2);
                } else {
                    const Pair<V> none{hn::Zero(d), hn::Zero(d)};
                    AddQuad(at(0), some > 1 ? at(1) : none, some > 2 ? at(2) : none, none, s1, s2);
                }
                hn::Store(s1, d, acc1 + i);
                hn::Store(s2, d, acc2 + i);
            });
        }
        for (std::size_t i = 0; i < width; ++i) sum1[first + i] += static_cast<double>(acc1[i]);
        for (std::size_t i = 0; i < width; ++i) sum2[first + i] += static_cast<double>(acc2[i]);
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_REDUCE_INL_H_

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
#include <array>

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
    HWY_INLINE void Sum(C* sums) const { SumFolded(FoldedTag<D>(), rows, sums); }
};

// What is done once a span, for every vector of the virtual lanes: where these are many, the code is there once.
template <class D, class F>
HWY_INLINE void ForParts(const F& f) {
    constexpr std::size_t kParts = Virtual<D>::kParts;
    if constexpr (kParts > 4) {
        for (std::size_t part = 0; part < kParts; ++part) f(part);
    } else {
        Unroll<kParts>(f);
    }
}

// The lanes of a span's end. Sources that count elements have long code for it, which is there once (kTailApart).
template <class D, class Source>
HWY_NOINLINE Pair<hn::Vec<D>> TailApart(const Source& source, std::size_t at, std::size_t n) {
    return source.template At<false>(at, n);
}
template <class D, class Source>
HWY_INLINE Pair<hn::Vec<D>> TailOf(const Source& source, std::size_t at, std::size_t n) {
    if constexpr (Source::kTailApart) return TailApart<D>(source, at, n);
    return source.template At<false>(at, n);
}

// source.template At<kFull>(offset, count) gives the lanes at an offset; lanes behind count must be zero. A span may go
// on in `more` runs, each beginning at the first virtual lane; source.Next() goes there.
template <class D, class Source>
HWY_INLINE void SpanSums(D d, std::size_t n, Source source, hn::TFromD<D>* folded1, hn::TFromD<D>* folded2,
                         std::size_t more = 0) {
    using L = Virtual<D>;
    using V = hn::Vec<D>;
    V s1[L::kParts], s2[L::kParts];
    Unroll<L::kParts>([&](auto part) FASTNORM_LAMBDA { s1[part] = s2[part] = hn::Zero(d); });

    for (;; source.Next()) {
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
            if (at < n) return TailOf<D>(source, at, n - at);
            return Pair<V>{hn::Zero(d), hn::Zero(d)};
        };
        ForParts<D>([&](auto part) FASTNORM_LAMBDA {
            const std::size_t at = i + part * L::kN;
            if (at >= n) return;
            AddQuad(some(at), some(at + L::kLanes), some(at + 2 * L::kLanes), some(at + 3 * L::kLanes), s1[part],
                    s2[part]);
        });
        if (more-- == 0) break;
    }
    FoldParts(d, s1, folded1);
    FoldParts(d, s2, folded2);
}

// Adds four whole rows to the accumulators, kCount vectors of each. If kReadFirst, nothing is written before all is
// read.
template <std::size_t kCount, bool kReadFirst, class D, class Source, class Quad>
HWY_INLINE void AddVectors(D d, const Source& source, const Quad& rows, std::size_t i, hn::TFromD<D>* acc1,
                           hn::TFromD<D>* acc2) {
    using V = hn::Vec<D>;
    constexpr std::size_t kN = Virtual<D>::kN;
    decltype(source.template Read<true>(rows[0], i, kN)) values[4][kCount];
    decltype(source.template Lane<true>(i, kN)) lane[kCount];
    Pair<V> sums[2][kCount];
    const auto read = [&](auto row) FASTNORM_LAMBDA {
        Unroll<kCount>([&](auto part) FASTNORM_LAMBDA {
            values[row][part] = source.template Read<true>(rows[row], i + part * kN, kN);
        });
    };
    Unroll<kCount>([&](auto part) FASTNORM_LAMBDA { lane[part] = source.template Lane<true>(i + part * kN, kN); });
    if (kReadFirst) Unroll<4>(read);
    Unroll<4>([&](auto row) FASTNORM_LAMBDA {
        if (!kReadFirst) read(row);
        Unroll<kCount>([&](auto part) FASTNORM_LAMBDA {
            const std::size_t at = i + part * kN;
            const auto term = source.template At<true>(lane[part], rows[row], values[row][part], at, kN);
            Pair<V>& sum = sums[row / 2][part];
            if (row % 2 == 0) {
                sum = {term.u, hn::Mul(term.u, term.v)};
            } else {
                sum = {hn::Add(sum.u, term.u), hn::MulAdd(term.u, term.v, sum.v)};
            }
        });
    });
    Unroll<kCount>([&](auto part) FASTNORM_LAMBDA {
        const Pair<V>&left = sums[0][part], &right = sums[1][part];
        hn::TFromD<D>*const to1 = acc1 + i + part * kN, *const to2 = acc2 + i + part * kN;
        StoreLanes(hn::Add(hn::LoadU(d, to1), hn::Add(left.u, right.u)), d, to1);
        StoreLanes(hn::Add(hn::LoadU(d, to2), hn::Add(left.v, right.v)), d, to2);
    });
}

template <class Source>
HWY_INLINE auto QuadOf(const Source& source, std::size_t row, std::size_t rows) {
    const auto at = [&](std::size_t k) FASTNORM_LAMBDA { return source.Row(row + (k < rows ? k : 0)); };
    return std::array<decltype(at(0)), 4>{at(0), at(1), at(2), at(3)};
}

// Adds a vector or less of up to four rows.
template <bool kFull, class D, class Source, class Quad>
HWY_INLINE void AddVector(D d, const Source& source, const Quad& quad, std::size_t rows, std::size_t i,
                          std::size_t count, hn::TFromD<D>* acc1, hn::TFromD<D>* acc2) {
    using V = hn::Vec<D>;
    const auto lane = source.template Lane<kFull>(i, count);
    V s1 = LoadSome<kFull>(d, acc1 + i, count), s2 = LoadSome<kFull>(d, acc2 + i, count);
    const auto at = [&](std::size_t k) FASTNORM_LAMBDA {
        return source.template At<kFull>(lane, quad[k], source.template Read<kFull>(quad[k], i, count), i, count);
    };
    const Pair<V> none{hn::Zero(d), hn::Zero(d)};
    AddQuad(at(0), rows > 1 ? at(1) : none, rows > 2 ? at(2) : none, rows > 3 ? at(3) : none, s1, s2);
    StoreSome<kFull>(s1, d, acc1 + i, count);
    StoreSome<kFull>(s2, d, acc2 + i, count);
}

// The same of less than a vector for sources that count elements, as in TailApart.
template <class D, class Source>
HWY_NOINLINE void PartApart(D d, std::size_t row, std::size_t rows, const Source& source, std::size_t i,
                            std::size_t count, hn::TFromD<D>* acc1, hn::TFromD<D>* acc2) {
    AddVector<false>(d, source, QuadOf(source, row, rows), rows, i, count, acc1, acc2);
}

// Adds a quad of rows, of which there may be less than four, to the accumulators of lanes [0, lanes).
// source.Lane<kFull>(lane, count) gives what a lane needs for all rows, source.Row(row) what a row needs for all lanes,
// source.Read<kFull>(row's, lane, count) what memory has there, source.At<kFull>(lane's, row's, memory's, lane, count)
// the terms. With a head, the vectors start behind it.
//
// Rows a multiple of 4 KB apart share their sets of the first-level cache, and processors compare no more than the last
// 12 bits of addresses at first. So vectors that are less than a line are taken by two: half a line does not wait while
// three other rows push it out. And sources that write past the caches (Source::kStream) read whole lines of all rows
// before they write any. Layer norm backward of 8192x1024, one thread of an AMD EPYC (Zen 3): 5.8 ns an element without
// either, 3.5 with vectors by two, 1.4 with both.
template <class D, class Source>
HWY_NOINLINE void ColumnQuad(D d, std::size_t row, std::size_t rows, std::size_t lanes, const Source& given,
                             hn::TFromD<D>* acc1, hn::TFromD<D>* acc2, std::size_t head = 0) {
    const Source source = given;  // which no store can reach
    constexpr bool kStream = Source::kStream;
    constexpr std::size_t kN = Virtual<D>::kN;
    constexpr std::size_t kOfLine = 64 / sizeof(typename Source::Element) / kN;
    constexpr std::size_t kCount = std::min<std::size_t>(kOfLine, kStream ? 4 : 2);
    const auto quad = QuadOf(source, row, rows);
    const auto part = [&](std::size_t i, std::size_t count) FASTNORM_LAMBDA {
        if constexpr (Source::kTailApart) {
            PartApart(d, row, rows, given, i, count, acc1, acc2);
        } else {
            AddVector<false>(d, source, quad, rows, i, count, acc1, acc2);
        }
    };
    std::size_t i = head;
    if (head > 0) part(0, head);
    for (; rows >= 4 && i + kCount * kN <= lanes; i += kCount * kN) {
        AddVectors<kCount, kStream>(d, source, quad, i, acc1, acc2);
    }
    for (; i + kN <= lanes; i += kN) AddVector<true>(d, source, quad, rows, i, kN, acc1, acc2);
    if (i < lanes) part(i, lanes - i);
}

// source.From(lane) is the source from that lane on. Rows stream through in order, with the accumulators of a tile of
// lanes in the first-level cache.
template <class D, class Source>
HWY_INLINE void ColumnSums(D d, std::size_t rows, std::size_t lanes, const Source& source, double* sum1, double* sum2) {
    constexpr std::size_t kTile = 2048 / sizeof(hn::TFromD<D>);
    HWY_ALIGN hn::TFromD<D> acc1[kTile];
    HWY_ALIGN hn::TFromD<D> acc2[kTile];
    for (std::size_t first = 0; first < lanes; first += kTile) {
        const std::size_t width = std::min(kTile, lanes - first);
        std::fill_n(acc1, width, hn::TFromD<D>(0));
        std::fill_n(acc2, width, hn::TFromD<D>(0));
        const Source tile = source.From(first);
        for (std::size_t row = 0; row < rows; row += 4) ColumnQuad(d, row, rows - row, width, tile, acc1, acc2);
        for (std::size_t i = 0; i < width; ++i) sum1[first + i] += static_cast<double>(acc1[i]);
        for (std::size_t i = 0; i < width; ++i) sum2[first + i] += static_cast<double>(acc2[i]);
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_REDUCE_INL_H_

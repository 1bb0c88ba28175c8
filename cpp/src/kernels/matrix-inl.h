// Products of packed matrices and the blocks that go in and out of them.
#if defined(FASTNORM_MATRIX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_MATRIX_INL_H_
#undef FASTNORM_MATRIX_INL_H_
#else
#define FASTNORM_MATRIX_INL_H_
#endif

#include "matrix.h"
#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// Accumulators are rows x vectors; with the vectors of b and one of a they fit the registers.
#undef FASTNORM_ACCUMULATOR_ROWS
#if FASTNORM_AVX512 || HWY_ARCH_ARM_A64
#define FASTNORM_ACCUMULATOR_ROWS 8
#else
#define FASTNORM_ACCUMULATOR_ROWS 4
#endif

// kAdjacent: the rows of `a` are neighbours in memory.
template <std::size_t kVectors, bool kAdjacent, class C>
HWY_INLINE void MultiplyTile(const Product<C>& p, const C* HWY_RESTRICT a, const C* HWY_RESTRICT b, C* c) {
    constexpr std::size_t kRows = FASTNORM_ACCUMULATOR_ROWS;
    const Tag<C> d;
    constexpr std::size_t kN = Virtual<decltype(d)>::kN;
    const std::ptrdiff_t row = kAdjacent ? 1 : p.a_row;
    hn::Vec<decltype(d)> sums[kRows][kVectors];
    for (auto& some : sums) {
        for (auto& sum : some) sum = hn::Zero(d);
    }
    for (std::size_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_step) {
        hn::Vec<decltype(d)> lanes[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) lanes[v] = hn::LoadU(d, b + v * kN);
        for (std::size_t i = 0; i < kRows; ++i) {
            const auto factor = hn::Set(d, a[static_cast<std::ptrdiff_t>(i) * row]);
            for (std::size_t v = 0; v < kVectors; ++v) sums[i][v] = hn::MulAdd(factor, lanes[v], sums[i][v]);
        }
    }
    for (std::size_t i = 0; i < kRows; ++i, c += p.c_row) {
        for (std::size_t v = 0; v < kVectors; ++v) {
            const auto sum = p.add ? hn::Add(hn::LoadU(d, c + v * kN), sums[i][v]) : sums[i][v];
            hn::StoreU(sum, d, c + v * kN);
        }
    }
}

template <std::size_t kVectors, class C>
HWY_INLINE void MultiplyRows(const Product<C>& p, std::size_t lane) {
    constexpr std::size_t kRows = FASTNORM_ACCUMULATOR_ROWS;
    for (std::size_t i = 0; i < p.rows; i += kRows) {
        const auto at = static_cast<std::ptrdiff_t>(i);
        const C* a = p.a + at * p.a_row;
        C* c = p.c + at * p.c_row + lane;
        if (p.a_row == 1) {
            MultiplyTile<kVectors, true>(p, a, p.b + lane, c);
        } else {
            MultiplyTile<kVectors, false>(p, a, p.b + lane, c);
        }
    }
}

template <class C>
void Multiply(const Product<C>& p) {
    constexpr std::size_t kN = Virtual<Tag<C>>::kN;
    const std::size_t vectors = (p.lanes + kN - 1) / kN;
    std::size_t v = 0;
    for (; v + 3 <= vectors; v += 3) MultiplyRows<3>(p, v * kN);
    if (vectors - v == 2) MultiplyRows<2>(p, v * kN);
    if (vectors - v == 1) MultiplyRows<1>(p, v * kN);
}

// Lanes of C from data of type T, and back; 16-bit types go through float, which rounds doubles twice.
template <bool kFull, class D, class T>
HWY_INLINE hn::Vec<D> ReadLanes(D d, const T* p, std::size_t n) {
    if constexpr (sizeof(hn::TFromD<D>) == 8 && sizeof(T) < 8) {
        const hn::Rebind<float, D> single;
        return hn::PromoteTo(d, LoadSome<kFull>(single, p, n));
    } else {
        return LoadSome<kFull>(d, p, n);
    }
}

template <bool kFull, class D, class T>
HWY_INLINE void WriteLanes(hn::Vec<D> v, D d, T* p, std::size_t n) {
    if constexpr (sizeof(hn::TFromD<D>) == 8 && sizeof(T) < 8) {
        const hn::Rebind<float, D> single;
        StoreSome<kFull>(hn::DemoteTo(single, v), single, p, n);
    } else {
        StoreSome<kFull>(v, d, p, n);
    }
}

// Calls body(row, lane, count, full, h, l) for every vector of a block.
template <bool kShiftLanes, class Some, class F>
HWY_INLINE void ForBlock(const Some& p, F&& body) {
    using C = std::remove_const_t<std::remove_pointer_t<decltype(p.h)>>;
    const Tag<C> d;
    for (std::size_t row = 0; row < p.rows; ++row) {
        const auto h_row = hn::Set(d, kShiftLanes ? C{0} : p.h[row]);
        const auto l_row = hn::Set(d, kShiftLanes ? C{0} : p.l[row]);
        ForVectors<Virtual<decltype(d)>::kN>(p.lanes, [&](std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            const auto h = kShiftLanes ? LoadSome<kFull>(d, p.h + i, n) : h_row;
            const auto l = kShiftLanes ? LoadSome<kFull>(d, p.l + i, n) : l_row;
            body(static_cast<std::ptrdiff_t>(row), i, n, full, h, l);
        });
    }
}

template <bool kShiftLanes, class T, class C>
void ReadBlockBy(const Block<T, C, C>& p) {
    const Tag<C> d;
    ForBlock<kShiftLanes>(
        p, [&](std::ptrdiff_t row, std::size_t i, std::size_t n, auto full, auto h, auto l) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            const auto x = ReadLanes<kFull>(d, p.from + row * p.from_row + i, n);
            StoreSome<kFull>(hn::Sub(hn::Sub(x, h), l), d, p.to + row * p.to_row + i, n);
        });
}

template <class T, class C>
void ReadBlock(const Block<T, C, C>& p) {
    p.shift_lanes ? ReadBlockBy<true>(p) : ReadBlockBy<false>(p);
}

template <bool kShiftLanes, class T, class C>
void WriteBlockBy(const Block<C, T, C>& p) {
    const Tag<C> d;
    ForBlock<kShiftLanes>(
        p, [&](std::ptrdiff_t row, std::size_t i, std::size_t n, auto full, auto h, auto) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            const auto x = LoadSome<kFull>(d, p.from + row * p.from_row + i, n);
            WriteLanes<kFull>(hn::Add(x, h), d, p.to + row * p.to_row + i, n);
        });
}

template <class T, class C>
void WriteBlock(const Block<C, T, C>& p) {
    p.shift_lanes ? WriteBlockBy<true>(p) : WriteBlockBy<false>(p);
}

constexpr MatrixKernels MakeMatrixKernels() {
    return {Multiply<float>,
            Multiply<double>,
            {ReadBlock<float, float>, WriteBlock<float, float>},
            {ReadBlock<double, double>, WriteBlock<double, double>},
            {ReadBlock<BF16, float>, WriteBlock<BF16, float>},
            {ReadBlock<F16, float>, WriteBlock<F16, float>},
            {ReadBlock<float, double>, WriteBlock<float, double>},
            {ReadBlock<BF16, double>, WriteBlock<BF16, double>},
            {ReadBlock<F16, double>, WriteBlock<F16, double>}};
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_MATRIX_INL_H_

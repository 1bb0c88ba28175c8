// Sums over panels of samples, and float blocks that are added to double ones.
#if defined(FASTNORM_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_SUMS_INL_H_
#undef FASTNORM_SUMS_INL_H_
#else
#define FASTNORM_SUMS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "matrix-inl.h"
#include "simd-inl.h"
#include "sums.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// A few rows at a time, so that memory is read through and the centre of a strip stays in registers.
template <class T, class C>
void PackRows(const Strips<T, C>& p) {
    constexpr std::size_t kRows = 8;
    const Tag<C> d;
    constexpr std::size_t kN = Virtual<decltype(d)>::kN;
    constexpr std::size_t kVectors = kStrip<C> / kN;
    for (std::size_t row = 0; row < p.rows; row += kRows) {
        const std::size_t rows = std::min(kRows, p.rows - row);
        C* to = p.to + row * kStrip<C>;
        const T* from = p.from + static_cast<std::ptrdiff_t>(row) * p.from_row;
        std::size_t lane = 0;
        for (; lane + kStrip<C> <= p.lanes; lane += kStrip<C>, to += p.strip) {
            hn::Vec<decltype(d)> h[kVectors], l[kVectors];
            for (std::size_t v = 0; v < kVectors; ++v) {
                h[v] = hn::LoadU(d, p.h + lane + v * kN);
                l[v] = hn::LoadU(d, p.l + lane + v * kN);
            }
            const T* at = from + lane;
            C* strip = to;
            for (std::size_t r = 0; r < rows; ++r, at += p.from_row, strip += kStrip<C>) {
                for (std::size_t v = 0; v < kVectors; ++v) {
                    const auto x = ReadLanes<true>(d, at + v * kN, kN);
                    hn::StoreU(hn::Sub(hn::Sub(x, h[v]), l[v]), d, strip + v * kN);
                }
            }
        }
        if (lane == p.lanes) continue;
        ReadBlockBy<true, T, C>({rows, p.lanes - lane, from + lane, p.from_row, to, std::ptrdiff_t{kStrip<C>},
                                 p.h + lane, p.l + lane, true});
    }
}

template <class C>
void TransposeBlock(const Transpose<C>& p) {
    constexpr std::size_t kRows = 4;
    const Tag<C> d;
    constexpr std::size_t kN = Virtual<decltype(d)>::kN;
    HWY_ALIGN C lines[kRows * kN];
    std::size_t row = 0;
    for (; row + kRows <= p.rows; row += kRows) {
        const C* from = p.from + static_cast<std::ptrdiff_t>(row) * p.from_row;
        C* to = p.to + row;
        std::size_t lane = 0;
        for (; lane + kN <= p.lanes; lane += kN) {
            const C* const at = from + lane;
            hn::StoreInterleaved4(hn::LoadU(d, at), hn::LoadU(d, at + p.from_row), hn::LoadU(d, at + 2 * p.from_row),
                                  hn::LoadU(d, at + 3 * p.from_row), d, lines);
            for (std::size_t i = 0; i < kN; ++i, to += p.to_lane) {
                std::memcpy(to, lines + i * kRows, kRows * sizeof(C));
            }
        }
        for (; lane < p.lanes; ++lane, to += p.to_lane) {
            for (std::size_t k = 0; k < kRows; ++k) to[k] = (from + static_cast<std::ptrdiff_t>(k) * p.from_row)[lane];
        }
    }
    for (; row < p.rows; ++row) {
        const C* const from = p.from + static_cast<std::ptrdiff_t>(row) * p.from_row;
        C* to = p.to + row;
        for (std::size_t lane = 0; lane < p.lanes; ++lane, to += p.to_lane) *to = from[lane];
    }
}

// kRowsApart rows add up apart, then in pairs.
inline void SumColumns(const ColumnSums& p) {
    const Tag<double> d;
    constexpr std::size_t kN = Virtual<decltype(d)>::kN;
    HWY_ALIGN double lanes[kN];
    for (std::size_t lane = 0; lane < p.lanes; lane += kN) {
        hn::Vec<decltype(d)> sums[kRowsApart];
        for (auto& sum : sums) sum = hn::Zero(d);
        const double* from = p.from + lane;
        for (std::size_t row = 0; row < p.count; row += kRowsApart) {
            for (auto& sum : sums) {
                sum = hn::Add(sum, hn::LoadU(d, from));
                from += p.from_row;
            }
        }
        hn::Store(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])), d, lanes);
        const std::size_t some = std::min(kN, p.lanes - lane);
        for (std::size_t i = 0; i < some; ++i) p.to[lane + i] += lanes[i];
    }
}

constexpr SumKernels MakeSumKernels() {
    return {MakeMatrixKernels(),     SumColumns,
            PackRows<float, double>, PackRows<double, double>,
            PackRows<BF16, double>,  PackRows<F16, double>,
            TransposeBlock<float>,   TransposeBlock<double>};
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_SUMS_INL_H_

// Elements that count and others: the ones picked out, or replaced. A byte of the mask that is not zero counts.
#if defined(FASTNORM_MASKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_MASKS_INL_H_
#undef FASTNORM_MASKS_INL_H_
#else
#define FASTNORM_MASKS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// Elements as bits: nothing is computed with them.
template <class T>
using Bits =
    std::conditional_t<sizeof(T) == 2, std::uint16_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

template <class D>
HWY_INLINE hn::Mask<D> MaskOf(D d, const std::uint8_t* mask) {
    const auto bytes = hn::LoadU(hn::Rebind<std::uint8_t, D>(), mask);
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        const auto words = hn::PromoteTo(hn::Rebind<std::uint32_t, D>(), bytes);
        return hn::Ne(hn::PromoteTo(d, words), hn::Zero(d));
    } else {
        return hn::Ne(hn::PromoteTo(d, bytes), hn::Zero(d));
    }
}

// Which of n lanes of the compute type count; none behind them.
template <bool kFull, class D>
HWY_INLINE hn::Mask<D> Counts(D d, const std::uint8_t* mask, std::size_t n) {
    const hn::RebindToUnsigned<D> bits;
    if constexpr (kFull) return hn::RebindMask(d, MaskOf(bits, mask));
    HWY_ALIGN std::uint8_t buffer[Virtual<D>::kN + 16] = {};
    std::memcpy(buffer, mask, std::min(n, Virtual<D>::kN));
    return hn::RebindMask(d, MaskOf(bits, static_cast<const std::uint8_t*>(buffer)));
}

HWY_INLINE std::size_t CountNonzero(const std::uint8_t* mask, std::size_t n) {
    const hn::CappedTag<std::uint8_t, 64> d;
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    std::size_t i = 0, count = 0;
    for (; i + kN <= n; i += kN) count += hn::CountTrue(d, hn::Ne(hn::LoadU(d, mask + i), hn::Zero(d)));
    for (; i < n; ++i) count += mask[i] != 0;
    return count;
}

// See Kernels::column_counts.
HWY_INLINE void ColumnCounts(const std::uint8_t* mask, std::ptrdiff_t step, std::size_t rows, std::size_t lanes,
                             double* counts) {
    const hn::CappedTag<std::uint8_t, 64> d;
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    HWY_ALIGN std::uint8_t sums[kN];
    for (std::size_t i = 0; i < lanes; i += kN) {
        const std::size_t some = std::min(kN, lanes - i);
        std::fill_n(sums, kN, std::uint8_t{0});
        const std::uint8_t* row = mask + i;
        if (some == kN) {
            auto sum = hn::Zero(d);
            for (std::size_t k = 0; k < rows; ++k, row += step) {
                sum = hn::Sub(sum, hn::VecFromMask(d, hn::Ne(hn::LoadU(d, row), hn::Zero(d))));
            }
            hn::Store(sum, d, sums);
        } else {
            for (std::size_t k = 0; k < rows; ++k, row += step) {
                for (std::size_t lane = 0; lane < some; ++lane) sums[lane] += row[lane] != 0;
            }
        }
        std::copy_n(sums, some, counts + i);
    }
}

// Those of x that count, one after the other; returns how many. A vector more than these may be written. Without an
// instruction for it, one by one: tables of permutations, which Highway has, are copied to the stack by some compilers.
template <class T>
std::size_t Compress(const std::uint8_t* mask, std::size_t n, const T* x, T* to) {
    std::size_t i = 0, count = 0;
#if FASTNORM_AVX512
    using B = Bits<T>;
    const hn::CappedTag<B, 64 / sizeof(B)> d;
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    for (; i + kN <= n; i += kN) {
        const auto some = MaskOf(d, mask + i);
        // Whole vectors: the instruction that writes what it compresses is slow on AMD.
        const auto v = hn::Compress(hn::LoadU(d, reinterpret_cast<const B*>(x + i)), some);
        hn::StoreU(v, d, reinterpret_cast<B*>(to + count));
        count += hn::CountTrue(d, some);
    }
#endif
    for (; i < n; ++i) {
        std::memcpy(to + count, x + i, sizeof(T));
        count += mask[i] != 0;
    }
    return count;
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_MASKS_INL_H_

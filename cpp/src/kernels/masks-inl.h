// Elements that count and others: the ones picked out, or replaced. A byte of the mask that is not zero counts.
#if defined(FASTNORM_MASKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_MASKS_INL_H_
#undef FASTNORM_MASKS_INL_H_
#else
#define FASTNORM_MASKS_INL_H_
#endif

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

// See Kernels::select.
template <class T>
void Select(const std::uint8_t* mask, std::size_t n, const T* yes, const T* no, bool one, T* to, std::ptrdiff_t ahead) {
    using B = Bits<T>;
    B first;
    std::memcpy(&first, no, sizeof(B));
    const hn::CappedTag<B, 64 / sizeof(B)> d;
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    const auto same = hn::Set(d, first);
    std::size_t i = 0;
    for (; i + kN <= n; i += kN) {
        if (ahead) hwy::Prefetch(yes + i + ahead);
        const auto a = hn::LoadU(d, reinterpret_cast<const B*>(yes + i));
        const auto b = one ? same : hn::LoadU(d, reinterpret_cast<const B*>(no + i));
        hn::StoreU(hn::IfThenElse(MaskOf(d, mask + i), a, b), d, reinterpret_cast<B*>(to + i));
    }
    for (; i < n; ++i) std::memcpy(to + i, mask[i] ? yes + i : one ? no : no + i, sizeof(T));
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

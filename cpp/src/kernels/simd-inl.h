// Loads, stores and tails: the only place that knows how a data type becomes lanes of its compute type.
#if defined(FASTNORM_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_SIMD_INL_H_
#undef FASTNORM_SIMD_INL_H_
#else
#define FASTNORM_SIMD_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <utility>

#include "hwy/highway.h"
#include "table.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#undef FASTNORM_LAMBDA
// Lambdas between the always-inlined functions must be inlined too, or vectors would pass through memory.
#if HWY_COMPILER_MSVC
#define FASTNORM_LAMBDA
#else
#define FASTNORM_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif

// A vector of the compute type, at most 64 bytes.
template <class T>
using Tag = hn::CappedTag<Compute<T>, 64 / sizeof(Compute<T>)>;

// Sums run over 128 bytes of virtual lanes, whatever the vector length, so that every target adds in one order.
template <class D>
struct Virtual {
    static constexpr std::size_t kN = hn::MaxLanes(D());                // lanes of a vector
    static constexpr std::size_t kLanes = 128 / sizeof(hn::TFromD<D>);  // virtual lanes
    static constexpr std::size_t kParts = kLanes / kN;                  // vectors that hold them
    static constexpr std::size_t kQuad = 4 * kLanes;                    // elements added at a time
};

#undef FASTNORM_NATIVE_BF16
// Rounding to bfloat16 in hardware.
#if FASTNORM_HAS_BFLOAT16_TARGET && HWY_TARGET == HWY_AVX3_DL
#define FASTNORM_NATIVE_BF16 1
#else
#define FASTNORM_NATIVE_BF16 0
#endif

#undef FASTNORM_AVX512
#if HWY_TARGET == HWY_AVX3 || FASTNORM_NATIVE_BF16
#define FASTNORM_AVX512 1
#else
#define FASTNORM_AVX512 0
#endif

#undef FASTNORM_MASKED_MEMORY
// Masked loads that never touch memory behind the mask.
#if HWY_TARGET == HWY_AVX2 || FASTNORM_AVX512
#define FASTNORM_MASKED_MEMORY 1
#else
#define FASTNORM_MASKED_MEMORY 0
#endif

#undef FASTNORM_MASKED_HALVES
// The same for 16-bit lanes.
#if FASTNORM_AVX512
#define FASTNORM_MASKED_HALVES 1
#else
#define FASTNORM_MASKED_HALVES 0
#endif

#undef FASTNORM_NATIVE_F16
// Conversions of float16 in hardware. Highway's own emulation loses infinities.
#if HWY_TARGET == HWY_AVX2 || FASTNORM_AVX512 || HWY_TARGET == HWY_NEON || HWY_TARGET == HWY_NEON_WITHOUT_AES
#define FASTNORM_NATIVE_F16 1
#else
#define FASTNORM_NATIVE_F16 0
#endif

// Lanes whose value, below 2^31, is above a bound.
template <class D, class V>
HWY_INLINE auto Above(D d, V v, std::uint32_t bound) {
    const hn::RebindToSigned<D> i32;
    return hn::RebindMask(d, hn::Gt(hn::BitCast(i32, v), hn::Set(i32, static_cast<std::int32_t>(bound))));
}

template <class D>
using Narrow = hn::Vec<hn::Rebind<std::uint16_t, D>>;

// The values of the bits of a 16-bit type.
template <class D>
HWY_INLINE hn::Vec<D> Widened(Narrow<D> bits, D d, BF16) {
    const hn::Rebind<std::uint32_t, D> d32;
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}

template <class D>
HWY_INLINE hn::Vec<D> Widened(Narrow<D> narrow, D d, F16) {
#if FASTNORM_NATIVE_F16
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), narrow));
#else
    const hn::Rebind<std::uint32_t, D> d32;
    const auto bits = hn::PromoteTo(d32, narrow);
    const auto magnitude = hn::And(bits, hn::Set(d32, 0x7FFFu));
    const auto shifted = hn::ShiftLeft<13>(magnitude);
    // The product moves the exponent's bias from 15 to 127, exactly and for subnormal numbers too.
    const auto finite = hn::BitCast(d32, hn::Mul(hn::BitCast(d, shifted), hn::Set(d, 0x1p112f)));
    const auto special = hn::Or(shifted, hn::Set(d32, 0x7F800000u));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(d32, 0x8000u)));
    return hn::BitCast(d, hn::Or(sign, hn::IfThenElse(Above(d32, magnitude, 0x7BFFu), special, finite)));
#endif
}

// Not named Load and Store: argument-dependent lookup would prefer Highway's, which want alignment.
template <class D, class T>
HWY_INLINE hn::Vec<D> LoadLanes(D d, const T* p) {
    if constexpr (std::is_same_v<T, hn::TFromD<D>>)
        return hn::LoadU(d, p);
    else
        return Widened(hn::LoadU(hn::Rebind<std::uint16_t, D>(), reinterpret_cast<const std::uint16_t*>(p)), d, T{});
}

// The bits of a 16-bit type nearest to a value, ties to even.
template <class D>
HWY_INLINE Narrow<D> RoundedBits(hn::Vec<D> v, D) {
    const hn::Rebind<std::uint16_t, D> d16;
    const hn::Rebind<std::uint32_t, D> d32;
    const hn::Rebind<std::int32_t, D> i32;
    const auto bits = hn::BitCast(d32, v);
    const auto high = hn::ShiftRight<16>(bits);
    // Round to nearest even; a NaN must not be carried into infinity.
    const auto even = hn::And(high, hn::Set(d32, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(even, hn::Set(d32, 0x7FFFu))));
    const auto quiet = hn::Or(high, hn::Set(d32, 0x40u));
    const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
    const auto result = hn::IfThenElse(is_nan, quiet, rounded);
    return hn::DemoteTo(d16, hn::BitCast(i32, result));
}

template <class D>
HWY_INLINE Narrow<D> Rounded(hn::Vec<D> v, D d, BF16) {
#if FASTNORM_NATIVE_BF16
    // The instruction takes subnormal numbers for zero.
    if constexpr (Virtual<D>::kN == 16) {
        constexpr int kSubnormal = 0x20;
        if (HWY_LIKELY(_mm512_fpclass_ps_mask(v.raw, kSubnormal) == 0)) {
            __m256i rounded;
            asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(v.raw));
            return Narrow<D>{rounded};
        }
    }
#endif
    return RoundedBits(v, d);
}

template <class D>
HWY_INLINE Narrow<D> Rounded(hn::Vec<D> v, D d, F16) {
#if FASTNORM_NATIVE_F16
    (void)d;
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::BitCast(hn::Rebind<std::uint16_t, D>(), hn::DemoteTo(d16, v));
#else
    const hn::Rebind<std::uint16_t, D> d16;
    const hn::Rebind<std::uint32_t, D> d32;
    const hn::Rebind<std::int32_t, D> i32;
    const auto bits = hn::BitCast(d32, v);
    const auto magnitude = hn::And(bits, hn::Set(d32, 0x7FFFFFFFu));
    const auto even = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(d32, 1u));
    const auto carried = hn::Add(magnitude, hn::Add(even, hn::Set(d32, 0xFFFu)));
    const auto normal = hn::ShiftRight<13>(hn::Sub(carried, hn::Set(d32, 112u << 23)));
    // Next to 0.5 the units of float are those of the subnormal results: the addition rounds.
    const auto half = hn::Set(d, 0.5f);
    const auto small = hn::Sub(hn::BitCast(d32, hn::Add(hn::BitCast(d, magnitude), half)), hn::BitCast(d32, half));
    auto result = hn::IfThenElse(Above(d32, magnitude, 0x387FFFFFu), normal, small);
    result = hn::IfThenElse(Above(d32, magnitude, 0x477FEFFFu), hn::Set(d32, 0x7C00u), result);
    result = hn::IfThenElse(Above(d32, magnitude, 0x7F800000u), hn::Set(d32, 0x7E00u), result);
    result = hn::Or(result, hn::ShiftRight<16>(hn::AndNot(hn::Set(d32, 0x7FFFFFFFu), bits)));
    return hn::DemoteTo(d16, hn::BitCast(i32, result));
#endif
}

template <class D, class T>
HWY_INLINE void StoreLanes(hn::Vec<D> v, D d, T* p) {
    if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
        hn::StoreU(v, d, p);
    } else {
        hn::StoreU(Rounded(v, d, T{}), hn::Rebind<std::uint16_t, D>(), reinterpret_cast<std::uint16_t*>(p));
    }
}

// The first n < N lanes from p, `pad` in the others.
template <class D, class T>
HWY_INLINE hn::Vec<D> LoadTail(D d, const T* p, std::size_t n, hn::Vec<D> pad) {
    const auto mask = hn::FirstN(d, n);
#if FASTNORM_MASKED_MEMORY
    if constexpr (sizeof(T) >= 4) return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, p), pad);
#endif
#if FASTNORM_MASKED_HALVES
    if constexpr (sizeof(T) == 2) {
        const hn::Rebind<std::uint16_t, D> d16;
        const auto bits = hn::MaskedLoad(hn::FirstN(d16, n), d16, reinterpret_cast<const std::uint16_t*>(p));
        return hn::IfThenElse(mask, Widened(bits, d, T{}), pad);
    }
#endif
    HWY_ALIGN T buffer[Virtual<D>::kN] = {};
    std::memcpy(buffer, p, std::min(n, Virtual<D>::kN) * sizeof(T));  // the compiler must see the bound
    return hn::IfThenElse(mask, LoadLanes(d, buffer), pad);
}

#if HWY_TARGET != HWY_SCALAR
// The first n < N lanes in stores of a half, a quarter and so on.
template <class D>
HWY_INLINE void StoreParts(hn::Vec<D> v, D d, hn::TFromD<D>* p, std::size_t n) {
    constexpr std::size_t kHalf = Virtual<D>::kN / 2;
    if constexpr (kHalf == 0) {
        if (n > 0) hn::StoreU(v, d, p);
    } else {
        const hn::Half<D> half;
        if (n < kHalf) return StoreParts(hn::LowerHalf(half, v), half, p, n);
        hn::StoreU(hn::LowerHalf(half, v), half, p);
        StoreParts(hn::UpperHalf(half, v), half, p + kHalf, n - kHalf);
    }
}
#endif

// With AVX-512 by a mask. AVX2's masked store is microcode on AMD, some twenty operations for what are three here.
template <class D>
HWY_INLINE void StoreFirst(hn::Vec<D> v, D d, hn::TFromD<D>* p, std::size_t n) {
#if FASTNORM_MASKED_HALVES
    hn::BlendedStore(v, hn::FirstN(d, n), d, p);
#elif HWY_TARGET == HWY_SCALAR
    if (n > 0) hn::StoreU(v, d, p);
#else
    StoreParts(v, d, p, n);
#endif
}

template <class D, class T>
HWY_INLINE void StoreTail(hn::Vec<D> v, D d, T* p, std::size_t n) {
    if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
        StoreFirst(v, d, p, n);
    } else {
        StoreFirst(Rounded(v, d, T{}), hn::Rebind<std::uint16_t, D>(), reinterpret_cast<std::uint16_t*>(p), n);
    }
}

// The lanes at p: all of them, or only the first n.
template <bool kFull, class D, class T>
HWY_INLINE hn::Vec<D> LoadSome(D d, const T* p, std::size_t n) {
    if constexpr (kFull) return LoadLanes(d, p);
    return LoadTail(d, p, n, hn::Zero(d));
}

template <bool kFull, class D, class T>
HWY_INLINE void StoreSome(hn::Vec<D> v, D d, T* p, std::size_t n) {
    if constexpr (kFull) {
        StoreLanes(v, d, p);
    } else {
        StoreTail(v, d, p, n);
    }
}

// Stores past the caches; p must be aligned to the vector of T.
template <class D, class T>
HWY_INLINE void StreamLanes(hn::Vec<D> v, D d, T* p) {
    if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
        hn::Stream(v, d, p);
    } else if constexpr (Virtual<D>::kN * sizeof(T) < 16) {  // no such store writes less than 16 bytes
        StoreLanes(v, d, p);
    } else {
        hn::Stream(Rounded(v, d, T{}), hn::Rebind<std::uint16_t, D>(), reinterpret_cast<std::uint16_t*>(p));
    }
}

// Elements before the first address that is aligned to a whole vector.
template <class D, class T>
HWY_INLINE std::size_t Head(D, const T* p, std::size_t n) {
    constexpr std::size_t kBytes = Virtual<D>::kN * sizeof(T);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(p) % kBytes;
    return past == 0 ? 0 : std::min(n, (kBytes - past) / sizeof(T));
}

// Calls body(offset, count, full) for every vector of a run; `full` is a compile-time constant. With a head, the
// vectors start behind it.
template <std::size_t kN, class F>
HWY_INLINE void ForVectors(std::size_t n, F&& body, std::size_t head = 0) {
    std::size_t i = head;
    if (head > 0) body(0, head, std::false_type{});
    for (; i + kN <= n; i += kN) body(i, kN, std::true_type{});
    if (i < n) body(i, n - i, std::false_type{});
}

// Calls f(0), f(1), ... with constants: loops over vectors that must stay in registers. Without SIMD the "vectors" are
// many and may stay in memory.
#if HWY_TARGET == HWY_SCALAR
template <std::size_t kCount, class F>
HWY_INLINE void Unroll(F&& f) {
    for (std::size_t i = 0; i < kCount; ++i) f(i);
}
#else
template <class F, std::size_t... kIndex>
HWY_INLINE void UnrollIndices(F& f, std::index_sequence<kIndex...>) {
    (f(std::integral_constant<std::size_t, kIndex>()), ...);
}
template <std::size_t kCount, class F>
HWY_INLINE void Unroll(F&& f) {
    UnrollIndices(f, std::make_index_sequence<kCount>());
}
#endif

// Horizontal sums of several rows at a time: the lanes of a vector fold to 16 bytes, and four such rows are added
// across together. Each sum is the halving tree: lane i and i + half, down to one.
template <class D>
using FoldedTag = hn::CappedTag<hn::TFromD<D>, 16 / sizeof(hn::TFromD<D>)>;
inline constexpr std::size_t kFoldedRows = 4;

template <class D>
HWY_INLINE hn::Vec<FoldedTag<D>> Fold(D, hn::Vec<D> v) {
#if HWY_TARGET == HWY_SCALAR
    return v;
#else
    if constexpr (Virtual<D>::kN == Virtual<FoldedTag<D>>::kN) {
        return v;
    } else {
        const hn::Half<D> half;
        return Fold(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
    }
#endif
}

// Sums of four folded rows at `rows`, each of the tag's lanes.
template <class D, class C>
HWY_INLINE void SumFolded(D d, const C* rows, C* sums) {
#if HWY_TARGET == HWY_SCALAR
    (void)d;
    std::copy(rows, rows + kFoldedRows, sums);
#else
    const auto row = [&](std::size_t k) FASTNORM_LAMBDA { return hn::Load(d, rows + k * Virtual<D>::kN); };
    if constexpr (sizeof(C) == 4) {
        const auto fold = [&](auto a, auto b) FASTNORM_LAMBDA {
            return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
        };
        const auto ab = fold(row(0), row(1)), cd = fold(row(2), row(3));
        hn::StoreU(hn::Add(hn::ConcatEven(d, cd, ab), hn::ConcatOdd(d, cd, ab)), d, sums);
    } else {
        const auto pair = [&](auto a, auto b, C* to) FASTNORM_LAMBDA {
            hn::StoreU(hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)), d, to);
        };
        pair(row(0), row(1), sums);
        pair(row(2), row(3), sums + 2);
    }
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_SIMD_INL_H_

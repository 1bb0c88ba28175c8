// The loop that writes a plane, and what it writes: normalized values, the gradient of the input, and the other
// elementwise steps around them.
//
//     t = (x - h) - l        xhat = t*r        z = xhat*w + b
//     y  = act(z)
//     dx = r*((dy*w - c1) - xhat*c2) + added
//
// Subtracting the mean in two parts before scaling keeps the error independent of mean/std; y = x*a + b would not.
#if defined(FASTNORM_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_ELEMENTWISE_INL_H_
#undef FASTNORM_ELEMENTWISE_INL_H_
#else
#define FASTNORM_ELEMENTWISE_INL_H_
#endif

#include <limits>

#include "activations-inl.h"
#include "hwy/cache_control.h"
#include "masks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// Where in a pattern of lanes a vector begins.
struct Phase {
    std::size_t lanes;
};

// Values that are one vector a row (kLanes = false) or one per lane.
template <class D, bool kLanes, std::size_t kCount>
struct Values {
    D d;
    const hn::TFromD<D>* at[kCount];
    hn::Vec<D> splat[kCount];

    HWY_INLINE Values(D tag, std::ptrdiff_t row, const hn::TFromD<D>* const (&sources)[kCount]) : d(tag) {
        for (std::size_t k = 0; k < kCount; ++k) {
            at[k] = sources[k] + row;
            splat[k] = kLanes ? hn::Zero(d) : hn::Set(d, *at[k]);
        }
    }
    // Of a pattern, for vectors of one phase.
    HWY_INLINE Values(D tag, Phase phase, const hn::TFromD<D>* const (&sources)[kCount]) : d(tag) {
        for (std::size_t k = 0; k < kCount; ++k) at[k] = sources[k], splat[k] = hn::LoadU(d, sources[k] + phase.lanes);
    }
    template <bool kFull>
    HWY_INLINE hn::Vec<D> Get(std::size_t k, std::size_t i, std::size_t n) const {
        if constexpr (kLanes) return LoadSome<kFull>(d, at[k] + i, n);
        return splat[k];
    }
    // The first lanes are of this row, the others of the next one.
    HWY_INLINE void Join(const Values& next, hn::Mask<D> first) {
        if (kLanes) return;
        for (std::size_t k = 0; k < kCount; ++k) splat[k] = hn::IfThenElse(first, splat[k], next.splat[k]);
    }
};

// Calls f(Bool<stat_lanes>, Bool<param_lanes>).
template <class T, class F>
HWY_INLINE void WithForm(const Plane<T>& p, F&& f) {
    if (p.stat_lanes) {
        p.param_lanes ? f(std::true_type{}, std::true_type{}) : f(std::true_type{}, std::false_type{});
    } else {
        p.param_lanes ? f(std::false_type{}, std::true_type{}) : f(std::false_type{}, std::false_type{});
    }
}

template <bool kFull, class D, class T>
HWY_INLINE void StoreOut(hn::Vec<D> v, D d, T* p, std::size_t n, bool stream) {
    if constexpr (kFull) {
        if (stream) {
            StreamLanes(v, d, p);
            return;
        }
    }
    StoreSome<kFull>(v, d, p, n);
}

// One row of a plane, and what the operations make of its elements.
template <class T, bool kStatLanes, bool kParamLanes>
struct PlaneRow {
    using D = Tag<T>;
    using V = hn::Vec<D>;

    D d;
    const T *x, *dy, *added;
    const std::uint8_t* mask;
    Values<D, kStatLanes, 5> stat;
    Values<D, kParamLanes, 2> param;
    std::size_t bias_mask;  // of the lane whose bias is loaded

    HWY_INLINE PlaneRow(const Plane<T>& p, std::ptrdiff_t row)
        : x(p.x + row * p.x_row),
          dy(p.dy + row * p.dy_row),
          added(p.added + row * p.added_row),
          mask(p.mask + row * p.mask_row),
          stat(d, row * p.stat_row, {p.h, p.l, p.r, p.c1, p.c2}),
          param(d, row * p.param_row, {p.w, p.b}),
          bias_mask(p.no_bias ? 0 : ~std::size_t{0}) {}

    // The same of a plane that is one row.
    HWY_INLINE PlaneRow(const Plane<T>& p, Phase phase)
        : x(p.x),
          dy(p.dy),
          added(p.added),
          mask(p.mask),
          stat(d, phase, {p.h, p.l, p.r, p.c1, p.c2}),
          param(d, phase, {p.w, p.b}),
          bias_mask(~std::size_t{0}) {}

    HWY_INLINE void Join(const PlaneRow& next, std::size_t own) {
        const auto first = hn::FirstN(d, own);
        stat.Join(next.stat, first), param.Join(next.param, first);
    }
    template <bool kFull>
    HWY_INLINE V Load(const T* from, std::size_t i, std::size_t n) const {
        return LoadSome<kFull>(d, from + i, n);
    }
    template <bool kFull>
    HWY_INLINE V XHat(std::size_t i, std::size_t n) const {
        const auto centred = hn::Sub(hn::Sub(Load<kFull>(x, i, n), stat.template Get<kFull>(0, i, n)),
                                     stat.template Get<kFull>(1, i, n));
        return hn::Mul(centred, stat.template Get<kFull>(2, i, n));
    }
    template <bool kFull>
    HWY_INLINE V Z(std::size_t i, std::size_t n) const {
        return hn::MulAdd(XHat<kFull>(i, n), param.template Get<kFull>(0, i, n),
                          param.template Get<kFull>(1, i & bias_mask, n));
    }
    template <bool kFull>
    HWY_INLINE V InputGradient(std::size_t i, std::size_t n) const {
        const auto g = hn::Mul(Load<kFull>(dy, i, n), param.template Get<kFull>(0, i, n));
        const auto rest = hn::NegMulAdd(XHat<kFull>(i, n), stat.template Get<kFull>(4, i, n),
                                        hn::Sub(g, stat.template Get<kFull>(3, i, n)));
        return hn::Mul(stat.template Get<kFull>(2, i, n), rest);
    }
};

// ForPlane for rows that follow one another: as one long row, whose values change where a row ends. Rows are at least a
// vector long, so a vector meets two of them at the most. Values of lanes begin anew behind their end, see Plane.
template <class Row, class T, class F>
HWY_NOINLINE void ForFlat(const Plane<T>& plane, const F body) {
    const Plane<T> p = plane;  // a copy, which no store can reach
    Row row(p, 0);
    std::size_t next = 1, begin = 0, end = p.lanes;
    const auto vector = [&](std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        if (p.ahead) hwy::Prefetch(p.x + i + p.ahead);
        if (i >= end) row = Row(p, static_cast<std::ptrdiff_t>(next++)), begin = end, end += p.lanes;
        Row of = row;
        if (HWY_UNLIKELY(i + count > end)) of.Join(Row(p, static_cast<std::ptrdiff_t>(next)), end - i);
        StoreOut<decltype(full)::value>(body(of, i - begin, count, full), of.d, p.y + i, count, p.stream);
    };
    constexpr std::size_t kN = Virtual<Tag<T>>::kN;
    const std::size_t n = p.rows * p.lanes;
    // ForVectors with head and tail in one call of `vector`, which is long and inlined.
    std::size_t i = 0;
    for (std::size_t some = Head(row.d, p.y, n);; some = n - i) {
        if (some > 0) vector(i, some, std::false_type{});
        for (i += some; i + kN <= n; i += kN) vector(i, kN, std::true_type{});
        if (i >= n) break;
    }
}

// ForPlane for rows of one pattern, of which three vectors hold whole ones: they stay in registers.
constexpr std::size_t kPatternVectors = 3;

template <class Row, class T, class F>
HWY_NOINLINE void ForPattern(const Plane<T>& plane, const F body) {
    const Plane<T> p = plane;  // as above
    constexpr std::size_t kN = Virtual<Tag<T>>::kN;
    const auto vector = [&](const Row& row, std::size_t i, std::size_t count, auto full) FASTNORM_LAMBDA {
        StoreOut<decltype(full)::value>(body(row, i, count, full), row.d, p.y + i, count, p.stream);
    };
    const std::size_t n = p.rows * p.lanes, head = Head(Tag<T>(), p.y, n);
    std::size_t i = head;
    if (head > 0) vector(Row(p, Phase{0}), 0, head, std::false_type{});
    const std::size_t phase = head % p.period;
    const Row first(p, Phase{phase}), second(p, Phase{phase + kN}), third(p, Phase{phase + 2 * kN});
    for (; i + 3 * kN <= n; i += 3 * kN) {
        vector(first, i, kN, std::true_type{});
        vector(second, i + kN, kN, std::true_type{});
        vector(third, i + 2 * kN, kN, std::true_type{});
    }
    for (; i < n; i += kN) vector(Row(p, Phase{i % p.period}), i, std::min(kN, n - i), std::false_type{});
}

// From this many vectors on, a row's stores are worth being aligned: a vector across two lines takes twice as long, and
// inputs often begin in memory as the output does. Arrays of NumPy are aligned to 16 bytes only.
constexpr std::size_t kAlignedVectors = 4;

template <class Row, class T, class F>
HWY_NOINLINE void ForRows(const Plane<T>& plane, const F body) {
    const Plane<T> p = plane;  // as above
    constexpr std::size_t kN = Virtual<Tag<T>>::kN;
    for (std::size_t at = 0; at < p.rows; ++at) {
        const auto offset = static_cast<std::ptrdiff_t>(at);
        const Row row(p, offset);
        T* const y = p.y + offset * p.y_row;
        ForVectors<kN>(
            p.lanes,
            [&](std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
                if (p.ahead) hwy::Prefetch(row.x + i + p.ahead);
                StoreOut<decltype(full)::value>(body(row, i, n, full), row.d, y + i, n, p.stream);
            },
            p.stream || p.lanes >= kAlignedVectors * kN ? Head(row.d, y, p.lanes) : 0);
    }
}

// Writes what `body(row, i, n, full)` returns, the lanes of a vector, for every vector of the plane. Each loop is a
// function of its own: the time that compilers take for one function grows with the square of its size. kPatterns: keep
// patterns in registers, which pays where a body has little to compute.
template <bool kPatterns, class T, class F>
HWY_INLINE void ForPlane(const Plane<T>& p, const F& body) {
    WithForm(p, [&](auto stat, auto param) FASTNORM_LAMBDA {
        using Row = PlaneRow<T, decltype(stat)::value, decltype(param)::value>;
        // Columns whose parameters vary by row are too rare to have a loop of their own.
        if constexpr (!decltype(stat)::value || decltype(param)::value) {
            if (p.flat && p.lanes >= Virtual<Tag<T>>::kN) return ForFlat<Row>(p, body);
        }
        if constexpr (kPatterns && decltype(stat)::value && decltype(param)::value) {
            constexpr std::size_t kPattern = kPatternVectors * Virtual<Tag<T>>::kN;
            if (p.period && kPattern % p.period == 0 && p.lanes >= kPattern + p.period)
                return ForPattern<PlaneRow<T, false, false>>(p, body);
        }
        ForRows<Row>(p, body);
    });
    if (p.stream) hwy::FlushStream();
}

template <Activation kActivation, class T>
HWY_INLINE void NormalizeTo(const Plane<T>& p) {
    ForPlane<kActivation <= Activation::relu>(
        p, [](const auto& row, std::size_t i, std::size_t n, auto full)
               FASTNORM_LAMBDA { return Activate<kActivation>(row.d, row.template Z<decltype(full)::value>(i, n)); });
}

template <class T>
void Normalize(const Plane<T>& p) {
    switch (p.activation) {
        case Activation::none:
            return NormalizeTo<Activation::none>(p);
        case Activation::relu:
            return NormalizeTo<Activation::relu>(p);
        case Activation::silu:
            return NormalizeTo<Activation::silu>(p);
        case Activation::gelu:
            return NormalizeTo<Activation::gelu>(p);
        case Activation::gelu_tanh:
            return NormalizeTo<Activation::gelu_tanh>(p);
    }
}

template <class T>
void InputGradient(const Plane<T>& p) {
    if (p.mask) {
        ForPlane<false>(p, [](const auto& row, std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
            constexpr bool kFull = decltype(full)::value;
            const auto scaled = hn::Mul(row.template Load<kFull>(row.dy, i, n), row.stat.template Get<kFull>(2, i, n));
            const auto outside = hn::Mul(scaled, row.param.template Get<kFull>(0, i, n));
            const auto counts = Counts<kFull>(row.d, row.mask + i, n);
            return hn::IfThenElse(counts, row.template InputGradient<kFull>(i, n), outside);
        });
        return;
    }
    if (!p.added) {
        ForPlane<true>(p, [](const auto& row, std::size_t i, std::size_t n, auto full)
                              FASTNORM_LAMBDA { return row.template InputGradient<decltype(full)::value>(i, n); });
        return;
    }
    ForPlane<false>(p, [](const auto& row, std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
        constexpr bool kFull = decltype(full)::value;
        return hn::Add(row.template InputGradient<kFull>(i, n), row.template Load<kFull>(row.added, i, n));
    });
}

template <Activation kActivation, class T>
HWY_INLINE void ActivationGradientOf(const Plane<T>& p) {
    ForPlane<false>(p, [](const auto& row, std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
        constexpr bool kFull = decltype(full)::value;
        const auto slope = ActivationSlope<kActivation>(row.d, row.template Z<kFull>(i, n));
        return hn::Mul(row.template Load<kFull>(row.dy, i, n), slope);
    });
}

template <class T>
void ActivationGradient(const Plane<T>& p) {
    switch (p.activation) {
        case Activation::none:
        case Activation::relu:
            return ActivationGradientOf<Activation::relu>(p);
        case Activation::silu:
            return ActivationGradientOf<Activation::silu>(p);
        case Activation::gelu:
            return ActivationGradientOf<Activation::gelu>(p);
        case Activation::gelu_tanh:
            return ActivationGradientOf<Activation::gelu_tanh>(p);
    }
}

template <class T>
void Add(const Plane<T>& p) {
    ForPlane<false>(p, [](const auto& row, std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
        constexpr bool kFull = decltype(full)::value;
        return hn::Add(row.template Load<kFull>(row.x, i, n), row.template Load<kFull>(row.dy, i, n));
    });
}

// Copies past the caches, whatever the alignment.
template <class T>
void StreamCopy(const T* from, std::size_t n, T* to) {
    const hn::CappedTag<std::uint8_t, 64> d;
    constexpr std::size_t kN = Virtual<std::remove_const_t<decltype(d)>>::kN;
    const auto* source = reinterpret_cast<const std::uint8_t*>(from);
    auto* target = reinterpret_cast<std::uint8_t*>(to);
    const std::size_t bytes = n * sizeof(T), head = Head(d, target, bytes);
    std::memcpy(target, source, head);
    std::size_t i = head;
    for (; i + kN <= bytes; i += kN) hn::Stream(hn::LoadU(d, source + i), d, target + i);
    std::memcpy(target + i, source + i, bytes - i);
    hwy::FlushStream();
}

// y / scale, correctly rounded, without a division: the error of the quotient is measured twice and taken off
// (Markstein, 1990). 1 / scale and the errors must be normal numbers.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V QuotientByReciprocal(V y, V scale, V reciprocal) {
    V quotient = hn::Mul(y, reciprocal);
    quotient = hn::MulAdd(hn::NegMulAdd(quotient, scale, y), reciprocal, quotient);
    return hn::MulAdd(hn::NegMulAdd(quotient, scale, y), reciprocal, quotient);
}

// A sum with this number has whole steps, so that it is rounded to even, and ends in the bits of the whole part.
template <class C>
inline constexpr C kWhole = sizeof(C) == 4 ? C(0x1.8p23) : C(0x1.8p52);

template <class D>
using Bytes = hn::Vec<hn::Rebind<std::uint8_t, D>>;

// Not by TruncateTo where there is another way: Highway 1.0.3 has a wrong one of 32 bits for newer processors.
template <class D>
HWY_INLINE Bytes<D> LowBytes(D, hn::Vec<D> v) {
    const hn::Rebind<std::uint8_t, D> bytes;
    const hn::RebindToUnsigned<D> whole;
#if FASTNORM_AVX512
    if constexpr (hn::MaxLanes(D()) == 16) return {_mm512_cvtepi32_epi8(hn::BitCast(whole, v).raw)};
#endif
    if constexpr (sizeof(hn::TFromD<D>) == 4) {
        const auto low = hn::And(hn::BitCast(whole, v), hn::Set(whole, 0xFFu));
        return hn::DemoteTo(bytes, hn::BitCast(hn::RebindToSigned<D>(), low));
    } else {
        return hn::TruncateTo(bytes, hn::BitCast(whole, v));
    }
}

// What scale and zero point make of y. NaN, which has no byte, becomes the zero point.
template <class C, bool kReciprocal>
class RoundToByte {
    using D = Tag<C>;
    using V = hn::Vec<D>;

public:
    RoundToByte(C least, C most, V scale, V zero) : scale_(scale), zero_(zero) {
        const D d;
        low_ = hn::Sub(hn::Set(d, least), zero), high_ = hn::Sub(hn::Set(d, most), zero);
        if constexpr (kReciprocal) {  // infinities have no error that could be measured: limits come first
            reciprocal_ = hn::Div(hn::Set(d, C(1)), scale);
            low_ = hn::Mul(low_, scale), high_ = hn::Mul(high_, scale);
        }
    }

    HWY_INLINE V Within(V value) const { return hn::Min(hn::Max(value, low_), high_); }
    HWY_INLINE Bytes<D> operator()(V y) const {
        const D d;
        V value = hn::IfThenElseZero(hn::Eq(y, y), y);
        if constexpr (!kReciprocal)
            value = hn::Div(value, scale_), value = hn::IfThenElseZero(hn::Eq(value, value), value);
        value = Within(value);
        if constexpr (kReciprocal) value = QuotientByReciprocal<D>(value, scale_, reciprocal_);
        return LowBytes(d, hn::Add(hn::Add(value, hn::Set(d, kWhole<C>)), zero_));
    }

private:
    V scale_, zero_, low_, high_, reciprocal_;
};

// Rounds y times a little less and a little more than 1 / scale. Where both give one byte, y / scale gives it too,
// however that was rounded itself: ties, and what is close to one, remain.
template <class C>
class RoundToByteTwice {
    using D = Tag<C>;
    using V = hn::Vec<D>;
    using Whole = hn::RebindToUnsigned<D>;

public:
    RoundToByteTwice(C scale, C zero) : shift_(hn::Set(D(), kWhole<C> + zero)), apart_(hn::Zero(Whole())) {
        constexpr C kOff = 2 * std::numeric_limits<C>::epsilon();
        less_ = hn::Set(D(), 1 / scale * (1 - kOff)), more_ = hn::Set(D(), 1 / scale * (1 + kOff));
    }

    HWY_INLINE Bytes<D> operator()(V y) {
        const V low = hn::MulAdd(y, less_, shift_), high = hn::MulAdd(y, more_, shift_);
        apart_ = hn::Or(apart_, hn::Xor(hn::BitCast(Whole(), low), hn::BitCast(Whole(), high)));
        return LowBytes(D(), low);
    }
    bool Agree() const { return hn::AllTrue(Whole(), hn::Eq(apart_, hn::Zero(Whole()))); }

private:
    V less_, more_, shift_;
    hn::Vec<Whole> apart_;
};

// Writes the bytes that round(lanes, i, count) makes of y[i...).
template <class T, class F>
HWY_INLINE void ForBytes(const T* y, std::size_t n, std::uint8_t* to, F&& round) {
    const Tag<T> d;
    const hn::Rebind<std::uint8_t, Tag<T>> bytes;
    ForVectors<Virtual<Tag<T>>::kN>(n, [&](std::size_t i, std::size_t some, auto full) FASTNORM_LAMBDA {
        constexpr bool kFull = decltype(full)::value;
        const auto low = round(LoadSome<kFull>(d, y + i, some), i, some);
        if constexpr (kFull) {
            hn::StoreU(low, bytes, to + i);
        } else {
            HWY_ALIGN std::uint8_t last[hn::MaxLanes(bytes)];
            hn::StoreU(low, bytes, last);
            std::memcpy(to + i, last, some);
        }
    });
}

// By a scale that has a normal inverse: twice, and the pieces in which that does not tell as quotients. What `limit`
// makes of lanes is numbers that have a byte.
template <class T, class F>
HWY_INLINE void QuantizeTwice(const T* y, std::size_t n, const Quantizer<Compute<T>>& by, std::uint8_t* to, F&& limit) {
    using C = Compute<T>;
    const Tag<T> d;
    const C scale = *by.scale, zero = *by.zero, least = by.least, most = by.most;
    constexpr std::size_t kPiece = 1024;
    for (std::size_t i = 0; i < n; i += kPiece) {
        const std::size_t some = std::min(kPiece, n - i);
        RoundToByteTwice<C> twice(scale, zero);
        ForBytes(y + i, some, to + i,
                 [&](auto v, std::size_t, std::size_t) FASTNORM_LAMBDA { return twice(limit(v)); });
        if (twice.Agree()) continue;
        const RoundToByte<C, true> round(least, most, hn::Set(d, scale), hn::Set(d, zero));
        ForBytes(y + i, some, to + i, [&](auto v, std::size_t, std::size_t) FASTNORM_LAMBDA { return round(v); });
    }
}

template <class T>
void Quantize(const T* y, std::size_t n, const Quantizer<Compute<T>>& by, std::uint8_t* to) {
    using C = Compute<T>;
    const Tag<T> d;
    if (by.lanes) {
        const auto one = hn::Set(d, C(1));
        const C *const scales = by.scale, *const zeros = by.zero;  // nothing that bytes could be written over
        const C least = by.least, most = by.most;
        return ForBytes(y, n, to, [&](auto value, std::size_t i, std::size_t some) FASTNORM_LAMBDA {
            return RoundToByte<C, false>(least, most, LoadTail(d, scales + i, some, one),
                                         LoadTail(d, zeros + i, some, one))(value);
        });
    }
#if HWY_NATIVE_FMA
    if (*by.scale > C(0x1p-100) && *by.scale < C(0x1p100)) {
        if (by.within) return QuantizeTwice(y, n, by, to, [](auto v) FASTNORM_LAMBDA { return v; });
        const RoundToByte<C, true> round(by.least, by.most, hn::Set(d, *by.scale), hn::Set(d, *by.zero));
        return QuantizeTwice(y, n, by, to,
                             [&](auto v) FASTNORM_LAMBDA { return round.Within(hn::IfThenElseZero(hn::Eq(v, v), v)); });
    }
#endif
    const RoundToByte<C, false> round(by.least, by.most, hn::Set(d, *by.scale), hn::Set(d, *by.zero));
    ForBytes(y, n, to, [&](auto v, std::size_t, std::size_t) FASTNORM_LAMBDA { return round(v); });
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_ELEMENTWISE_INL_H_

// Activations z -> act(z) and their slopes, in vectors.
//
//     relu        max(z, 0), NaN passes; the slope at 0 is 0
//     silu        z * s(z)               s(z) = 1 / (1 + exp(-z))
//     gelu        z * P(z)               P the normal distribution function
//     gelu_tanh   z * s(2q)              q = sqrt(2/pi) * (z + 0.044715 z^3); this is z/2 * (1 + tanh(q))
#if defined(FASTNORM_ACTIVATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_ACTIVATIONS_INL_H_
#undef FASTNORM_ACTIVATIONS_INL_H_
#else
#define FASTNORM_ACTIVATIONS_INL_H_
#endif

#include <array>

#include "hwy/contrib/math/math-inl.h"
#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

// What a value is multiplied by, and how that changes with it: act(z) = z*gate, act'(z) = gate + z*change.
template <class V>
struct Gate {
    V gate, change;
};

template <class D>
HWY_INLINE hn::Vec<D> Constant(D d, double value) {
    return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}

// Terms of exp(v / parts), the highest first, by interpolation at Chebyshev's points, relative error 1e-8.
constexpr std::array<float, 7> ExpTerms(int parts) {
    const double terms[] = {1, 1, 0.5, 0.16666576306, 0.041666553763, 0.008363292753, 0.0013926325618};
    std::array<float, 7> scaled{};
    double power = 1;
    for (std::size_t i = 0; i < scaled.size(); ++i, power /= parts)
        scaled[scaled.size() - 1 - i] = static_cast<float>(terms[i] * power);
    return scaled;
}

// exp(v / kParts) as 2^n * exp(r / kParts), where n is rounded and r what is left. kParts is a power of two.
template <class D, int kParts, class V = hn::Vec<D>>
struct Power {
    V shifted, n;  // adding kShifter leaves n in the low bits

    HWY_INLINE Power(D d, V v)
        : shifted(hn::MulAdd(v, Constant(d, 1.44269504088896340736 / kParts), Constant(d, kShifter))) {
        n = hn::Sub(shifted, Constant(d, kShifter));
    }

    HWY_INLINE V Of(D d, V r) const {
        const hn::RebindToSigned<D> di;
        static constexpr auto kTerms = ExpTerms(kParts);
        auto p = hn::Set(d, kTerms[0]);
        for (std::size_t i = 1; i < kTerms.size(); ++i) p = hn::MulAdd(p, r, hn::Set(d, kTerms[i]));
        return hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
    }

    static constexpr double kShifter = 0x1.8p23;
    // log(2) in two parts, of which the first has few digits: any n times it is exact.
    static constexpr double kLogHigh = kParts * 0x1.62e4p-1, kLogLow = kParts * 1.42860682030941723e-6;
};

// exp(v) for v <= 87 in float32, 706 in float64; 0 where it is no normal number.
template <class D, class V>
HWY_INLINE V ExpOf(D d, V v) {
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        return hn::IfThenElseZero(hn::Gt(v, Constant(d, -706)), hn::Exp(d, v));
    } else {
        using P = Power<D, 1>;
        const P power(d, v);
        const auto r = hn::NegMulAdd(power.n, Constant(d, P::kLogHigh), v);
        const auto e = power.Of(d, hn::NegMulAdd(power.n, Constant(d, P::kLogLow), r));
        return hn::IfThenElseZero(hn::Gt(v, Constant(d, -87)), e);
    }
}

// a^2 - b, of which the square is not rounded.
template <class D, class V>
HWY_INLINE V SquareLess(D d, V a, V b) {
#if HWY_NATIVE_FMA
    (void)d;
    return hn::MulSub(a, a, b);
#else
    const hn::RebindToUnsigned<D> bits;
    const auto upper =
        hn::Set(bits, static_cast<hn::TFromD<decltype(bits)>>(sizeof(hn::TFromD<D>) == 4 ? ~0xFFFull : ~0x7FFFFFFull));
    const V high = hn::BitCast(d, hn::And(hn::BitCast(bits, a), upper));  // half of the digits: its square is exact
    return hn::Add(hn::Sub(hn::Mul(high, high), b), hn::Mul(hn::Sub(a, high), hn::Add(a, high)));
#endif
}

// exp(-z^2/2), 0 where it is no normal number. The square is not rounded: a unit of it is many of the result.
template <class D, class V>
HWY_INLINE V ExpOfSquare(D d, V z) {
    const auto square = hn::Mul(z, z);
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        const auto lost = hn::Mul(Constant(d, 0.5), SquareLess(d, z, square));
        const auto rough = ExpOf(d, hn::Mul(Constant(d, -0.5), square));
        return hn::NegMulAdd(rough, lost, rough);
    } else {
        using P = Power<D, -2>;
        const P power(d, square);
        const auto r = SquareLess(d, z, hn::Mul(power.n, Constant(d, P::kLogHigh)));
        const auto e = power.Of(d, hn::NegMulAdd(power.n, Constant(d, P::kLogLow), r));
        return hn::IfThenElseZero(hn::Lt(square, Constant(d, 2 * 87)), e);
    }
}

// 1 / v for normal positive v with a normal inverse. A float32 division takes as long as everything else here, so it is
// a step of third and one of second order from a guess by the exponent, relative error 2e-8; all operations are exactly
// rounded, so all targets agree.
template <class D, class V>
HWY_INLINE V Inverse(D d, V v) {
    const auto one = Constant(d, 1);
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        return hn::Div(one, v);
    } else {
        const hn::RebindToSigned<D> di;
        auto r = hn::BitCast(d, hn::Sub(hn::Set(di, 0x7EF311C7), hn::BitCast(di, v)));  // within 0.0506
        const auto off = hn::NegMulAdd(v, r, one);
        r = hn::MulAdd(hn::MulAdd(off, off, off), r, r);
        return hn::MulAdd(hn::NegMulAdd(v, r, one), r, r);
    }
}

// s(v) and its slope s*(1 - s); zero where exp(-v) or its inverse is no normal number, so that z*s vanishes for any z.
template <class D, class V>
HWY_INLINE Gate<V> Logistic(D d, V v) {
    const auto most = Constant(d, sizeof(hn::TFromD<D>) == 4 ? 87.0 : 706.0);
    const auto e = ExpOf(d, hn::Min(hn::Neg(v), most));
    const auto s = hn::IfThenElseZero(hn::Lt(hn::Neg(v), most), Inverse(d, hn::Add(Constant(d, 1), e)));
    return {s, hn::Mul(hn::Mul(e, s), s)};
}

// (z + shift) * exp(z^2/2) * (1 - P(z)), P the normal distribution function, by polynomials in 1 / (z + shift) -
// middle, from z = 0 to where the product is no normal number; fitted in 40 digits. The substitution is that of
// Schonfelder, 1978.
template <class T>
struct TailPolynomial;
template <>
struct TailPolynomial<float> {  // relative error 1.5e-8
    static constexpr double kShift = 2.5, kMiddle = 0.24;
    static constexpr float kTerms[] = {304.23724f, -10.635133f, -74.43722f, 20.654406f, 12.328509f,
                                       -8.431728f, -2.6679208f, 3.0674064f, 2.4243572f, 0.7985751f};
};
template <>
struct TailPolynomial<double> {  // relative error 1e-17
    static constexpr double kShift = 3.5, kMiddle = 0.155;
    static constexpr double kTerms[] = {
        -41156344452.7899706, 7792110383.17645949,  5801083465.79249445,  -1821574609.01626347, -250374977.698353103,
        207370633.117069499,  -21227322.8244733906, -14033285.8504484209, 5036822.95801407894,  335393.085158339976,
        -581054.188800096192, 67654.4696557239653,  53746.7212545217368,  -15130.6686322146912, -4942.42543986809216,
        2323.04264238207481,  614.77037181518384,   -333.197848639906616, -134.779871141951308, 34.3849238529464163,
        41.6619612674861651,  16.9407878110374822,  4.35218317265227328,  0.794839923761740696};
};

// Of |z|, at most 38, where the density is 0: exp(-z^2/2), and what 1 - P is of it.
template <class V>
struct Tail {
    V size, e, share;
};

template <class D, class V>
HWY_INLINE Tail<V> NormalTail(D d, V z) {
    using Polynomial = TailPolynomial<hn::TFromD<D>>;
    const auto size = hn::Min(hn::Abs(z), Constant(d, 38));
    const auto inverse = Inverse(d, hn::Add(size, Constant(d, Polynomial::kShift)));
    const auto t = hn::Sub(inverse, Constant(d, Polynomial::kMiddle));
    auto p = hn::Set(d, Polynomial::kTerms[0]);
    for (std::size_t i = 1; i < std::size(Polynomial::kTerms); ++i)
        p = hn::MulAdd(p, t, hn::Set(d, Polynomial::kTerms[i]));
    return {size, ExpOfSquare(d, size), hn::Mul(p, inverse)};
}

// The normal distribution function and its density.
template <class D, class V>
HWY_INLINE Gate<V> Normal(D d, V z) {
    const Tail<V> tail = NormalTail(d, z);
    const auto above = hn::Mul(tail.e, tail.share);
    return {hn::IfThenElse(hn::Lt(z, hn::Zero(d)), above, hn::Sub(Constant(d, 1), above)),
            hn::Mul(tail.e, Constant(d, 0.39894228040143267794))};
}

// s(2q) and its slope. Where the square or the cube overflow, s is 0 or 1 and s*(1 - s) is 0.
template <class D, class V>
HWY_INLINE Gate<V> NormalByTanh(D d, V z) {
    const auto square = hn::Mul(z, z);
    constexpr double kScale = 1.59576912160573071176, kCubic = 0.044715;  // 2 sqrt(2/pi)
    const Gate<V> logistic =
        Logistic(d, hn::Mul(z, hn::MulAdd(square, Constant(d, kScale * kCubic), Constant(d, kScale))));
    const auto slope = hn::MulAdd(square, Constant(d, 3 * kScale * kCubic), Constant(d, kScale));
    return {logistic.gate, hn::Mul(logistic.change, hn::Min(slope, Constant(d, 1e30)))};
}

#undef FASTNORM_GATE
// What every loop has a copy of. Where vectors are short and arithmetic slow a call costs little, and a wheel has room
// for one of them only.
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SCALAR
#define FASTNORM_GATE HWY_NOINLINE
#else
#define FASTNORM_GATE HWY_INLINE
#endif

template <Activation kActivation, class D, class V>
FASTNORM_GATE Gate<V> GateOf(D d, V z) {
    if constexpr (kActivation == Activation::silu) return Logistic(d, z);
    if constexpr (kActivation == Activation::gelu) return Normal(d, z);
    if constexpr (kActivation == Activation::gelu_tanh) return NormalByTanh(d, z);
}

// NaN passes.
template <class D, class V>
HWY_INLINE V Relu(D d, V z) {
    return hn::IfThenZeroElse(hn::Le(z, hn::Zero(d)), z);
}

template <Activation kActivation, class D, class V>
HWY_INLINE V Activate(D d, V z) {
    if constexpr (kActivation == Activation::none) return z;
    if constexpr (kActivation == Activation::relu) return Relu(d, z);
    if constexpr (kActivation == Activation::gelu) {  // z or 0, less what is above |z| of it
        const Tail<V> tail = NormalTail(d, z);
        return hn::NegMulAdd(hn::Mul(tail.size, tail.e), tail.share, Relu(d, z));
    }
    if constexpr (kActivation == Activation::silu || kActivation == Activation::gelu_tanh)
        return hn::Mul(z, GateOf<kActivation>(d, z).gate);
}

template <Activation kActivation, class D, class V>
HWY_INLINE V ActivationSlope(D d, V z) {
    if constexpr (kActivation == Activation::relu) {
        const auto one = hn::IfThenElse(hn::IsNaN(z), z, Constant(d, 1));
        return hn::IfThenZeroElse(hn::Le(z, hn::Zero(d)), one);
    } else {
        const Gate<V> g = GateOf<kActivation>(d, z);
        return hn::MulAdd(z, g.change, g.gate);
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_ACTIVATIONS_INL_H_

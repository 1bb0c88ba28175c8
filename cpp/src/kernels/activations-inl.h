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

// exp(v) for v <= 87 in float32, 706 in float64; 0 where it is no normal number.
template <class D, class V>
HWY_INLINE V ExpOf(D d, V v) {
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        return hn::IfThenElseZero(hn::Gt(v, Constant(d, -706)), hn::Exp(d, v));
    } else {
        const hn::RebindToSigned<D> di;
        // The nearest multiple of log(2): the addition leaves it in the low bits.
        const auto shifter = Constant(d, 0x1.8p23);
        const auto shifted = hn::MulAdd(v, Constant(d, 1.44269504088896340736), shifter);
        const auto n = hn::Sub(shifted, shifter);
        auto r = hn::NegMulAdd(n, Constant(d, 0x1.62e4p-1), v);  // the high part has few digits: exact with any n
        r = hn::NegMulAdd(n, Constant(d, 1.42860682030941723e-6), r);
        // (exp(r) - 1 - r) / r^2 by interpolation at Chebyshev's points, relative error of exp 1e-8
        auto p = hn::MulAdd(r, Constant(d, 0.0013926325618), Constant(d, 0.008363292753));
        p = hn::MulAdd(p, r, Constant(d, 0.041666553763));
        p = hn::MulAdd(p, r, Constant(d, 0.16666576306));
        p = hn::MulAdd(p, r, Constant(d, 0.5));
        const auto e = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), Constant(d, 1));
        const auto scaled = hn::Add(hn::BitCast(di, e), hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
        return hn::IfThenElseZero(hn::Gt(v, Constant(d, -87)), hn::BitCast(d, scaled));
    }
}

// 1 / v for normal positive v with a normal inverse. A float32 division takes as long as everything else here, so it is
// two steps of third order from a guess by the exponent; all operations are exactly rounded, so all targets agree.
template <class D, class V>
HWY_INLINE V Inverse(D d, V v) {
    if constexpr (sizeof(hn::TFromD<D>) == 8) {
        return hn::Div(Constant(d, 1), v);
    } else {
        const hn::RebindToSigned<D> di;
        auto r = hn::BitCast(d, hn::Sub(hn::Set(di, 0x7EF311C7), hn::BitCast(di, v)));  // within 0.12
        for (int step = 0; step < 2; ++step) {
            const auto off = hn::NegMulAdd(v, r, Constant(d, 1));
            r = hn::MulAdd(hn::MulAdd(off, off, off), r, r);
        }
        return r;
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

// (x + shift) * exp(x^2) * erfc(x) = P(1 - 2*shift / (x + shift)) for x >= 0: polynomials of least degree that are as
// exact as the type, from a Chebyshev expansion in 50 digits. The substitution is that of Schonfelder, 1978.
template <class T>
struct ErfcPolynomial;
template <>
struct ErfcPolynomial<float> {  // relative error 9e-9
    static constexpr double kShift = 2.5;
    static constexpr float kTerms[] = {-7.292145627e-5f, 2.686559161e-5f, 0.0006662207953f, -0.0004136037997f,
                                       -0.004803455108f, 0.008382888215f, 0.02835886711f,   -0.1712494186f,
                                       0.4539142497f,    -0.8046519341f,  1.05403182f};
};
template <>
struct ErfcPolynomial<double> {  // relative error 2e-17
    static constexpr double kShift = 3;
    static constexpr double kTerms[] = {
        8.4478527843229508e-10,   1.11591238992503841e-11, -8.88784489151694737e-9,  -3.59136111716109528e-9,
        5.16681476189845404e-8,   5.00132018429123704e-8,  -2.3454670002624263e-7,   -4.11759759189375936e-7,
        9.99437936108101322e-7,   2.76781122552728064e-6,  -4.74939103213214079e-6,  -0.0000174716057523023307,
        0.0000303981905221208025, 0.000107561782500020734, -0.000276777848200965945, -0.000548309745247753327,
        0.00303406200119598244,   -0.00121241662151477977, -0.026827234624480615,    0.11952776128697859,
        -0.310467261900566669,    0.590228357104108486,    -0.88339445316988365,     1.07400690708833968};
};

// The normal distribution function and its density.
template <class D, class V>
HWY_INLINE Gate<V> Normal(D d, V z) {
    using Polynomial = ErfcPolynomial<hn::TFromD<D>>;
    // Beyond 38 the density is 0, and the function 0 or 1.
    const auto size = hn::Min(hn::Abs(z), Constant(d, 38));
    // exp(-z^2/2), with what the rounded square lost: a unit of it is many of the result.
    const auto square = hn::Mul(size, size);
    const auto lost = hn::Mul(Constant(d, 0.5), hn::MulSub(size, size, square));
    const auto rough = ExpOf(d, hn::Mul(Constant(d, -0.5), square));
    const auto e = hn::NegMulAdd(rough, lost, rough);

    const auto x = hn::Mul(size, Constant(d, 0.70710678118654752440));
    const auto inverse = Inverse(d, hn::Add(x, Constant(d, Polynomial::kShift)));
    const auto t = hn::NegMulAdd(inverse, Constant(d, 2 * Polynomial::kShift), Constant(d, 1));
    auto p = hn::Set(d, Polynomial::kTerms[0]);
    for (std::size_t i = 1; i < std::size(Polynomial::kTerms); ++i)
        p = hn::MulAdd(p, t, hn::Set(d, Polynomial::kTerms[i]));
    const auto tail = hn::Mul(hn::Mul(Constant(d, 0.5), e), hn::Mul(p, inverse));
    return {hn::IfThenElse(hn::Lt(z, hn::Zero(d)), tail, hn::Sub(Constant(d, 1), tail)),
            hn::Mul(e, Constant(d, 0.39894228040143267794))};
}

// s(2q) and its slope. Beyond 30 it is 0 or 1, and the cube stays small.
template <class D, class V>
HWY_INLINE Gate<V> NormalByTanh(D d, V z) {
    const auto size = hn::Min(hn::Max(z, Constant(d, -30)), Constant(d, 30));
    const auto square = hn::Mul(size, size);
    constexpr double kScale = 1.59576912160573071176, kCubic = 0.044715;  // 2 sqrt(2/pi)
    const auto q2 = hn::Mul(size, hn::MulAdd(square, Constant(d, kScale * kCubic), Constant(d, kScale)));
    const auto slope = hn::MulAdd(square, Constant(d, 3 * kScale * kCubic), Constant(d, kScale));
    const Gate<V> logistic = Logistic(d, q2);
    return {logistic.gate, hn::Mul(logistic.change, slope)};
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

template <Activation kActivation, class D, class V>
HWY_INLINE V Activate(D d, V z) {
    if constexpr (kActivation == Activation::none) return z;
    if constexpr (kActivation == Activation::relu) return hn::IfThenZeroElse(hn::Le(z, hn::Zero(d)), z);
    if constexpr (kActivation > Activation::relu) return hn::Mul(z, GateOf<kActivation>(d, z).gate);
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

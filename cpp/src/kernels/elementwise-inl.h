// The loops that write a plane: normalized values and the gradient of the input.
//
//     t = (x - h) - l        xhat = t*r
//     y  = xhat*w + b
//     dx = r*((dy*w - c1) - xhat*c2)
//
// Subtracting the mean in two parts before scaling keeps the error independent of mean/std; y = x*a + b would not.
#if defined(FASTNORM_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FASTNORM_ELEMENTWISE_INL_H_
#undef FASTNORM_ELEMENTWISE_INL_H_
#else
#define FASTNORM_ELEMENTWISE_INL_H_
#endif

#include "hwy/cache_control.h"
#include "simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fastnorm {
namespace HWY_NAMESPACE {

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
    template <bool kFull>
    HWY_INLINE hn::Vec<D> Get(std::size_t k, std::size_t i, std::size_t n) const {
        if constexpr (kLanes) return LoadSome<kFull>(d, at[k] + i, n);
        return splat[k];
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

template <class T, bool kStatLanes, bool kParamLanes>
void NormalizePlane(const Plane<T>& p) {
    const Tag<T> d;
    for (std::size_t row = 0; row < p.rows; ++row) {
        const auto at = static_cast<std::ptrdiff_t>(row);
        const T* x = p.x + at * p.x_row;
        T* y = p.y + at * p.y_row;
        const Values<decltype(d), kStatLanes, 3> stat(d, at * p.stat_row, {p.h, p.l, p.r});
        const Values<decltype(d), kParamLanes, 2> param(d, at * p.param_row, {p.w, p.b});
        ForVectors<Virtual<decltype(d)>::kN>(
            p.lanes,
            [&](std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
                constexpr bool kFull = decltype(full)::value;
                const auto centred = hn::Sub(hn::Sub(LoadSome<kFull>(d, x + i, n), stat.template Get<kFull>(0, i, n)),
                                             stat.template Get<kFull>(1, i, n));
                const auto xhat = hn::Mul(centred, stat.template Get<kFull>(2, i, n));
                const auto out =
                    hn::MulAdd(xhat, param.template Get<kFull>(0, i, n), param.template Get<kFull>(1, i, n));
                StoreOut<kFull>(out, d, y + i, n, p.stream);
            },
            p.stream ? Head(d, y, p.lanes) : 0);
    }
    if (p.stream) hwy::FlushStream();
}

template <class T>
void Normalize(const Plane<T>& p) {
    WithForm(p, [&](auto stat, auto param) { NormalizePlane<T, decltype(stat)::value, decltype(param)::value>(p); });
}

template <class T, bool kStatLanes, bool kParamLanes>
void InputGradientPlane(const Plane<T>& p) {
    const Tag<T> d;
    for (std::size_t row = 0; row < p.rows; ++row) {
        const auto at = static_cast<std::ptrdiff_t>(row);
        const T* x = p.x + at * p.x_row;
        const T* dy = p.dy + at * p.dy_row;
        T* dx = p.y + at * p.y_row;
        const Values<decltype(d), kStatLanes, 5> stat(d, at * p.stat_row, {p.h, p.l, p.r, p.c1, p.c2});
        const Values<decltype(d), kParamLanes, 1> param(d, at * p.param_row, {p.w});
        ForVectors<Virtual<decltype(d)>::kN>(
            p.lanes,
            [&](std::size_t i, std::size_t n, auto full) FASTNORM_LAMBDA {
                constexpr bool kFull = decltype(full)::value;
                const auto r = stat.template Get<kFull>(2, i, n);
                const auto centred = hn::Sub(hn::Sub(LoadSome<kFull>(d, x + i, n), stat.template Get<kFull>(0, i, n)),
                                             stat.template Get<kFull>(1, i, n));
                const auto xhat = hn::Mul(centred, r);
                const auto g = hn::Mul(LoadSome<kFull>(d, dy + i, n), param.template Get<kFull>(0, i, n));
                const auto rest = hn::NegMulAdd(xhat, stat.template Get<kFull>(4, i, n),
                                                hn::Sub(g, stat.template Get<kFull>(3, i, n)));
                StoreOut<kFull>(hn::Mul(r, rest), d, dx + i, n, p.stream);
            },
            p.stream ? Head(d, dx, p.lanes) : 0);
    }
    if (p.stream) hwy::FlushStream();
}

template <class T>
void InputGradient(const Plane<T>& p) {
    WithForm(p,
             [&](auto stat, auto param) { InputGradientPlane<T, decltype(stat)::value, decltype(param)::value>(p); });
}

}  // namespace HWY_NAMESPACE
}  // namespace fastnorm
HWY_AFTER_NAMESPACE();

#endif  // FASTNORM_ELEMENTWISE_INL_H_

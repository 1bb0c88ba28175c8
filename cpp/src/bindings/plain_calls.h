// What every plain function does once its arguments are known: results get their memory, the core is called.
#pragma once

#include <memory>

#include "gil.h"
#include "plain_space.h"

namespace fastnorm_python {

constexpr std::size_t kHoldGil = 64 * 1024;  // bytes below which letting go of the GIL costs more than it gives

inline void* data_of(const py::object& array) { return py::detail::array_proxy(array.ptr())->data; }
inline double* doubles_of(const py::object& array) { return static_cast<double*>(data_of(array)); }

template <class F>
void run_without_gil(const PlainCall& call, F&& run) {
    if (call.bytes() < kHoldGil) {
        run();
    } else {
        without_gil(run);
    }
}

inline PyObject* forward(const PlainCall& call, const PlainSpace& space, const fn::Parameters& parameters,
                         fn::Scale scale, py::object y) {
    void* const data = data_of(y);
    run_without_gil(call,
                    [&] { fn::forward(space.get(), {call.x().data(), nullptr}, {data, nullptr}, parameters, scale); });
    return y.release().ptr();
}

// Returns (y, mean, rstd), without the mean where the statistic has none. `then` reads what was saved, which `m2` is
// part of if it is not nullptr.
template <class F>
PyObject* forward_saved_and(const PlainCall& call, const PlainSpace& space, const fn::Parameters& parameters,
                            fn::Scale scale, py::object y, double* m2, F&& then) {
    const bool centred = scale.statistic == fn::Statistic::variance;
    py::object mean = centred ? space.new_statistics() : py::none(), rstd = space.new_statistics();
    void* const data = data_of(y);
    const fn::Saved saved{centred ? doubles_of(mean) : nullptr, doubles_of(rstd), m2};
    run_without_gil(call, [&] {
        fn::forward(space.get(), {call.x().data(), nullptr}, {data, nullptr}, parameters, scale, saved);
        then(saved);
    });
    if (!centred) return py::make_tuple(std::move(y), std::move(rstd)).release().ptr();
    return py::make_tuple(std::move(y), std::move(mean), std::move(rstd)).release().ptr();
}

inline PyObject* forward_saved(const PlainCall& call, const PlainSpace& space, const fn::Parameters& parameters,
                               fn::Scale scale, py::object y) {
    return forward_saved_and(call, space, parameters, scale, std::move(y), nullptr, [](const fn::Saved&) {});
}

// What the backward pass reads besides x; no mean where the statistic has none. The gradients of the parameters have
// the type of the weight.
struct PlainGradient {
    const void* dy;
    const void* weight;
    fn::DType type;
    const double* mean;
    const double* rstd;
    fn::Statistic statistic;
};

inline void round_sums(const double* sums, std::size_t n, fn::DType type, void* to) {
    fn::with_type(type, [&](auto kind) {
        using T = decltype(kind);
        std::transform(sums, sums + n, static_cast<T*>(to), round_once<T>);
    });
}

// Returns (dx, dweight, dbias) or, without a bias, (dx, dweight), each parameter's gradient in the shape given.
inline PyObject* backward(const PlainCall& call, const PlainSpace& space, const PlainGradient& given, bool bias, int nd,
                          const Py_ssize_t* shape) {
    const std::size_t n = space.parameters();
    const auto new_gradient = [&] { return call.new_array(given.type, nd, shape); };
    py::object dx = call.new_result(), dweight = new_gradient(), dbias = bias ? new_gradient() : py::none();
    void *const dx_data = data_of(dx), *const dweight_data = data_of(dweight);
    void* const dbias_data = bias ? data_of(dbias) : nullptr;
    run_without_gil(call, [&] {
        const std::unique_ptr<double[]> sums(new double[2 * n]);
        fn::backward(space.get(), {given.dy, nullptr}, {call.x().data(), nullptr}, given.weight, {given.statistic, 0},
                     true, given.mean, given.rstd, {{dx_data, nullptr}, sums.get(), bias ? sums.get() + n : nullptr});
        round_sums(sums.get(), n, given.type, dweight_data);
        if (bias) round_sums(sums.get() + n, n, given.type, dbias_data);
    });
    if (!bias) return py::make_tuple(std::move(dx), std::move(dweight)).release().ptr();
    return py::make_tuple(std::move(dx), std::move(dweight), std::move(dbias)).release().ptr();
}

inline PyObject* backward(const PlainCall& call, const PlainSpace& space, const PlainGradient& given,
                          bool bias = true) {
    const auto n = static_cast<Py_ssize_t>(space.parameters());
    return backward(call, space, given, bias, 1, &n);
}

}  // namespace fastnorm_python

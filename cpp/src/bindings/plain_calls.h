// What every plain function does once its arguments are known: results get their memory, the core is called.
#pragma once

#include <memory>

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
        const py::gil_scoped_release release;
        run();
    }
}

inline PyObject* forward(const PlainCall& call, const PlainSpace& space, const fn::Parameters& parameters,
                         fn::Scale scale, py::object y) {
    void* const data = data_of(y);
    run_without_gil(call,
                    [&] { fn::forward(space.get(), {call.x()->data, nullptr}, {data, nullptr}, parameters, scale); });
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
        fn::forward(space.get(), {call.x()->data, nullptr}, {data, nullptr}, parameters, scale, saved);
        then(saved);
    });
    if (!centred) return py::make_tuple(std::move(y), std::move(rstd)).release().ptr();
    return py::make_tuple(std::move(y), std::move(mean), std::move(rstd)).release().ptr();
}

inline PyObject* forward_saved(const PlainCall& call, const PlainSpace& space, const fn::Parameters& parameters,
                               fn::Scale scale, py::object y) {
    return forward_saved_and(call, space, parameters, scale, std::move(y), nullptr, [](const fn::Saved&) {});
}

// What the backward pass reads besides x; `centred` says whether there is a mean.
struct PlainGradient {
    const void* dy;
    const void* weight;
    const double* mean;
    const double* rstd;
    fn::Statistic statistic;
};

// Rounds n sums to the data's type.
inline void round_sums(const double* sums, std::size_t n, fn::DType dtype, void* to) {
    if (dtype == fn::DType::f64) {
        std::copy_n(sums, n, static_cast<double*>(to));
    } else {
        std::transform(sums, sums + n, static_cast<float*>(to), [](double sum) { return static_cast<float>(sum); });
    }
}

// Returns (dx, dweight, dbias) or, without a bias, (dx, dweight), each parameter's gradient as `new_parameter` makes
// it.
template <class Shape>
PyObject* backward(const PlainCall& call, const PlainSpace& space, const PlainGradient& given, bool bias,
                   Shape&& new_parameter) {
    const std::size_t n = space.parameters();
    py::object dx = call.new_array(), dweight = new_parameter(), dbias = bias ? new_parameter() : py::none();
    void *const dx_data = data_of(dx), *const dweight_data = data_of(dweight);
    void* const dbias_data = bias ? data_of(dbias) : nullptr;
    run_without_gil(call, [&] {
        const std::unique_ptr<double[]> sums(new double[2 * n]);
        fn::backward(space.get(), {given.dy, nullptr}, {call.x()->data, nullptr}, given.weight, {given.statistic, 0},
                     true, given.mean, given.rstd, {{dx_data, nullptr}, sums.get(), bias ? sums.get() + n : nullptr});
        round_sums(sums.get(), n, call.dtype(), dweight_data);
        if (bias) round_sums(sums.get() + n, n, call.dtype(), dbias_data);
    });
    if (!bias) return py::make_tuple(std::move(dx), std::move(dweight)).release().ptr();
    return py::make_tuple(std::move(dx), std::move(dweight), std::move(dbias)).release().ptr();
}

inline PyObject* backward(const PlainCall& call, const PlainSpace& space, const PlainGradient& given) {
    const auto n = static_cast<Py_ssize_t>(space.parameters());
    return backward(call, space, given, true, [&] { return call.new_vector(n); });
}

}  // namespace fastnorm_python

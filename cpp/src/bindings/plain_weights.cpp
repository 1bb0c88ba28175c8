// Weight norm and weight standardization of plain arrays.
#include "plain_calls.h"
#include "plain_functions.h"

namespace fastnorm_python {
namespace {

// The shape of lengths and norms: that of the weights along an axis, 1 along the others.
struct FilterShape {
    FilterShape(const PlainCall& call, long axis) : nd(call.x().ndim()) {
        sizes.fill(1);
        sizes[static_cast<std::size_t>(axis)] = call.length(axis);
    }
    int nd;
    std::array<Py_ssize_t, kMostAxes> sizes;
};

template <class F>
std::unique_ptr<double[]> each(const double* values, std::size_t n, F&& f) {
    std::unique_ptr<double[]> result(new double[n]);
    std::transform(values, values + n, result.get(), f);
    return result;
}

}  // namespace

// Arguments: v, g, axis, eps, out.
PyObject* plain_weight_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[3]);
    const long axis = call.axis(args[2]);
    if (!call.ok()) Py_RETURN_NONE;
    const FilterShape shape(call, axis);
    call.require(args[1] != Py_None);
    const void* g = call.parameter(args[1], shape.nd, shape.sizes.data());
    py::object w = call.result(args[4]);
    if (!call.ok()) Py_RETURN_NONE;
    return forward(call, PlainSpace::batch(call, axis), {g, nullptr}, {fn::Statistic::norm, eps}, std::move(w));
}

// Arguments: dw, v, g, norm, axis. Returns (dv, dg).
PyObject* plain_weight_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const long axis = call.axis(args[4]);
    if (!call.ok()) Py_RETURN_NONE;
    const FilterShape shape(call, axis);
    const void* dw = call.like(args[0]);
    call.require(args[2] != Py_None);
    fn::DType type{};
    const void* g = call.parameter(args[2], shape.nd, shape.sizes.data(), &type);
    const double* norms = call.doubles(args[3], shape.nd, shape.sizes.data());
    if (!call.ok()) Py_RETURN_NONE;
    const PlainSpace space = PlainSpace::batch(call, axis);
    const auto scale =
        each(norms, space.group_count(), [](double norm) { return norm == 0 ? std::nan("") : 1.0 / norm; });
    return backward(call, space, {dw, g, type, nullptr, scale.get(), fn::Statistic::norm}, false, shape.nd,
                    shape.sizes.data());
}

// Arguments: w, gain, axis, eps, out. For the inverse root of the variance.
PyObject* plain_weight_standardization(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[3]);
    const long axis = call.axis(args[2]);
    const void* gain = call.parameter(args[1], call.length(axis));
    py::object result = call.result(args[4]);
    if (!call.ok()) Py_RETURN_NONE;
    return forward(call, PlainSpace::batch(call, axis), {gain, nullptr}, {fn::Statistic::variance, eps},
                   std::move(result));
}

// Arguments: dw, w, gain, mean, var, axis, eps. Returns (dw, dgain).
PyObject* plain_weight_standardization_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const double eps = call.number(args[6]);
    const long axis = call.axis(args[5]);
    if (!call.ok()) Py_RETURN_NONE;
    const PlainSpace space = PlainSpace::batch(call, axis);
    const void* dw = call.like(args[0]);
    fn::DType type{};
    const void* gain = call.parameter(args[2], call.length(axis), &type);
    const double *mean = space.statistics(call, args[3]), *var = space.statistics(call, args[4]);
    // A variance that double cannot hold is that of weights that it can.
    for (std::size_t i = 0; call.ok() && call.x().type == fn::DType::f64 && i < space.group_count(); ++i) {
        call.require(var[i] > 1e-290 && var[i] < 1e290);
    }
    if (!call.ok()) Py_RETURN_NONE;
    const auto scale = each(var, space.group_count(), [eps](double v) {
        const double total = v + eps;
        return total == 0 ? 0.0 : 1.0 / std::sqrt(total);
    });
    return backward(call, space, {dw, gain, type, mean, scale.get(), fn::Statistic::variance}, false);
}

}  // namespace fastnorm_python

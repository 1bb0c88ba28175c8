// Layer and RMS norm of plain arrays.
#include "plain_calls.h"
#include "plain_functions.h"

namespace fastnorm_python {
namespace {

// Arguments: x, weight, bias, eps, out.
template <fn::Statistic kStatistic, bool kSaved>
PyObject* normalize(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[3]);
    if (!call.ok()) Py_RETURN_NONE;
    const Py_ssize_t n = call.length(call.x().ndim() - 1);
    const void* weight = call.parameter(args[1], n);
    const void* bias = call.parameter(args[2], n);
    py::object y = call.result(args[4]);
    if (!call.ok()) Py_RETURN_NONE;
    constexpr auto run = kSaved ? &forward_saved : &forward;
    return run(call, PlainSpace::rows(call), {weight, bias}, {kStatistic, eps}, std::move(y));
}

PyObject* gradients(PyObject* dy, PyObject* x, PyObject* weight, PyObject* mean, PyObject* rstd) {
    PlainCall call(x);
    if (!call.ok()) Py_RETURN_NONE;
    const PlainSpace space = PlainSpace::rows(call);
    PlainGradient given{};
    given.statistic = mean ? fn::Statistic::variance : fn::Statistic::mean_square;
    given.dy = call.like(dy);
    given.weight = call.parameter(weight, call.length(call.x().ndim() - 1), &given.type);
    if (mean) given.mean = space.statistics(call, mean);
    given.rstd = space.statistics(call, rstd);
    if (!call.ok()) Py_RETURN_NONE;
    return backward(call, space, given);
}

}  // namespace

PyObject* plain_layer_norm(PyObject* const* args) { return normalize<fn::Statistic::variance, false>(args); }
PyObject* plain_layer_norm_forward(PyObject* const* args) { return normalize<fn::Statistic::variance, true>(args); }
PyObject* plain_rms_norm(PyObject* const* args) { return normalize<fn::Statistic::mean_square, false>(args); }
PyObject* plain_rms_norm_forward(PyObject* const* args) { return normalize<fn::Statistic::mean_square, true>(args); }

// Arguments: dy, x, weight, mean, rstd.
PyObject* plain_layer_norm_backward(PyObject* const* args) {
    return gradients(args[0], args[1], args[2], args[3], args[4]);
}
// Arguments: dy, x, weight, rstd.
PyObject* plain_rms_norm_backward(PyObject* const* args) {
    return gradients(args[0], args[1], args[2], nullptr, args[3]);
}

}  // namespace fastnorm_python

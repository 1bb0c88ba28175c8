// Layer and RMS norm of plain arrays.
#include "plain_calls.h"
#include "plain_functions.h"

namespace fastnorm_python {
namespace {

// What comes before `out`: weight, bias, eps, activation.
struct Given {
    Given(PlainCall& call, PyObject* const* args) : eps(call.number(args[2])) {
        const Py_ssize_t n = call.ok() ? call.length(call.x().ndim() - 1) : 0;
        parameters = {call.parameter(args[0], n), call.parameter(args[1], n), call.activation(args[3])};
    }
    double eps;
    fn::Parameters parameters;
};

// Arguments: x, weight, bias, eps, activation, out.
template <fn::Statistic kStatistic, bool kSaved>
PyObject* normalize(PyObject* const* args) {
    PlainCall call(args[0]);
    const Given given(call, args + 1);
    py::object y = call.result(args[5]);
    if (!call.ok()) Py_RETURN_NONE;
    constexpr auto run = kSaved ? &forward_saved : &forward;
    return run(call, PlainSpace::rows(call), given.parameters, {kStatistic, given.eps}, std::move(y));
}

// Arguments: x, residual, weight, bias, eps, activation, out. Returns (y, h).
template <fn::Statistic kStatistic>
PyObject* add_and_normalize(PyObject* const* args) {
    PlainCall call(args[0]);
    const Given given(call, args + 2);
    const void* residual = call.like(args[1]);
    const bool pair = PyTuple_CheckExact(args[6]) && PyTuple_GET_SIZE(args[6]) == 2;
    py::object y = call.result(pair ? PyTuple_GET_ITEM(args[6], 0) : args[6]);
    py::object h = call.result(pair ? PyTuple_GET_ITEM(args[6], 1) : Py_None);
    if (!call.ok()) Py_RETURN_NONE;
    void *const y_data = data_of(y), *const h_data = data_of(h);
    run_without_gil(call, [&] {
        const fn::Sum sum{{call.x().data(), nullptr}, {residual, nullptr}, {h_data, nullptr}};
        fn::add_forward(PlainSpace::rows(call).get(), sum, {y_data, nullptr}, given.parameters,
                        {kStatistic, given.eps});
    });
    return py::make_tuple(std::move(y), std::move(h)).release().ptr();
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

PyObject* plain_add_layer_norm(PyObject* const* args) { return add_and_normalize<fn::Statistic::variance>(args); }
PyObject* plain_add_rms_norm(PyObject* const* args) { return add_and_normalize<fn::Statistic::mean_square>(args); }

// Arguments: dy, x, weight, mean, rstd.
PyObject* plain_layer_norm_backward(PyObject* const* args) {
    return gradients(args[0], args[1], args[2], args[3], args[4]);
}
// Arguments: dy, x, weight, rstd.
PyObject* plain_rms_norm_backward(PyObject* const* args) {
    return gradients(args[0], args[1], args[2], nullptr, args[3]);
}

}  // namespace fastnorm_python

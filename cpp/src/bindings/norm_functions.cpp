// Norms: arguments in the order of fastnorm's Python functions, results as plain arrays and tuples of them.
#include "functions.h"

namespace fastnorm_python {
namespace {

std::string described(PyObject* value) {
    if (PyTuple_Check(value)) return "a tuple of " + std::to_string(PyTuple_GET_SIZE(value));
    return Py_TYPE(value)->tp_name;
}

// The last arguments of a forward pass but `out`: weight, bias, eps, offset, activation, quantize, where.
// kAnyEps: None is the machine's eps for data like x.
template <bool kAnyEps = false>
fn::NormOptions norm_options(Arguments& a, const fn::Tensor& x) {
    fn::NormOptions options;
    options.weight = a.values("weight");
    options.bias = a.values("bias");
    options.eps = kAnyEps ? a.number_or_none("eps") : a.number("eps");
    if (!options.eps) options.eps = fn::machine_eps(x.dtype);
    options.offset = a.number("offset");
    options.activation = a.activation();
    a.quantize(options);
    options.where = a.array("where");
    return options;
}

// The last arguments of a backward but `grad_mask`: weight, bias, offset, activation, where.
fn::BackwardOptions backward_options(Arguments& a) {
    fn::BackwardOptions options;
    options.weight = a.values("weight");
    options.bias = a.values("bias");
    options.offset = a.number("offset");
    options.activation = a.activation();
    options.where = a.array("where");
    return options;
}

// What a call with quantized rows returns in the place of y, or is given in the place of `out`: y, scale, zero_point,
// the last two as results `index` and the next.
template <class R>
void rows_results(R& results, Results& r, PyObject* out, std::size_t index) {
    if (out == Py_None) return;
    if (!PyTuple_Check(out) || PyTuple_GET_SIZE(out) != 3) {
        throw fn::Error(fn::Error::Kind::value,
                        "out must be a tuple (y, scale, zero_point) for quantize with a scale "
                        "for every row, got " +
                            described(out));
    }
    results.y = r.given(0, "out[0]", PyTuple_GET_ITEM(out, 0));
    results.scale = r.given(index, "out[1]", PyTuple_GET_ITEM(out, 1));
    results.zero_point = r.given(index + 1, "out[2]", PyTuple_GET_ITEM(out, 2));
}

fn::NormResults norm_results(Arguments& a, Results& r, const fn::NormOptions& options) {
    fn::NormResults results;
    results.maker = &r;
    if (options.quantize_rows) {
        rows_results(results, r, a.take(), 1);
    } else {
        results.y = r.given(0, "out");
    }
    return results;
}

fn::GradientResults gradient_results(Arguments& a, Results& r) {
    fn::GradientResults results;
    results.wants = a.grad_mask();
    results.maker = &r;
    return results;
}

// out: an array for y, or a pair for y and h.
fn::AddNormResults sum_results(Arguments& a, Results& r, const fn::NormOptions& options) {
    fn::AddNormResults results;
    results.maker = &r;
    PyObject* const out = a.take();
    const bool has_rows = options.quantize_rows;
    if (!PyTuple_Check(out) || (has_rows && PyTuple_GET_SIZE(out) == 3)) {
        if (has_rows) {
            rows_results(results, r, out, 2);
        } else {
            results.y = r.given(0, "out", out);
        }
        return results;
    }
    if (PyTuple_GET_SIZE(out) != 2) {
        throw fn::Error(fn::Error::Kind::value, "out must be an array or a pair (y, h), got " + described(out));
    }
    if (has_rows) {
        rows_results(results, r, PyTuple_GET_ITEM(out, 0), 2);
    } else {
        results.y = r.given(0, "out[0]", PyTuple_GET_ITEM(out, 0));
    }
    results.h = r.given(1, "out[1]", PyTuple_GET_ITEM(out, 1));
    return results;
}

// What a function returns: y alone, or as many results as it has.
template <int kResults>
PyObject* returned(Results& r) {
    if constexpr (kResults == 1) return r.one();
    return r.tuple(kResults);
}

// The same where y may have been quantized row by row: then scale and zero point are two more.
template <int kResults>
PyObject* returned(Results& r, const fn::NormOptions& options) {
    return options.quantize_rows ? r.quantized(kResults + 2) : returned<kResults>(r);
}

// ---- layer and RMS norm: x, axis, options, out

using Rows = void(const fn::Tensor&, const fn::AxisList&, const fn::NormOptions&, const fn::NormResults&);

template <Rows* kOperation, int kResults, bool kAnyEps = false>
PyObject* rows(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    const fn::AxisList axis = a.axes();
    const fn::NormOptions options = norm_options<kAnyEps>(a, x);
    const fn::NormResults results = norm_results(a, r, options);
    a.run([&] { kOperation(x, axis, options, results); });
    return returned<kResults>(r, options);
}

using SumRows = void(const fn::Tensor&, const fn::Tensor&, const fn::AxisList&, const fn::NormOptions&,
                     const fn::AddNormResults&);

// x, residual, axis, options, out
template <SumRows* kOperation, int kResults, bool kAnyEps = false>
PyObject* sum_rows(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x"), residual = a.array("residual");
    const fn::AxisList axis = a.axes();
    const fn::NormOptions options = norm_options<kAnyEps>(a, x);
    const fn::AddNormResults results = sum_results(a, r, options);
    a.run([&] { kOperation(x, residual, axis, options, results); });
    return returned<kResults>(r, options);
}

// dy, x, mean, rstd, axis, options, grad_mask
PyObject* layer_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), mean = a.values("mean"), rstd = a.values("rstd");
    const fn::AxisList axis = a.axes();
    const fn::BackwardOptions options = backward_options(a);
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { fn::layer_norm_backward(dy, x, mean, rstd, axis, options, results); });
    return r.tuple(3);
}

// dy, x, rstd, axis, options, grad_mask
PyObject* rms_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), rstd = a.values("rstd");
    const fn::AxisList axis = a.axes();
    const fn::BackwardOptions options = backward_options(a);
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { fn::rms_norm_backward(dy, x, rstd, axis, options, results); });
    return r.tuple(3);
}

// dy, dh, h, mean, rstd, axis, options, grad_mask
PyObject* add_layer_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), dh = a.array("dh"), h = a.array("h");
    const fn::Tensor mean = a.values("mean"), rstd = a.values("rstd");
    const fn::AxisList axis = a.axes();
    const fn::BackwardOptions options = backward_options(a);
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { fn::add_layer_norm_backward(dy, dh, h, mean, rstd, axis, options, results); });
    return r.tuple(3);
}

// dy, dh, h, rstd, axis, options, grad_mask
PyObject* add_rms_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), dh = a.array("dh"), h = a.array("h"), rstd = a.values("rstd");
    const fn::AxisList axis = a.axes();
    const fn::BackwardOptions options = backward_options(a);
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { fn::add_rms_norm_backward(dy, dh, h, rstd, axis, options, results); });
    return r.tuple(3);
}

using L2 = void(const fn::Tensor&, const fn::AxisList&, double, const fn::L2Results&);

// x, axis, eps, out
template <L2* kOperation, int kResults>
PyObject* l2_normalize(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    const fn::AxisList axis = a.axes();
    const double eps = a.number("eps");
    fn::L2Results results;
    results.y = r.given(0, "out");
    results.maker = &r;
    a.run([&] { kOperation(x, axis, eps, results); });
    return returned<kResults>(r);
}

// dy, x, norm, axis, eps
PyObject* l2_normalize_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), norm = a.values("norm");
    const fn::AxisList axis = a.axes();
    const double eps = a.number("eps");
    fn::InputGradient results;
    results.maker = &r;
    a.run([&] { fn::l2_normalize_backward(dy, x, norm, axis, eps, results); });
    return r.one();
}

// ---- batch, group and instance norm

// x, running_mean, running_var, mean_only, axis, options, out
PyObject* batch_norm(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x"), mean = a.values("running_mean"), var = a.values("running_var");
    const bool mean_only = a.boolean("mean_only");
    const std::int64_t axis = a.integer("axis");
    fn::NormOptions options = norm_options(a, x);
    options.mean_only = mean_only;
    const fn::NormResults results = norm_results(a, r, options);
    a.run([&] { fn::batch_norm(x, mean, var, axis, options, results); });
    return r.one();
}

using Training = void(const fn::Tensor&, std::int64_t, const fn::NormOptions&, const fn::RunningStatistics&,
                      const fn::NormResults&);

// x, running_mean, running_var, momentum, ddof, mean_only (of batch norm), axis, options, out
template <Training* kOperation, bool kMeanOnly = false>
PyObject* training(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    fn::RunningStatistics running;
    running.mean = a.written("running_mean");
    running.var = a.written("running_var");
    running.momentum = a.number("momentum");
    running.ddof = a.number("ddof");
    const bool mean_only = kMeanOnly && a.boolean("mean_only");
    const std::int64_t axis = a.integer("axis");
    fn::NormOptions options = norm_options(a, x);
    options.mean_only = mean_only;
    const fn::NormResults results = norm_results(a, r, options);
    a.run([&] { kOperation(x, axis, options, running, results); });
    return r.tuple(3);
}

using ChannelsBackward = void(const fn::Tensor&, const fn::Tensor&, const fn::Tensor&, const fn::Tensor&, std::int64_t,
                              const fn::BackwardOptions&, const fn::GradientResults&);

// dy, x, mean, rstd, training, mean_only (of batch norm), axis, options, grad_mask
template <ChannelsBackward* kOperation, bool kMeanOnly = false>
PyObject* channels_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), mean = a.values("mean"), rstd = a.values("rstd");
    const bool is_training = a.boolean("training");
    const bool mean_only = kMeanOnly && a.boolean("mean_only");
    const std::int64_t axis = a.integer("axis");
    fn::BackwardOptions options = backward_options(a);
    options.training = is_training;
    options.mean_only = mean_only;
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { kOperation(dy, x, mean, rstd, axis, options, results); });
    return r.tuple(3);
}

using Groups = void(const fn::Tensor&, std::int64_t, std::int64_t, const fn::NormOptions&, const fn::NormResults&);

// x, num_groups, axis, options, out
template <Groups* kOperation, int kResults>
PyObject* groups(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    const std::int64_t num_groups = a.integer("num_groups"), axis = a.integer("axis");
    const fn::NormOptions options = norm_options(a, x);
    const fn::NormResults results = norm_results(a, r, options);
    a.run([&] { kOperation(x, num_groups, axis, options, results); });
    return returned<kResults>(r);
}

// dy, x, num_groups, mean, rstd, axis, options, grad_mask
PyObject* group_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x");
    const std::int64_t num_groups = a.integer("num_groups");
    const fn::Tensor mean = a.values("mean"), rstd = a.values("rstd");
    const std::int64_t axis = a.integer("axis");
    const fn::BackwardOptions options = backward_options(a);
    const fn::GradientResults results = gradient_results(a, r);
    a.run([&] { fn::group_norm_backward(dy, x, num_groups, mean, rstd, axis, options, results); });
    return r.tuple(3);
}

// x, axis, options, out
PyObject* instance_norm(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    const std::int64_t axis = a.integer("axis");
    const fn::NormOptions options = norm_options(a, x);
    const fn::NormResults results = norm_results(a, r, options);
    a.run([&] { fn::instance_norm(x, axis, options, results); });
    return r.one();
}

}  // namespace

void add_norm_functions(py::module_& m) {
    static PyMethodDef methods[] = {
        method<rows<&fn::layer_norm, 1>, 10>("layer_norm"),
        method<rows<&fn::layer_norm_forward, 3>, 10>("layer_norm_forward"),
        method<layer_norm_backward, 11>("layer_norm_backward"),
        method<rows<&fn::rms_norm, 1, true>, 10>("rms_norm"),
        method<rows<&fn::rms_norm_forward, 2, true>, 10>("rms_norm_forward"),
        method<rms_norm_backward, 10>("rms_norm_backward"),
        method<l2_normalize<&fn::l2_normalize, 1>, 4>("l2_normalize"),
        method<l2_normalize<&fn::l2_normalize_forward, 2>, 4>("l2_normalize_forward"),
        method<l2_normalize_backward, 5>("l2_normalize_backward"),
        method<sum_rows<&fn::add_layer_norm, 2>, 11>("add_layer_norm"),
        method<sum_rows<&fn::add_layer_norm_forward, 4>, 11>("add_layer_norm_forward"),
        method<add_layer_norm_backward, 12>("add_layer_norm_backward"),
        method<sum_rows<&fn::add_rms_norm, 2, true>, 11>("add_rms_norm"),
        method<sum_rows<&fn::add_rms_norm_forward, 3, true>, 11>("add_rms_norm_forward"),
        method<add_rms_norm_backward, 11>("add_rms_norm_backward"),
        method<batch_norm, 13>("batch_norm"),
        method<training<&fn::batch_norm_forward, true>, 15>("batch_norm_forward"),
        method<channels_backward<&fn::batch_norm_backward, true>, 13>("batch_norm_backward"),
        method<groups<&fn::group_norm, 1>, 11>("group_norm"),
        method<groups<&fn::group_norm_forward, 3>, 11>("group_norm_forward"),
        method<group_norm_backward, 12>("group_norm_backward"),
        method<instance_norm, 10>("instance_norm"),
        method<training<&fn::instance_norm_forward>, 14>("instance_norm_forward"),
        method<channels_backward<&fn::instance_norm_backward>, 12>("instance_norm_backward"),
        {nullptr, nullptr, 0, nullptr}};
    add_methods(m, methods);
}

}  // namespace fastnorm_python

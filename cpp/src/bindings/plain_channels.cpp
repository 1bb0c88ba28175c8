// Batch, group and instance norm of plain arrays.
#include "plain_calls.h"
#include "plain_functions.h"

namespace fastnorm_python {
namespace {

// Mean and scale in double, as fastnorm._running does it.
class Statistics {
public:
    Statistics(const PlainArray& mean, const PlainArray& var, double eps)
        : n_(mean.size()), values_(new double[2 * n_]) {
        convert(mean, values_.get());
        convert(var, values_.get() + n_);
        double* const r = values_.get() + n_;
        for (std::size_t i = 0; i < n_; ++i) r[i] = 1.0 / std::sqrt(r[i] + eps);
        for (std::size_t i = 0; i < n_; ++i) r[i] = std::isinf(r[i]) ? 0.0 : r[i];
    }
    const double* mean() const { return values_.get(); }
    const double* rstd() const { return values_.get() + n_; }

private:
    std::size_t n_;
    std::unique_ptr<double[]> values_;
};

// A running statistic after another batch, as fastnorm._running does it.
void advance(const PlainArray& buffer, const double* batch, double divisor, double momentum) {
    if (momentum == 0) return;
    fn::with_type(buffer.type, [&](auto kind) {
        using T = decltype(kind);
        T* const values = static_cast<T*>(buffer.data());
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            const double kept = momentum == 1 ? 0.0 : (1.0 - momentum) * fn::widen(values[i]);
            values[i] = round_once<T>(kept + momentum * (batch[i] / divisor));
        }
    });
}

// Near its limit of dimensions, NumPy has no view of the groups, which is an error.
constexpr int kUsualAxes = 8;

// What the group and instance norms of a call have in common.
struct Groups {
    // `given` = nullptr is a group per channel.
    Groups(PlainCall& call, PyObject* given, PyObject* axis_argument)
        : axis(call.axis(axis_argument)), channels(call.length(axis)) {
        number = given ? integer(given, 0) : channels;
        call.require(call.ok() && call.x().ndim() <= kUsualAxes && axis >= 1 && number >= 1 && channels % number == 0);
    }
    PlainSpace space(const PlainCall& call) const { return PlainSpace::groups(call, axis, number); }

    long axis;
    Py_ssize_t channels;
    long number;
};

// The last arguments: weight, bias; eps, activation, out.
PyObject* normalize(PlainCall& call, const Groups& groups, PyObject* weight, PyObject* bias, PyObject* const* rest,
                    decltype(&forward) run) {
    const double eps = call.number(rest[0]);
    const fn::Activation activation = call.activation(rest[1]);
    const void* w = call.parameter(weight, groups.channels);
    const void* b = call.parameter(bias, groups.channels);
    py::object y = call.result(rest[2]);
    if (!call.ok()) Py_RETURN_NONE;
    return run(call, groups.space(call), {w, b, activation}, {fn::Statistic::variance, eps}, std::move(y));
}

PyObject* gradients(PlainCall& call, const PlainSpace& space, PyObject* dy, PyObject* weight, PyObject* mean,
                    PyObject* rstd) {
    PlainGradient given{};
    given.dy = call.like(dy);
    given.weight = call.parameter(weight, static_cast<Py_ssize_t>(space.parameters()), &given.type);
    given.mean = space.statistics(call, mean);
    given.rstd = space.statistics(call, rstd);
    if (!call.ok()) Py_RETURN_NONE;
    return backward(call, space, given);
}

}  // namespace

// Arguments: x, num_groups, weight, bias, axis, eps, activation, out.
PyObject* plain_group_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, args[1], args[4]);
    return normalize(call, groups, args[2], args[3], args + 5, &forward);
}

PyObject* plain_group_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, args[1], args[4]);
    return normalize(call, groups, args[2], args[3], args + 5, &forward_saved);
}

// Arguments: dy, x, num_groups, weight, mean, rstd, axis.
PyObject* plain_group_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const Groups groups(call, args[2], args[6]);
    if (!call.ok()) Py_RETURN_NONE;
    return gradients(call, groups.space(call), args[0], args[3], args[4], args[5]);
}

// Arguments: x, weight, bias, axis, eps, activation, out.
PyObject* plain_instance_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, nullptr, args[3]);
    return normalize(call, groups, args[1], args[2], args + 4, &forward);
}

// Arguments: x, weight, bias, axis, momentum, ddof, eps, activation, out.
PyObject* plain_instance_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, nullptr, args[3]);
    const double momentum = call.number(args[4]);
    call.number(args[5]);
    call.require(momentum <= 1 && call.ok() && groups.space(call).group_size() > 1);
    return normalize(call, groups, args[1], args[2], args + 6, &forward_saved);
}

// Arguments: dy, x, weight, mean, rstd, axis.
PyObject* plain_instance_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const Groups groups(call, nullptr, args[5]);
    if (!call.ok()) Py_RETURN_NONE;
    return gradients(call, groups.space(call), args[0], args[2], args[3], args[4]);
}

// Arguments: x, running_mean, running_var, weight, bias, axis, eps, activation, out.
PyObject* plain_batch_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[6]);
    const fn::Activation activation = call.activation(args[7]);
    const long axis = call.axis(args[5]);
    const Py_ssize_t n = call.length(axis);
    const PlainArray mean = call.per_channel(args[1], n), var = call.per_channel(args[2], n);
    const void* weight = call.parameter(args[3], n);
    const void* bias = call.parameter(args[4], n);
    py::object y = call.result(args[8]);
    if (!call.ok()) Py_RETURN_NONE;
    void* const data = data_of(y);
    run_without_gil(call, [&] {
        const Statistics statistics(mean, var, eps);
        fn::apply(PlainSpace::batch(call, axis).get(), {call.x().data(), nullptr}, {data, nullptr},
                  {weight, bias, activation}, statistics.mean(), statistics.rstd());
    });
    return y.release().ptr();
}

// Arguments: x, weight, bias, running_mean, running_var, axis, momentum, ddof, eps, activation, out.
PyObject* plain_batch_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const double momentum = call.number(args[6]), ddof = call.number(args[7]), eps = call.number(args[8]);
    const fn::Activation activation = call.activation(args[9]);
    const long axis = call.axis(args[5]);
    const Py_ssize_t n = call.length(axis);
    const void* weight = call.parameter(args[1], n);
    const void* bias = call.parameter(args[2], n);
    const bool runs = args[3] != Py_None || args[4] != Py_None;
    const PlainArray running_mean = runs ? call.buffer(args[3], n) : PlainArray();
    const PlainArray running_var = runs ? call.buffer(args[4], n) : PlainArray();
    if (!call.ok() || momentum > 1) Py_RETURN_NONE;
    const PlainSpace space = PlainSpace::batch(call, axis);
    const auto size = static_cast<double>(space.group_size());
    call.require(size > 1 && (!runs || ddof < size));
    py::object y = call.result(args[10]);
    if (!call.ok()) Py_RETURN_NONE;
    const std::unique_ptr<double[]> m2(runs ? new double[static_cast<std::size_t>(n)] : nullptr);
    return forward_saved_and(call, space, {weight, bias, activation}, {fn::Statistic::variance, eps}, std::move(y),
                             m2.get(), [&](const fn::Saved& saved) {
                                 if (!runs) return;
                                 advance(running_mean, saved.mean, 1, momentum);
                                 advance(running_var, m2.get(), size - ddof, momentum);
                             });
}

// Arguments: dy, x, weight, mean, rstd, axis.
PyObject* plain_batch_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const long axis = call.axis(args[5]);
    if (!call.ok()) Py_RETURN_NONE;
    return gradients(call, PlainSpace::batch(call, axis), args[0], args[2], args[3], args[4]);
}

}  // namespace fastnorm_python

// Batch, group and instance norm of plain arrays.
#include "plain_calls.h"
#include "plain_functions.h"

namespace fastnorm_python {
namespace {

// Mean and scale in double, as fastnorm._running does it.
class Statistics {
public:
    Statistics(const Array* mean, const Array* var, double eps, std::size_t n) : values_(new double[2 * n]), n_(n) {
        widen(mean, values_.get());
        widen(var, values_.get() + n);
        double* const r = values_.get() + n;
        for (std::size_t i = 0; i < n; ++i) r[i] = 1.0 / std::sqrt(r[i] + eps);
        for (std::size_t i = 0; i < n; ++i) r[i] = std::isinf(r[i]) ? 0.0 : r[i];
    }
    const double* mean() const { return values_.get(); }
    const double* rstd() const { return values_.get() + n_; }

private:
    void widen(const Array* array, double* to) const {
        if (type_of(array) == kDouble) {
            std::copy_n(reinterpret_cast<const double*>(array->data), n_, to);
        } else {
            std::copy_n(reinterpret_cast<const float*>(array->data), n_, to);
        }
    }

    std::unique_ptr<double[]> values_;
    std::size_t n_;
};

// A running statistic after another batch, as fastnorm._running does it.
template <class T>
void advance(char* buffer, const double* batch, std::size_t n, double divisor, double momentum) {
    T* const values = reinterpret_cast<T*>(buffer);
    for (std::size_t i = 0; i < n; ++i) {
        const double old = values[i];
        values[i] = static_cast<T>((1.0 - momentum) * old + momentum * (batch[i] / divisor));
    }
}

void advance(const Array* buffer, const double* batch, std::size_t n, double divisor, double momentum) {
    (type_of(buffer) == kDouble ? advance<double> : advance<float>)(buffer->data, batch, n, divisor, momentum);
}

// Near its limit of dimensions, NumPy has no view of the groups, which is an error.
constexpr int kUsualAxes = 8;

// What the group and instance norms of a call have in common.
struct Groups {
    // `given` = nullptr is a group per channel.
    Groups(PlainCall& call, PyObject* given, PyObject* axis_argument)
        : axis(call.axis(axis_argument)), channels(call.length(axis)) {
        number = given ? integer(given, 0) : channels;
        call.require(call.ok() && call.x()->nd <= kUsualAxes && axis >= 1 && number >= 1 && channels % number == 0);
    }
    PlainSpace space(const PlainCall& call) const { return PlainSpace::groups(call, axis, number); }

    long axis;
    Py_ssize_t channels;
    long number;
};

PyObject* normalize(PlainCall& call, const Groups& groups, PyObject* weight, PyObject* bias, double eps, PyObject* out,
                    decltype(&forward) run) {
    const void* w = call.parameter(weight, groups.channels);
    const void* b = call.parameter(bias, groups.channels);
    py::object y = call.ok() ? call.result(out) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    return run(call, groups.space(call), {w, b}, {fn::Statistic::variance, eps}, std::move(y));
}

PyObject* gradients(PlainCall& call, const PlainSpace& space, PyObject* dy, PyObject* weight, PyObject* mean,
                    PyObject* rstd) {
    PlainGradient given{};
    given.dy = call.like(dy);
    given.weight = call.parameter(weight, static_cast<Py_ssize_t>(space.parameters()));
    given.mean = space.statistics(call, mean);
    given.rstd = space.statistics(call, rstd);
    if (!call.ok()) Py_RETURN_NONE;
    return backward(call, space, given);
}

}  // namespace

// Arguments: x, num_groups, weight, bias, axis, eps, out.
PyObject* plain_group_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, args[1], args[4]);
    return normalize(call, groups, args[2], args[3], call.number(args[5]), args[6], &forward);
}

PyObject* plain_group_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, args[1], args[4]);
    return normalize(call, groups, args[2], args[3], call.number(args[5]), args[6], &forward_saved);
}

// Arguments: dy, x, num_groups, weight, mean, rstd, axis.
PyObject* plain_group_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const Groups groups(call, args[2], args[6]);
    if (!call.ok()) Py_RETURN_NONE;
    return gradients(call, groups.space(call), args[0], args[3], args[4], args[5]);
}

// Arguments: x, weight, bias, axis, eps, out.
PyObject* plain_instance_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, nullptr, args[3]);
    return normalize(call, groups, args[1], args[2], call.number(args[4]), args[5], &forward);
}

// Arguments: x, weight, bias, axis, momentum, ddof, eps, out.
PyObject* plain_instance_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const Groups groups(call, nullptr, args[3]);
    const double momentum = call.number(args[4]);
    call.number(args[5]);
    call.require(momentum <= 1 && call.ok() && groups.space(call).group_size() > 1);
    return normalize(call, groups, args[1], args[2], call.number(args[6]), args[7], &forward_saved);
}

// Arguments: dy, x, weight, mean, rstd, axis.
PyObject* plain_instance_norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    const Groups groups(call, nullptr, args[5]);
    if (!call.ok()) Py_RETURN_NONE;
    return gradients(call, groups.space(call), args[0], args[2], args[3], args[4]);
}

// Arguments: x, running_mean, running_var, weight, bias, axis, eps, out.
PyObject* plain_batch_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[6]);
    const long axis = call.axis(args[5]);
    const Py_ssize_t n = call.length(axis);
    const Array *mean = call.vector(args[1], kAny, n), *var = call.vector(args[2], kAny, n);
    // Statistics have the data's type or a wider one.
    if (!call.ok() || (type_of(call.x()) == kDouble && (type_of(mean) != kDouble || type_of(var) != kDouble))) {
        Py_RETURN_NONE;
    }
    const void* weight = call.parameter(args[3], n);
    const void* bias = call.parameter(args[4], n);
    py::object y = call.ok() ? call.result(args[7]) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    void* const data = data_of(y);
    run_without_gil(call, [&] {
        const Statistics statistics(mean, var, eps, static_cast<std::size_t>(n));
        fn::apply(PlainSpace::batch(call, axis).get(), {call.x()->data, nullptr}, {data, nullptr}, {weight, bias},
                  statistics.mean(), statistics.rstd());
    });
    return y.release().ptr();
}

// Arguments: x, weight, bias, running_mean, running_var, axis, momentum, ddof, eps, out.
PyObject* plain_batch_norm_forward(PyObject* const* args) {
    PlainCall call(args[0]);
    const double momentum = call.number(args[6]), ddof = call.number(args[7]), eps = call.number(args[8]);
    const long axis = call.axis(args[5]);
    const Py_ssize_t n = call.length(axis);
    const void* weight = call.parameter(args[1], n);
    const void* bias = call.parameter(args[2], n);
    const bool runs = args[3] != Py_None || args[4] != Py_None;
    const Array* const running_mean = runs ? call.buffer(args[3], n) : nullptr;
    const Array* const running_var = runs ? call.buffer(args[4], n) : nullptr;
    if (!call.ok() || momentum > 1) Py_RETURN_NONE;
    const PlainSpace space = PlainSpace::batch(call, axis);
    const auto size = static_cast<double>(space.group_size());
    call.require(size > 1 && (!runs || ddof < size));
    py::object y = call.ok() ? call.result(args[9]) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    const auto channels = static_cast<std::size_t>(n);
    const std::unique_ptr<double[]> m2(runs ? new double[channels] : nullptr);
    return forward_saved_and(call, space, {weight, bias}, {fn::Statistic::variance, eps}, std::move(y), m2.get(),
                             [&](const fn::Saved& saved) {
                                 if (!runs) return;
                                 advance(running_mean, saved.mean, channels, 1, momentum);
                                 advance(running_var, m2.get(), channels, size - ddof, momentum);
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

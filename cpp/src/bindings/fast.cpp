// For plain arguments only: plain_layer_norm(x, weight, bias, eps, out) and plain_rms_norm(...) normalize the last
// axis, plain_layer_norm_backward(dy, x, weight, mean, rstd) and plain_rms_norm_backward(...) give its three gradients,
// plain_group_norm(x, num_groups, weight, bias, axis, eps, out) has a group per channel if num_groups is None,
// plain_batch_norm(x, running_mean, running_var, weight, bias, axis, eps, out) takes given statistics.
//
// For anything else they return None without having done anything, and the caller goes the long way, which knows the
// error texts. Positional arguments only.
#include "fast.h"

#include <algorithm>
#include <memory>

#include "plain.h"

namespace py = pybind11;

namespace {

using namespace fastnorm_python;

constexpr std::size_t kHoldGil = 64 * 1024;  // bytes below which letting go of the GIL costs more than it gives

void* data_of(const py::object& array) { return py::detail::array_proxy(array.ptr())->data; }

template <class F>
void run_without_gil(const PlainCall& call, F&& run) {
    if (call.bytes() < kHoldGil) {
        run();
    } else {
        const py::gil_scoped_release release;
        run();
    }
}

template <class F>
PyObject* finish(const PlainCall& call, py::object result, F&& run) {
    void* y = data_of(result);
    run_without_gil(call, [&] { run(y); });
    return result.release().ptr();
}

template <fn::Statistic kStatistic>
PyObject* norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[3]);
    if (!call.ok()) Py_RETURN_NONE;
    const Py_ssize_t n = call.x()->dimensions[call.x()->nd - 1];
    const void* weight = call.parameter(args[1], n);
    const void* bias = call.parameter(args[2], n);
    py::object result = call.ok() ? call.result(args[4]) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    return finish(call, std::move(result), [&](void* y) {
        const std::size_t shape[2] = {call.size() / static_cast<std::size_t>(n), static_cast<std::size_t>(n)};
        const std::uint8_t roles[2] = {fn::kept, fn::reduced_param};
        fn::forward({call.dtype(), 2, shape, roles}, {call.x()->data, nullptr}, {y, nullptr}, {weight, bias},
                    {kStatistic, eps});
    });
}

// Rounds n sums to the data's type.
void round_sums(const double* sums, std::size_t n, fn::DType dtype, void* to) {
    if (dtype == fn::DType::f64) {
        std::copy_n(sums, n, static_cast<double*>(to));
    } else {
        std::transform(sums, sums + n, static_cast<float*>(to), [](double sum) { return static_cast<float>(sum); });
    }
}

template <fn::Statistic kStatistic>
PyObject* norm_backward(PyObject* const* args) {
    PlainCall call(args[1]);
    if (!call.ok()) Py_RETURN_NONE;
    const Py_ssize_t length = call.x()->dimensions[call.x()->nd - 1];
    const auto n = static_cast<std::size_t>(length);
    const void* dy = call.like(args[0]);
    const void* weight = call.parameter(args[2], length);
    const double* mean = kStatistic == fn::Statistic::variance ? call.statistic(args[3]) : nullptr;
    const double* rstd = call.statistic(args[4]);
    if (!call.ok()) Py_RETURN_NONE;
    py::object dx = call.new_array(), dweight = call.new_array(1, &length), dbias = call.new_array(1, &length);
    void *const dx_data = data_of(dx), *const dweight_data = data_of(dweight), *const dbias_data = data_of(dbias);
    run_without_gil(call, [&] {
        const std::unique_ptr<double[]> sums(new double[2 * n]);
        const std::size_t shape[2] = {call.size() / n, n};
        const std::uint8_t roles[2] = {fn::kept, fn::reduced_param};
        fn::backward({call.dtype(), 2, shape, roles}, {dy, nullptr}, {call.x()->data, nullptr}, weight, {kStatistic, 0},
                     true, mean, rstd, {{dx_data, nullptr}, sums.get(), sums.get() + n});
        round_sums(sums.get(), n, call.dtype(), dweight_data);
        round_sums(sums.get() + n, n, call.dtype(), dbias_data);
    });
    return py::make_tuple(std::move(dx), std::move(dweight), std::move(dbias)).release().ptr();
}

// An int as it is, or what stands for anything else.
long integer(PyObject* object, long otherwise) {
    if (!PyLong_CheckExact(object)) return otherwise;
    const long value = PyLong_AsLong(object);
    if (value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return otherwise;
    }
    return value;
}

// An axis of x, counted from the front; -1 if there is none.
long axis_of(const PlainCall& call, PyObject* object) {
    if (!call.ok() || call.x()->nd < 2) return -1;
    const long nd = call.x()->nd, axis = integer(object, nd);
    return axis >= nd || axis < -nd ? -1 : (axis + nd) % nd;
}

// Elements along the axes [begin, end).
std::size_t count(const PlainCall& call, long begin, long end) {
    std::size_t n = 1;
    for (long i = begin; i < end; ++i) n *= static_cast<std::size_t>(call.x()->dimensions[i]);
    return n;
}

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

PyObject* batch_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[6]);
    const long axis = axis_of(call, args[5]);
    if (!call.ok() || axis < 0) Py_RETURN_NONE;
    const Py_ssize_t length = call.x()->dimensions[axis];
    const auto n = static_cast<std::size_t>(length);
    const Array *mean = call.vector(args[1], kAny, length), *var = call.vector(args[2], kAny, length);
    // Statistics have the data's type or a wider one.
    if (!call.ok() || (type_of(call.x()) == kDouble && (type_of(mean) != kDouble || type_of(var) != kDouble))) {
        Py_RETURN_NONE;
    }
    const void* weight = call.parameter(args[3], length);
    const void* bias = call.parameter(args[4], length);
    py::object result = call.ok() ? call.result(args[7]) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    return finish(call, std::move(result), [&](void* y) {
        const Statistics statistics(mean, var, eps, n);
        const std::size_t inner = count(call, axis + 1, call.x()->nd), shape[3] = {call.size() / n / inner, n, inner};
        const std::uint8_t roles[3] = {fn::reduced, fn::param, fn::reduced};
        fn::apply({call.dtype(), 3, shape, roles}, {call.x()->data, nullptr}, {y, nullptr}, {weight, bias},
                  statistics.mean(), statistics.rstd());
    });
}

// One group per channel if num_groups is None.
PyObject* group_norm(PyObject* const* args) {
    PlainCall call(args[0]);
    const double eps = call.number(args[5]);
    const long axis = axis_of(call, args[4]);
    constexpr int kUsual = 8;  // near its limit of dimensions, NumPy has no view of the groups, which is an error
    if (!call.ok() || axis < 1 || call.x()->nd > kUsual) Py_RETURN_NONE;
    const Py_ssize_t length = call.x()->dimensions[axis];
    const long given = args[1] == Py_None ? length : integer(args[1], 0);
    if (given < 1 || length % given != 0) Py_RETURN_NONE;
    const void* weight = call.parameter(args[2], length);
    const void* bias = call.parameter(args[3], length);
    py::object result = call.ok() ? call.result(args[6]) : py::object();
    if (!call.ok()) Py_RETURN_NONE;
    const auto samples = static_cast<std::size_t>(call.x()->dimensions[0]), channels = static_cast<std::size_t>(length);
    const std::size_t outer = count(call, 1, axis), inner = count(call, axis + 1, call.x()->nd);
    const auto groups = static_cast<std::size_t>(given);
    return finish(call, std::move(result), [&](void* y) {
        const auto forward = [&](std::size_t ndim, const std::size_t* shape, const std::uint8_t* roles) {
            fn::forward({call.dtype(), ndim, shape, roles}, {call.x()->data, nullptr}, {y, nullptr}, {weight, bias},
                        {fn::Statistic::variance, eps});
        };
        // One group, and groups of one channel, have no axis of their own: it would end the runs of the sums.
        if (groups == 1 || groups == channels) {
            const std::size_t shape[4] = {samples, outer, channels, inner};
            const std::uint8_t role = groups == channels ? fn::param : fn::reduced_param;
            const std::uint8_t roles[4] = {fn::kept, fn::reduced, role, fn::reduced};
            forward(4, shape, roles);
        } else {
            const std::size_t shape[5] = {samples, outer, groups, channels / groups, inner};
            const std::uint8_t roles[5] = {fn::kept, fn::reduced, fn::param, fn::reduced_param, fn::reduced};
            forward(5, shape, roles);
        }
    });
}

template <PyObject* (*kFunction)(PyObject* const*), Py_ssize_t kCount>
PyObject* checked(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != kCount) {
        PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", kCount, count);
        return nullptr;
    }
    try {
        return kFunction(args);
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

template <PyObject* (*kFunction)(PyObject* const*), Py_ssize_t kCount>
PyMethodDef method(const char* name) {
    // The cast through void* is what METH_FASTCALL asks for.
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&checked<kFunction, kCount>)), METH_FASTCALL,
            nullptr};
}

}  // namespace

void add_plain_functions(py::module_& m) {
    static PyMethodDef methods[] = {method<norm<fn::Statistic::variance>, 5>("plain_layer_norm"),
                                    method<norm<fn::Statistic::mean_square>, 5>("plain_rms_norm"),
                                    method<norm_backward<fn::Statistic::variance>, 5>("plain_layer_norm_backward"),
                                    method<norm_backward<fn::Statistic::mean_square>, 5>("plain_rms_norm_backward"),
                                    method<group_norm, 7>("plain_group_norm"),
                                    method<batch_norm, 8>("plain_batch_norm"),
                                    {nullptr, nullptr, 0, nullptr}};
    if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

// plain_layer_norm(x, weight, bias, eps, out) and plain_rms_norm(...) normalize the last axis, plain_batch_norm(x,
// running_mean, running_var, weight, bias, axis, eps, out) with given statistics, if every argument is plain: exact
// ndarrays of float32 or float64, C-contiguous, of fitting shapes that do not overlap. For anything else they return
// None without having done anything, and the caller goes the long way, which knows the error texts. Positional
// arguments only.
#include "fast.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "fastnorm/fastnorm.h"
#include "pool.h"

namespace py = pybind11;
namespace fn = fastnorm;

namespace {

using Array = py::detail::PyArray_Proxy;

constexpr std::size_t kHoldGil = 64 * 1024;  // bytes below which letting go of the GIL costs more than it gives
constexpr int kPlain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
constexpr int kAny = -1, kDouble = py::detail::npy_api::NPY_DOUBLE_;

int type_of(const Array* array) { return py::detail::array_descriptor_proxy(array->descr)->type_num; }

// The array behind an object if it is an exact, plain ndarray of type number `type` (any float type if kAny).
const Array* plain(PyObject* object, int type) {
    static PyTypeObject* const ndarray = py::detail::npy_api::get().PyArray_Type_;
    if (Py_TYPE(object) != ndarray) return nullptr;
    const Array* array = py::detail::array_proxy(object);
    if ((array->flags & kPlain) != kPlain) return nullptr;
    const auto* descr = py::detail::array_descriptor_proxy(array->descr);
    if (descr->byteorder != '=' ||
        (type == kAny ? descr->type != 'f' && descr->type != 'd' : descr->type_num != type)) {
        return nullptr;
    }
    return array;
}

bool overlaps(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
    const auto *first = static_cast<const char*>(a), *second = static_cast<const char*>(b);
    return b && first < second + b_bytes && second < first + a_bytes;
}

// The data of a call; not `ok` once something is not plain.
class PlainCall {
public:
    explicit PlainCall(PyObject* x) : x_(plain(x, kAny)), ok_(x_ && x_->nd >= 1) {
        for (int i = 0; ok_ && i < x_->nd; ++i) size_ *= static_cast<std::size_t>(x_->dimensions[i]);
        ok_ = ok_ && size_ > 0;
        if (ok_) item_ = type_of(x_) == kDouble ? 8 : 4;
    }

    bool ok() const { return ok_; }
    const Array* x() const { return x_; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return size_ * item_; }
    fn::DType dtype() const { return item_ == 8 ? fn::DType::f64 : fn::DType::f32; }

    double number(PyObject* eps) {
        const double value = PyFloat_CheckExact(eps) ? PyFloat_AS_DOUBLE(eps) : -1;
        ok_ = ok_ && value >= 0 && std::isfinite(value);
        return value;
    }
    // A vector of n elements of the data's type, or None.
    const void* parameter(PyObject* object, Py_ssize_t n) {
        if (!ok_ || object == Py_None) return nullptr;
        const Array* array = vector(object, type_of(x_), n);
        return array ? array->data : nullptr;
    }
    // A vector of n elements of any float type.
    const Array* vector(PyObject* object, int type, Py_ssize_t n) {
        const Array* array = ok_ ? plain(object, type) : nullptr;
        ok_ = array && array->nd == 1 && array->dimensions[0] == n;
        if (!ok_) return nullptr;
        side_bytes_[sides_] = static_cast<std::size_t>(n) * (type_of(array) == kDouble ? 8 : 4);
        side_[sides_++] = array->data;
        return array;
    }
    // The result: `out` if it can be written to as it is, or a new array.
    py::object result(PyObject* out) {
        if (out == Py_None) return new_array();
        const Array* array = plain(out, type_of(x_));
        ok_ = array && array->nd == x_->nd && (array->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_);
        for (int i = 0; ok_ && i < x_->nd; ++i) ok_ = array->dimensions[i] == x_->dimensions[i];
        ok_ = ok_ && (array->data == x_->data || !overlaps(array->data, bytes(), x_->data, bytes()));
        for (int i = 0; ok_ && i < sides_; ++i) ok_ = !overlaps(array->data, bytes(), side_[i], side_bytes_[i]);
        return ok_ ? py::reinterpret_borrow<py::object>(out) : py::object();
    }

private:
    py::object new_array() const {
        const auto& api = py::detail::npy_api::get();
        if (bytes() >= kPooledBytes) {
            const auto x = py::reinterpret_borrow<py::array>(reinterpret_cast<PyObject*>(const_cast<Array*>(x_)));
            return empty_like(x, x.dtype());
        }
        Py_INCREF(x_->descr);
        PyObject* array = api.PyArray_NewFromDescr_(api.PyArray_Type_, x_->descr, x_->nd, x_->dimensions, nullptr,
                                                    nullptr, 0, nullptr);
        if (!array) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(array);
    }

    const Array* x_;
    bool ok_;
    std::size_t size_ = 1, item_ = 4, side_bytes_[4];
    const void* side_[4];
    int sides_ = 0;
};

template <class F>
PyObject* finish(const PlainCall& call, py::object result, F&& run) {
    void* y = py::detail::array_proxy(result.ptr())->data;
    if (call.bytes() < kHoldGil) {
        run(y);
    } else {
        const py::gil_scoped_release release;
        run(y);
    }
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
    if (!call.ok() || call.x()->nd < 2 || !PyLong_CheckExact(args[5])) Py_RETURN_NONE;
    const long given = PyLong_AsLong(args[5]);
    if (given == -1 && PyErr_Occurred()) PyErr_Clear();
    const long axis = given < 0 ? given + call.x()->nd : given;
    if (axis < 0 || axis >= call.x()->nd) Py_RETURN_NONE;
    const auto n = static_cast<std::size_t>(call.x()->dimensions[axis]);
    const auto length = static_cast<Py_ssize_t>(n);
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
        std::size_t inner = 1;
        for (long i = axis + 1; i < call.x()->nd; ++i) inner *= static_cast<std::size_t>(call.x()->dimensions[i]);
        const std::size_t shape[3] = {call.size() / n / inner, n, inner};
        const std::uint8_t roles[3] = {fn::reduced, fn::param, fn::reduced};
        fn::apply({call.dtype(), 3, shape, roles}, {call.x()->data, nullptr}, {y, nullptr}, {weight, bias},
                  statistics.mean(), statistics.rstd());
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
                                    method<batch_norm, 8>("plain_batch_norm"),
                                    {nullptr, nullptr, 0, nullptr}};
    if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

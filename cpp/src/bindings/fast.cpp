// plain_layer_norm(x, weight, bias, eps, out) and plain_rms_norm(...) normalize the last axis if every argument is
// plain: exact ndarrays of one dtype, float32 or float64, C-contiguous, of fitting shapes that do not overlap. For
// anything else they return None without having done anything, and the caller goes the long way, which knows the error
// texts. Positional arguments only.
#include "fast.h"

#include <pybind11/numpy.h>

#include <cmath>

#include "fastnorm/fastnorm.h"

namespace py = pybind11;
namespace fn = fastnorm;

namespace {

using Array = py::detail::PyArray_Proxy;

constexpr std::size_t kHoldGil = 64 * 1024;  // bytes below which letting go of the GIL costs more than it gives
constexpr int kPlain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// The array behind an object if it is an exact, plain ndarray of type number `type` (any float type if -1).
const Array* plain(PyObject* object, int type) {
    static PyTypeObject* const ndarray = py::detail::npy_api::get().PyArray_Type_;
    if (Py_TYPE(object) != ndarray) return nullptr;
    const Array* array = py::detail::array_proxy(object);
    if ((array->flags & kPlain) != kPlain) return nullptr;
    const auto* descr = py::detail::array_descriptor_proxy(array->descr);
    if (descr->byteorder != '=' || (type >= 0 ? descr->type_num != type : descr->type != 'f' && descr->type != 'd')) {
        return nullptr;
    }
    return array;
}

// A weight or bias of length n; sets `ok` to false if it is neither None nor that.
const void* parameter(PyObject* object, int type, Py_ssize_t n, bool& ok) {
    if (object == Py_None) return nullptr;
    const Array* array = plain(object, type);
    ok = ok && array && array->nd == 1 && array->dimensions[0] == n;
    return ok ? array->data : nullptr;
}

bool overlaps(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
    const auto *first = static_cast<const char*>(a), *second = static_cast<const char*>(b);
    return b && first < second + b_bytes && second < first + a_bytes;
}

PyObject* new_array(const Array* like) {
    const auto& api = py::detail::npy_api::get();
    Py_INCREF(like->descr);
    return api.PyArray_NewFromDescr_(api.PyArray_Type_, like->descr, like->nd, like->dimensions, nullptr, nullptr, 0,
                                     nullptr);
}

PyObject* normalize(PyObject* const* args, Py_ssize_t count, fn::Statistic statistic) {
    if (count != 5) {
        PyErr_SetString(PyExc_TypeError, "expected x, weight, bias, eps, out");
        return nullptr;
    }
    const Array* x = plain(args[0], -1);
    if (!x || x->nd < 1 || !PyFloat_CheckExact(args[3])) Py_RETURN_NONE;
    const double eps = PyFloat_AS_DOUBLE(args[3]);
    if (!(eps >= 0 && std::isfinite(eps))) Py_RETURN_NONE;

    std::size_t size = 1;
    for (int i = 0; i < x->nd; ++i) size *= static_cast<std::size_t>(x->dimensions[i]);
    if (size == 0) Py_RETURN_NONE;
    const Py_ssize_t n = x->dimensions[x->nd - 1];
    const int type = py::detail::array_descriptor_proxy(x->descr)->type_num;
    const std::size_t item = type == py::detail::npy_api::NPY_FLOAT_ ? 4 : 8;
    bool ok = true;
    const void* weight = parameter(args[1], type, n, ok);
    const void* bias = parameter(args[2], type, n, ok);
    if (!ok) Py_RETURN_NONE;

    py::object result;
    if (args[4] == Py_None) {
        result = py::reinterpret_steal<py::object>(new_array(x));
        if (!result) return nullptr;
    } else {
        const Array* out = plain(args[4], type);
        if (!out || out->nd != x->nd || !(out->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_)) Py_RETURN_NONE;
        for (int i = 0; i < x->nd; ++i) ok = ok && out->dimensions[i] == x->dimensions[i];
        const std::size_t bytes = size * item, row = static_cast<std::size_t>(n) * item;
        if (!ok || (out->data != x->data && overlaps(out->data, bytes, x->data, bytes)) ||
            overlaps(out->data, bytes, weight, row) || overlaps(out->data, bytes, bias, row)) {
            Py_RETURN_NONE;
        }
        result = py::reinterpret_borrow<py::object>(args[4]);
    }

    const std::size_t shape[2] = {size / static_cast<std::size_t>(n), static_cast<std::size_t>(n)};
    const std::uint8_t roles[2] = {fn::kept, fn::reduced_param};
    const fn::Space space{item == 4 ? fn::DType::f32 : fn::DType::f64, 2, shape, roles};
    void* y = py::detail::array_proxy(result.ptr())->data;
    const auto run = [&] { fn::forward(space, {x->data, nullptr}, {y, nullptr}, {weight, bias}, {statistic, eps}); };
    if (size * item < kHoldGil) {
        run();
    } else {
        const py::gil_scoped_release release;
        run();
    }
    return result.release().ptr();
}

template <fn::Statistic kStatistic>
PyObject* plain_norm(PyObject*, PyObject* const* args, Py_ssize_t count) {
    try {
        return normalize(args, count, kStatistic);
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

template <fn::Statistic kStatistic>
PyMethodDef method(const char* name) {
    // The cast through void* is what METH_FASTCALL asks for.
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&plain_norm<kStatistic>)), METH_FASTCALL,
            nullptr};
}

}  // namespace

void add_plain_functions(py::module_& m) {
    static PyMethodDef methods[] = {method<fn::Statistic::variance>("plain_layer_norm"),
                                    method<fn::Statistic::mean_square>("plain_rms_norm"),
                                    {nullptr, nullptr, 0, nullptr}};
    if (PyModule_AddFunctions(m.ptr(), methods) != 0) throw py::error_already_set();
}

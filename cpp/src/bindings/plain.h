// The arguments of a call if every one is plain: exact ndarrays of float32 or float64, C-contiguous, of fitting shapes
// that do not overlap.
#pragma once

#include <pybind11/numpy.h>

#include <cmath>

#include "fastnorm/fastnorm.h"
#include "pool.h"

namespace fastnorm_python {

namespace py = pybind11;
namespace fn = fastnorm;

using Array = py::detail::PyArray_Proxy;

constexpr int kPlain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
constexpr int kAny = -1, kDouble = py::detail::npy_api::NPY_DOUBLE_;

inline int type_of(const Array* array) { return py::detail::array_descriptor_proxy(array->descr)->type_num; }

// The array behind an object if it is an exact, plain ndarray of type number `type` (any float type if kAny).
inline const Array* plain(PyObject* object, int type) {
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

inline bool overlaps(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
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
    // An array of the data's type and shape, or one of doubles with length 1 along the last axis.
    const void* like(PyObject* object) { return same_form(object, type_of(x_), x_->dimensions[x_->nd - 1]); }
    const double* statistic(PyObject* object) { return static_cast<const double*>(same_form(object, kDouble, 1)); }
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

    py::object new_array() const {
        if (bytes() >= kPooledBytes) {
            const auto x = py::reinterpret_borrow<py::array>(reinterpret_cast<PyObject*>(const_cast<Array*>(x_)));
            return empty_like(x, x.dtype());
        }
        return new_array(x_->nd, x_->dimensions);
    }
    // Of another shape, which is not so large.
    py::object new_array(int nd, const Py_ssize_t* shape) const {
        const auto& api = py::detail::npy_api::get();
        Py_INCREF(x_->descr);
        PyObject* array =
            api.PyArray_NewFromDescr_(api.PyArray_Type_, x_->descr, nd, shape, nullptr, nullptr, 0, nullptr);
        if (!array) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(array);
    }

private:
    const void* same_form(PyObject* object, int type, Py_ssize_t last) {
        const Array* array = ok_ ? plain(object, type) : nullptr;
        ok_ = array && array->nd == x_->nd && array->dimensions[x_->nd - 1] == last;
        for (int i = 0; ok_ && i + 1 < x_->nd; ++i) ok_ = array->dimensions[i] == x_->dimensions[i];
        return ok_ ? array->data : nullptr;
    }

    const Array* x_;
    bool ok_;
    std::size_t size_ = 1, item_ = 4, side_bytes_[4];
    const void* side_[4];
    int sides_ = 0;
};

}  // namespace fastnorm_python

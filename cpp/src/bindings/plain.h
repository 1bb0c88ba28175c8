// The arguments of a call if every one is plain: exact ndarrays of float32 or float64, C-contiguous, of fitting shapes
// that do not overlap.
#pragma once

#include <pybind11/numpy.h>

#include <algorithm>
#include <cmath>

#include "fastnorm/fastnorm.h"
#include "pool.h"

namespace fastnorm_python {

namespace py = pybind11;
namespace fn = fastnorm;

using Array = py::detail::PyArray_Proxy;

constexpr int kPlain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
constexpr std::size_t kMostAxes = 64;  // of an array of NumPy 2
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

// An int as it is, or what stands for anything else.
inline long integer(PyObject* object, long otherwise) {
    if (!PyLong_CheckExact(object)) return otherwise;
    const long value = PyLong_AsLong(object);
    if (value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return otherwise;
    }
    return value;
}

// Takes over the reference to the type.
inline py::object new_array(PyObject* descr, int nd, const Py_ssize_t* shape) {
    const auto& api = py::detail::npy_api::get();
    PyObject* array = api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, nd, shape, nullptr, nullptr, 0, nullptr);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(array);
}

// The data of a call; not `ok` once something is not plain.
class PlainCall {
public:
    explicit PlainCall(PyObject* x)
        : x_(plain(x, kAny)), ok_(x_ && x_->nd >= 1 && x_->nd <= static_cast<int>(kMostAxes)) {
        for (int i = 0; ok_ && i < x_->nd; ++i) size_ *= static_cast<std::size_t>(x_->dimensions[i]);
        ok_ = ok_ && size_ > 0;
        if (ok_) item_ = type_of(x_) == kDouble ? 8 : 4;
    }

    bool ok() const { return ok_; }
    const Array* x() const { return x_; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return size_ * item_; }
    fn::DType dtype() const { return item_ == 8 ? fn::DType::f64 : fn::DType::f32; }

    // A finite number >= 0.
    double number(PyObject* object) {
        const double value =
            PyFloat_CheckExact(object) ? PyFloat_AS_DOUBLE(object) : static_cast<double>(integer(object, -1));
        ok_ = ok_ && value >= 0 && std::isfinite(value);
        return value;
    }
    // An axis of x, counted from the front, and its length; there is another axis.
    long axis(PyObject* object) {
        const long nd = ok_ ? x_->nd : 0, axis = integer(object, nd);
        ok_ = ok_ && nd >= 2 && axis < nd && axis >= -nd;
        return ok_ ? (axis + nd) % nd : 0;
    }
    Py_ssize_t length(long axis) const { return ok_ ? x_->dimensions[axis] : 0; }
    // Elements along the axes [begin, end).
    std::size_t count(long begin, long end) const {
        std::size_t n = 1;
        for (long i = begin; i < end; ++i) n *= static_cast<std::size_t>(x_->dimensions[i]);
        return n;
    }
    void require(bool condition) { ok_ = ok_ && condition; }
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
        remember(array, n);
        return array;
    }
    // The same, to be written to: of the data's type or of doubles, and apart from everything before.
    const Array* buffer(PyObject* object, Py_ssize_t n) {
        const int before = sides_;
        const Array* array = vector(object, kAny, n);
        ok_ = array && (type_of(array) == kDouble || type_of(array) == type_of(x_)) && is_writeable(array) &&
              !overlaps(array->data, side_bytes_[before], x_->data, bytes());
        for (int i = 0; ok_ && i < before; ++i) {
            ok_ = !overlaps(array->data, side_bytes_[before], side_[i], side_bytes_[i]);
        }
        return ok_ ? array : nullptr;
    }
    // An array of the data's type and shape.
    const void* like(PyObject* object) { return ok_ ? of_shape(object, type_of(x_), x_->nd, x_->dimensions) : nullptr; }
    // Elements of a type in a shape.
    const void* of_shape(PyObject* object, int type, int nd, const Py_ssize_t* shape) {
        const Array* array = ok_ ? plain(object, type) : nullptr;
        ok_ = array && array->nd == nd && std::equal(shape, shape + nd, array->dimensions);
        if (!ok_) return nullptr;
        Py_ssize_t n = 1;
        for (int i = 0; i < nd; ++i) n *= shape[i];
        remember(array, n);
        return array->data;
    }
    // The result: `out` if it can be written to as it is, or a new array.
    py::object result(PyObject* out) {
        if (out == Py_None) return new_array();
        const Array* array = plain(out, type_of(x_));
        ok_ = array && array->nd == x_->nd && is_writeable(array);
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
    // Of the data's type and another shape, which is not so large.
    py::object new_array(int nd, const Py_ssize_t* shape) const {
        Py_INCREF(x_->descr);
        return fastnorm_python::new_array(x_->descr, nd, shape);
    }
    py::object new_vector(Py_ssize_t n) const { return new_array(1, &n); }

private:
    static bool is_writeable(const Array* array) {
        return (array->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_) != 0;
    }
    void remember(const Array* array, Py_ssize_t n) {
        side_bytes_[sides_] = static_cast<std::size_t>(n) * (type_of(array) == kDouble ? 8 : 4);
        side_[sides_++] = array->data;
    }

    const Array* x_;
    bool ok_;
    std::size_t size_ = 1, item_ = 4, side_bytes_[8] = {};
    const void* side_[8] = {};
    int sides_ = 0;
};

}  // namespace fastnorm_python

// The arguments of a call if every one is plain: of fitting types and shapes, and apart where something is written.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "plain_array.h"
#include "pool.h"

namespace fastnorm_python {

constexpr std::size_t kMostAxes = 64;  // of an array of NumPy 2

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

// Not `ok` once something is not plain.
class PlainCall {
public:
    explicit PlainCall(PyObject* x) : x_(x) {
        ok_ = x_ && x_.ndim() >= 1 && x_.ndim() <= static_cast<int>(kMostAxes);
        size_ = ok_ ? x_.size() : 0;
        ok_ = size_ > 0;
    }

    bool ok() const { return ok_; }
    void require(bool condition) { ok_ = ok_ && condition; }
    const PlainArray& x() const { return x_; }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return size_ * x_.item_size(); }

    // A finite number >= 0.
    double number(PyObject* object) {
        const double value =
            PyFloat_CheckExact(object) ? PyFloat_AS_DOUBLE(object) : static_cast<double>(integer(object, -1));
        require(value >= 0 && std::isfinite(value));
        return value;
    }
    // None is no activation.
    fn::Activation activation(PyObject* object) {
        constexpr const char* kNames[] = {"relu", "silu", "gelu", "gelu_tanh"};
        if (object == Py_None) return fn::Activation::none;
        int number = 0;
        for (int i = 0; i < 4 && PyUnicode_CheckExact(object); ++i) {
            if (PyUnicode_CompareWithASCIIString(object, kNames[i]) == 0) number = i + 1;
        }
        require(number > 0);
        return static_cast<fn::Activation>(number);
    }
    // An axis of x, counted from the front, and its length; there is another axis.
    long axis(PyObject* object) {
        const long nd = ok_ ? x_.ndim() : 0, axis = integer(object, nd);
        require(nd >= 2 && axis < nd && axis >= -nd);
        return ok_ ? (axis + nd) % nd : 0;
    }
    Py_ssize_t length(long axis) const { return ok_ ? x_.shape()[axis] : 0; }
    // Elements along the axes [begin, end).
    std::size_t count(long begin, long end) const {
        std::size_t n = 1;
        for (long i = begin; i < end; ++i) n *= static_cast<std::size_t>(x_.shape()[i]);
        return n;
    }

    // A parameter in the type that x is computed in; None is nullptr. Parameters have the data's type or a wider one,
    // which `type` tells: without one, that of the data.
    const void* parameter(PyObject* object, int nd, const Py_ssize_t* shape, fn::DType* type = nullptr) {
        if (type && ok_) *type = x_.type;
        if (!ok_ || object == Py_None) return nullptr;
        const PlainArray array = per_channel(object, nd, shape);
        if (!ok_) return nullptr;
        if (type) *type = array.type;
        if (x_.type == fn::DType::f64 || array.type == fn::DType::f32) return array.data();
        converted_.emplace_back(new float[array.size()]);
        convert(array, converted_.back().get());
        return converted_.back().get();
    }
    const void* parameter(PyObject* object, Py_ssize_t n, fn::DType* type = nullptr) {
        return parameter(object, 1, &n, type);
    }
    // The same as it is.
    PlainArray per_channel(PyObject* object, int nd, const Py_ssize_t* shape) {
        const PlainArray array = side(object, nd, shape);
        require(array && (array.type == x_.type || (array.type > x_.type && array.type >= fn::DType::f32)));
        return array;
    }
    PlainArray per_channel(PyObject* object, Py_ssize_t n) { return per_channel(object, 1, &n); }
    // The same, to be written to: apart from everything before.
    PlainArray buffer(PyObject* object, Py_ssize_t n) {
        const std::size_t before = sides_.size();
        const PlainArray array = per_channel(object, n);
        if (!ok_) return array;
        require(array.is_writeable() && !overlap(array, x_));
        for (std::size_t i = 0; i < before; ++i) require(!overlap(array, sides_[i]));
        return array;
    }
    // An array of the data's type and shape. A result may lie on it.
    const void* like(PyObject* object) {
        const PlainArray array = ok_ ? side(object, x_.ndim(), x_.shape()) : PlainArray();
        require(array && array.type == x_.type);
        like_ = sides_.size() - 1;
        return ok_ ? array.data() : nullptr;
    }
    // Doubles in a shape.
    const double* doubles(PyObject* object, int nd, const Py_ssize_t* shape) {
        const PlainArray array = side(object, nd, shape);
        require(array && array.type == fn::DType::f64);
        return ok_ ? static_cast<const double*>(array.data()) : nullptr;
    }

    // The result: `out` if it can be written to as it is, or a new array.
    py::object result(PyObject* object) {
        if (!ok_) return {};
        if (object == Py_None) return new_result();
        const PlainArray out(object);
        require(out && out.type == x_.type && out.has_shape(x_.ndim(), x_.shape()) && out.is_writeable());
        require(ok_ && (out.data() == x_.data() || !overlap(out, x_)));
        for (std::size_t i = 0; ok_ && i < sides_.size(); ++i) {
            require((i == like_ && out.data() == sides_[i].data()) || !overlap(out, sides_[i]));
        }
        if (ok_) sides_.push_back(out);
        return ok_ ? py::reinterpret_borrow<py::object>(object) : py::object();
    }
    py::object new_result() const {
        if (bytes() < kPooledBytes) return new_array(x_.type, x_.ndim(), x_.shape());
        const auto x = py::reinterpret_borrow<py::array>(x_.handle());
        return empty_like(x.dtype(), {x});
    }
    // Of the data's type or a wider one.
    py::object new_array(fn::DType type, int nd, const Py_ssize_t* shape) const {
        if (type == fn::DType::f64) return new_doubles(nd, shape);
        PyObject* descr = x_.proxy->descr;
        if (type != x_.type) {
            descr = NumPy::get().PyArray_DescrFromType_(NumPy::NPY_FLOAT_);
        } else {
            Py_INCREF(descr);
        }
        return fastnorm_python::new_array(descr, nd, shape);
    }

private:
    PlainArray side(PyObject* object, int nd, const Py_ssize_t* shape) {
        const PlainArray array = ok_ ? PlainArray(object) : PlainArray();
        require(array && array.has_shape(nd, shape));
        if (ok_) sides_.push_back(array);
        return ok_ ? array : PlainArray();
    }

    // A vector that does not allocate: calls are short.
    class Sides {
    public:
        std::size_t size() const { return size_; }
        void push_back(const PlainArray& array) { arrays_[size_++] = array; }
        const PlainArray& operator[](std::size_t i) const { return arrays_[i]; }

    private:
        PlainArray arrays_[8];
        std::size_t size_ = 0;
    };

    PlainArray x_;
    bool ok_;
    std::size_t size_;
    std::size_t like_ = static_cast<std::size_t>(-1);  // among the sides
    Sides sides_;
    std::vector<std::unique_ptr<float[]>> converted_;
};

}  // namespace fastnorm_python

// Arrays that need no further checks: exact ndarrays, C-contiguous, aligned, of a type that the library has.
#pragma once

#include <pybind11/numpy.h>

#include <algorithm>
#include <atomic>

#include "fastnorm/fastnorm.h"
#include "types.h"

namespace fastnorm_python {

namespace py = pybind11;
namespace fn = fastnorm;

using ArrayProxy = py::detail::PyArray_Proxy;
using NumPy = py::detail::npy_api;

// Whether a type that calls itself 'E' is ml_dtypes.bfloat16, as fastnorm._dtypes tells it. Asked once.
inline bool is_bfloat16(PyObject* descr) {
    static std::atomic<int> known{-1};
    const int number = py::detail::array_descriptor_proxy(descr)->type_num;
    if (number == known) return true;
    const auto dtype = py::reinterpret_borrow<py::dtype>(descr);
    if (dtype.itemsize() != 2 || py::str(dtype.attr("name")).cast<std::string>() != "bfloat16") return false;
    known = number;
    return true;
}

struct PlainArray {
    PlainArray() = default;
    explicit PlainArray(PyObject* object) {
        constexpr int kFlags = NumPy::NPY_ARRAY_C_CONTIGUOUS_ | NumPy::NPY_ARRAY_ALIGNED_;
        if (Py_TYPE(object) != NumPy::get().PyArray_Type_) return;
        const ArrayProxy* array = py::detail::array_proxy(object);
        if ((array->flags & kFlags) == kFlags && find_type(array->descr)) proxy = array;
    }

    explicit operator bool() const { return proxy != nullptr; }
    int ndim() const { return proxy->nd; }
    const Py_ssize_t* shape() const { return proxy->dimensions; }
    void* data() const { return proxy->data; }
    bool is_writeable() const { return (proxy->flags & NumPy::NPY_ARRAY_WRITEABLE_) != 0; }
    bool has_shape(int nd, const Py_ssize_t* sizes) const {
        return ndim() == nd && std::equal(sizes, sizes + nd, shape());
    }
    std::size_t size() const {
        std::size_t n = 1;
        for (int i = 0; i < ndim(); ++i) n *= static_cast<std::size_t>(shape()[i]);
        return n;
    }
    std::size_t item_size() const { return type == fn::DType::f64 ? 8 : type == fn::DType::f32 ? 4 : 2; }
    std::size_t bytes() const { return size() * item_size(); }
    PyObject* handle() const { return reinterpret_cast<PyObject*>(const_cast<ArrayProxy*>(proxy)); }

    const ArrayProxy* proxy = nullptr;
    fn::DType type{};

private:
    bool find_type(PyObject* descr) {
        const auto* of = py::detail::array_descriptor_proxy(descr);
        if (of->byteorder != '=') return false;
        switch (of->type) {
            case 'd':
                return type = fn::DType::f64, true;
            case 'f':
                return type = fn::DType::f32, true;
            case 'e':
                return type = fn::DType::f16, true;
            case 'E':
                return type = fn::DType::bf16, is_bfloat16(descr);
            default:
                return false;
        }
    }
};

inline bool overlap(const PlainArray& a, const PlainArray& b) {
    const auto *first = static_cast<const char*>(a.data()), *second = static_cast<const char*>(b.data());
    return first < second + b.bytes() && second < first + a.bytes();
}

// The elements in a wider type.
template <class To>
void convert(const PlainArray& array, To* to) {
    fn::with_type(array.type, [&](auto kind) {
        using T = decltype(kind);
        const T* const from = static_cast<const T*>(array.data());
        std::transform(from, from + array.size(), to, [](T v) { return static_cast<To>(fn::widen(v)); });
    });
}

// Rounds once. What float cannot hold is cut off, and its last bit set: enough to tell the halves of the second
// rounding, to 16 bits, from what is beside them.
template <class T>
T round_once(double v) {
    if constexpr (sizeof(T) > 2) return static_cast<T>(v);
    auto single = static_cast<float>(v);
    if (static_cast<double>(single) != v && std::isfinite(single)) {
        auto bits = fn::bit_cast<std::uint32_t>(single);
        if (std::fabs(static_cast<double>(single)) > std::fabs(v)) --bits;
        single = fn::bit_cast<float>(bits | 1u);
    }
    return fn::narrow<T>(single);
}

// A new array; takes over the reference to the type.
inline py::object new_array(PyObject* descr, int nd, const Py_ssize_t* shape) {
    const auto& api = NumPy::get();
    PyObject* array = api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, nd, shape, nullptr, nullptr, 0, nullptr);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(array);
}

inline py::object new_doubles(int nd, const Py_ssize_t* shape) {
    return new_array(NumPy::get().PyArray_DescrFromType_(NumPy::NPY_DOUBLE_), nd, shape);
}

}  // namespace fastnorm_python

#include "array.h"

#include <atomic>
#include <string_view>

namespace fastnorm_python {
namespace {

using fastnorm::DType;

PyTypeObject* ndarray = nullptr;

// The type number of ml_dtypes.bfloat16, once one was met.
std::atomic<int> bfloat16{-1};

// Whether a type that calls itself 'E' is ml_dtypes.bfloat16.
bool is_bfloat16(PyObject* descr) {
    const int number = py::detail::array_descriptor_proxy(descr)->type_num;
    if (number == bfloat16.load(std::memory_order_relaxed)) return true;
    const auto dtype = py::reinterpret_borrow<py::dtype>(descr);
    if (dtype.itemsize() != 2 || py::str(dtype.attr("name")).cast<std::string>() != "bfloat16") return false;
    bfloat16.store(number, std::memory_order_relaxed);
    return true;
}

}  // namespace

void initialize_arrays() { ndarray = NumPy::get().PyArray_Type_; }

bool is_plain_array(PyObject* object) { return Py_TYPE(object) == ndarray; }
bool is_array(PyObject* object) { return PyObject_TypeCheck(object, ndarray) != 0; }

DType dtype_of(PyObject* descr) {
    const auto* proxy = py::detail::array_descriptor_proxy(descr);
    if (proxy->byteorder == '>' || (proxy->byteorder == '<')) return DType::swapped;
    switch (proxy->type) {
        case 'd':
            return DType::f64;
        case 'f':
            return DType::f32;
        case 'e':
            return DType::f16;
        case 'E':
            return is_bfloat16(descr) ? DType::bf16 : DType::other;
        case '?':
            return DType::boolean;
        case 'b':
            return DType::i8;
        case 'B':
            return DType::u8;
        case 'i':
            return DType::i32;
        default:
            return DType::other;
    }
}

PyObject* descr_of(DType dtype, PyObject* like) {
    const auto& api = NumPy::get();
    switch (dtype) {
        case DType::f64:
            return api.PyArray_DescrFromType_(NumPy::NPY_DOUBLE_);
        case DType::f32:
            return api.PyArray_DescrFromType_(NumPy::NPY_FLOAT_);
        case DType::f16:
            return api.PyArray_DescrFromType_(23);
        case DType::i8:
            return api.PyArray_DescrFromType_(NumPy::NPY_BYTE_);
        case DType::u8:
            return api.PyArray_DescrFromType_(NumPy::NPY_UBYTE_);
        case DType::i32:
            return api.PyArray_DescrFromType_(NumPy::NPY_INT_);
        default: {
            PyObject* const descr = proxy_of(like).descr;
            Py_INCREF(descr);
            return descr;
        }
    }
}

}  // namespace fastnorm_python

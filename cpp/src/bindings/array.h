// NumPy arrays as tensors.
#pragma once

#include <pybind11/numpy.h>

#include "fastnorm/operations.h"

namespace fastnorm_python {

namespace py = pybind11;

using ArrayProxy = py::detail::PyArray_Proxy;
using NumPy = py::detail::npy_api;

inline const ArrayProxy& proxy_of(PyObject* array) { return *py::detail::array_proxy(array); }

// Whether an object is an ndarray and no subclass of it.
bool is_plain_array(PyObject* object);
bool is_array(PyObject* object);

// DType::other and DType::swapped for what the library does not have.
fastnorm::DType dtype_of(PyObject* descr);

// A new reference to NumPy's dtype; `like` is an array of that dtype if it is bfloat16, which NumPy does not have.
PyObject* descr_of(fastnorm::DType dtype, PyObject* like);

inline fastnorm::Tensor tensor_of(PyObject* array, fastnorm::DType dtype) {
    const ArrayProxy& proxy = proxy_of(array);
    const bool dense = proxy.flags & NumPy::NPY_ARRAY_C_CONTIGUOUS_;
    return {proxy.data, dtype, static_cast<std::size_t>(proxy.nd),
            reinterpret_cast<const std::size_t*>(proxy.dimensions), dense ? nullptr : proxy.strides};
}

// Makes what this file needs; called once when the module is made, while no other thread can call it.
void initialize_arrays();

}  // namespace fastnorm_python

// Memory of large results. A fresh page costs more than a kernel takes to fill it, so what dead results held is kept
// for the next ones, up to a limit.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>

// From this size on.
inline constexpr std::size_t kPooledBytes = 1 << 20;

// The same by NumPy's own means: takes over the reference to `descr`, returns nullptr with an exception set. `strides` is
// nullptr for C order.
PyObject* pooled_array(PyObject* descr, int ndim, const Py_ssize_t* shape, const Py_ssize_t* strides,
                       std::size_t bytes);

// A new array of this dtype in the shape and the order of axes in memory of x.
pybind11::array empty_like(const pybind11::array& x, const pybind11::dtype& dtype);

void add_pool_functions(pybind11::module_& m);

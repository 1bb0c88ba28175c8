// Memory of large results. A fresh page costs more than a kernel takes to fill it, so what dead results held is kept
// for the next ones, up to a limit.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <vector>

// From this size on.
inline constexpr std::size_t kPooledBytes = 1 << 20;

// A new array by NumPy's own means: takes over the reference to `descr`, returns nullptr with an exception set.
// `strides` is nullptr for C order.
PyObject* new_array(PyObject* descr, std::size_t ndim, const Py_ssize_t* shape, const Py_ssize_t* strides,
                    std::size_t bytes);

// A new array of this dtype in the shape of the inputs, with the order of axes in memory that theirs give.
pybind11::array empty_like(const pybind11::dtype& dtype, const std::vector<pybind11::array>& inputs);

void add_pool_functions(pybind11::module_& m);

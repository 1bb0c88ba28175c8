// Entries of the module that take their arguments on the stack.
#pragma once

#include "results.h"

namespace fastnorm_python {

using Function = PyObject*(Arguments&, Results&);

// Calls a function; what it throws becomes a Python exception.
PyObject* call(Function* function, PyObject* const* values, Py_ssize_t count, Py_ssize_t expected);

template <Function* kFunction, Py_ssize_t kCount>
PyObject* entry(PyObject*, PyObject* const* values, Py_ssize_t count) {
    return call(kFunction, values, count, kCount);
}

template <Function* kFunction, Py_ssize_t kCount>
PyMethodDef method(const char* name) {
    // The cast through void* is what METH_FASTCALL asks for.
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&entry<kFunction, kCount>)), METH_FASTCALL,
            nullptr};
}

void add_methods(py::module_& m, PyMethodDef* methods);

void add_norm_functions(py::module_& m);
void add_weight_functions(py::module_& m);
void add_statistics_functions(py::module_& m);

}  // namespace fastnorm_python

// Factorizations that only whitening needs.
#pragma once

#include <pybind11/pybind11.h>

namespace fastnorm_python {

// Adds them to the module.
void add_whitening_functions(pybind11::module_& m);

}  // namespace fastnorm_python

// The cheapest way in for plain arrays: what a small call costs is mostly the way to the kernel.
#pragma once

#include <pybind11/pybind11.h>

// Adds the functions `plain_layer_norm` and `plain_rms_norm` to the module.
void add_plain_functions(pybind11::module_& m);

// The cheapest way in for plain arrays: what a small call costs is mostly the way to the kernel.
//
// For arguments that are not plain they return None without having done anything, and the caller goes the long way,
// which knows the error texts. Positional arguments only, as fastnorm/_core.pyi lists them.
#pragma once

#include "plain.h"

namespace fastnorm_python {

using PlainFunction = PyObject*(PyObject* const*);

// Layer and RMS norm of the last axis.
PlainFunction plain_layer_norm, plain_layer_norm_forward, plain_layer_norm_backward;
PlainFunction plain_rms_norm, plain_rms_norm_forward, plain_rms_norm_backward;
PlainFunction plain_add_layer_norm, plain_add_rms_norm;
PlainFunction plain_group_norm, plain_group_norm_forward, plain_group_norm_backward;
PlainFunction plain_instance_norm, plain_instance_norm_forward, plain_instance_norm_backward;
PlainFunction plain_batch_norm, plain_batch_norm_forward, plain_batch_norm_backward;
PlainFunction plain_weight_norm, plain_weight_norm_backward;
PlainFunction plain_weight_standardization, plain_weight_standardization_backward;

// Adds them to the module.
void add_plain_functions(py::module_& m);

}  // namespace fastnorm_python

// Activations in double, for elements that the kernels leave out.
#pragma once

#include "fastnorm/fastnorm.h"

namespace fastnorm {

double activate(Activation activation, double z);
double activation_slope(Activation activation, double z);

}  // namespace fastnorm

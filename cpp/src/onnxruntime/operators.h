// The operators of ONNX and of ONNX Runtime that are operations of ours.
#pragma once

#include "kernel.h"

namespace fastnorm::onnxruntime {

constexpr std::size_t kStandardCount = 4, kOperatorCount = 6;

// Those of the standard domain come first; all are in the domain of fastnorm.
extern const Operator kOperators[kOperatorCount];

}  // namespace fastnorm::onnxruntime

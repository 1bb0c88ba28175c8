// Our operators as a library of custom operators.
#pragma once

#include "api.h"

namespace fastnorm::onnxruntime {

// Adds the operators to the domain `fastnorm` of a session and, if they shall `override` the runtime's own, to the
// standard domain. The result is nullptr, or what went wrong.
Status* register_operators(SessionOptions* options, const ApiBase* base, bool override_standard);

// Whether RegisterCustomOps overrides, in the calling thread: true unless set. Returns what was set before.
bool set_override(bool override_standard);
bool get_override();

}  // namespace fastnorm::onnxruntime

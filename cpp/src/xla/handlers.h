// The operations as handlers of XLA. Buffers and attributes are in the order of `fastnorm.jax`, which calls them.
#pragma once

#include "ffi.h"

namespace fastnorm::xla {

struct NamedHandler {
    const char* name;
    Handler* handler;
};

constexpr std::size_t kHandlerCount = 9;
extern const NamedHandler kHandlers[kHandlerCount];

}  // namespace fastnorm::xla

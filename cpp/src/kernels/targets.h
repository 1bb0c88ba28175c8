// The SIMD targets in this build, without naming Highway to the rest of the library.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/table.h"

namespace fastnorm {

struct Target {
    std::int64_t bit;
    const char* name;
    const KernelTable* kernels;
};

// The compiled targets that this machine can run, best first.
std::vector<Target> supported_targets();

}  // namespace fastnorm

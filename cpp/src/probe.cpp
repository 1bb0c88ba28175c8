// The limit that benchmarks compare with: a copy by the same threads that the kernels use.
#include <algorithm>
#include <cstring>

#include "fastnorm/fastnorm.h"
#include "parallel.h"

namespace fastnorm {

void copy(const void* from, void* to, std::size_t bytes) {
    constexpr std::size_t kTaskBytes = 256 * 1024;
    const std::size_t tasks = (bytes + kTaskBytes - 1) / kTaskBytes;
    parallel_for(tasks, threads_for(bytes), [&](std::size_t task) {
        const std::size_t begin = task * kTaskBytes;
        std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                    std::min(kTaskBytes, bytes - begin));
    });
}

}  // namespace fastnorm

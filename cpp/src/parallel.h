// The one place with OpenMP pragmas. Bodies run on any thread in any order, so they may only write what belongs to
// their index; nothing may depend on which thread ran what.
#pragma once

#include <atomic>
#include <cstddef>

namespace fastnorm {

// Threads worth waking for this many bytes of work: 1 for small work and in a forked child, whose OpenMP pool is gone.
int threads_for(std::size_t bytes);

// Memory of the calling thread, which its next call overwrites: so many values of anything, on a line of the cache. It
// stays with the thread, since new pages at every call cost more than products of small matrices. Whoever computes with
// padding clears it: what an earlier call left there may be subnormal numbers, with which processors are slow.
void* scratch_bytes(std::size_t bytes);

template <class T>
T* scratch(std::size_t n) {
    return static_cast<T*>(scratch_bytes(n * sizeof(T)));
}

template <class F>
void parallel_for(std::size_t tasks, int threads, F&& body) {
#ifdef FASTNORM_HAS_OPENMP
    if (threads > 1 && tasks > 1) {
        std::atomic<std::size_t> next{0};
#pragma omp parallel num_threads(threads)
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) body(i);
        return;
    }
#else
    (void)threads;
#endif
    for (std::size_t i = 0; i < tasks; ++i) body(i);
}

}  // namespace fastnorm

// Parallel loops. Bodies run on any thread in any order, so they may only write what belongs to their index; nothing
// may depend on which thread ran what.
#pragma once

#include <cstddef>
#include <type_traits>

namespace fastnorm {

// Threads worth waking for this many bytes of work: 1 for small work.
int threads_for(std::size_t bytes);

// Every task once, by at most so many threads. Threads of our own (threads/workers.cpp) or a team of OpenMP
// (threads/openmp.cpp).
using Task = void (*)(void* body, std::size_t i);
void run_tasks(std::size_t tasks, int threads, Task task, void* body);

template <class F>
void parallel_for(std::size_t tasks, int threads, F&& body) {
    using Body = std::remove_reference_t<F>;
    if (threads > 1 && tasks > 1) {
        run_tasks(tasks, threads, [](void* f, std::size_t i) { (*static_cast<Body*>(f))(i); }, &body);
        return;
    }
    for (std::size_t i = 0; i < tasks; ++i) body(i);
}

}  // namespace fastnorm

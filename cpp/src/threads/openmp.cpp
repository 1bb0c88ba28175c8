// In place of workers.cpp for programs that have an OpenMP team already (FASTNORM_OPENMP): the one OpenMP pragma.
#include <omp.h>

#include <atomic>

#include "fastnorm/fastnorm.h"
#include "parallel.h"
#include "shares.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace fastnorm {
namespace {

std::atomic<bool> used{false};    // whether a team of threads may exist
std::atomic<bool> forked{false};  // whether fork() left it behind: the child would wait for threads that are not there

#if !defined(_WIN32)
const int registered = pthread_atfork(nullptr, nullptr, [] { forked.store(used.load()); });
#endif

}  // namespace

void run_tasks(std::size_t tasks, int threads, Task task, void* body) {
    if (forked.load(std::memory_order_relaxed)) {
        for (std::size_t i = 0; i < tasks; ++i) task(body, i);
        return;
    }
    used.store(true, std::memory_order_relaxed);
    Shares shares(tasks, static_cast<std::size_t>(threads));
#pragma omp parallel num_threads(threads)
    shares.work(static_cast<std::size_t>(omp_get_thread_num()), [&](std::size_t i) { task(body, i); });
    shares.rethrow();  // an exception must not leave the region above
}

int openmp_version() { return _OPENMP; }

}  // namespace fastnorm

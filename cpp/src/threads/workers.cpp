// A team of OpenMP waits for all of its members at the end of every loop, and while it waits it keeps the processor
// that a late member needs. Where the system wakes a thread beside the one that called it, as virtual machines do, a
// loop of 0.1 ms then takes the 4 or 8 ms of the scheduler's slices. Here nobody waits for a thread that has not begun:
// the caller does the tasks itself, and whoever comes in time takes some of them.
#include "workers.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

#include "fastnorm/fastnorm.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fastnorm {
namespace {

// Waking a sleeping thread takes some ten microseconds, so threads wait awake for about as long; not longer, since the
// processor may be the one that somebody else works on.
constexpr auto kAwake = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#endif
}

template <class F>
bool wait_awake(F&& done) {
    const auto end = std::chrono::steady_clock::now() + kAwake;
    do {
        for (int i = 0; i < 16; ++i, pause()) {
            if (done()) return true;
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

// False where the system has no more threads.
template <class F>
bool start_thread(F run) {
#if defined(_WIN32)
    try {
        std::thread(run).detach();
        return true;
    } catch (const std::system_error&) {
        return false;
    }
#else
    // The system's choice may be 8 MiB, which counts against a limit of memory, or 128 KiB.
    constexpr std::size_t kStack = 1 << 20;
    std::unique_ptr<F> body(new F(run));
    const auto start = [](void* body) -> void* {
        const std::unique_ptr<F> run(static_cast<F*>(body));
        (*run)();
        return nullptr;
    };
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    const bool started = pthread_create(&thread, &attributes, start, body.get()) == 0;
    pthread_attr_destroy(&attributes);
    if (started) static_cast<void>(body.release());
    return started;
#endif
}

int current_processor() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

}  // namespace

Job::Job(std::size_t tasks, int helpers, Task task, void* body)
    : seats(helpers),
      task_(task),
      body_(body),
      processor_(current_processor()),
      shares_(tasks, static_cast<std::size_t>(helpers) + 1) {}

void Job::work(std::size_t thread) {
    shares_.work(thread, [&](std::size_t i) { task_(body_, i); });
}

// A thread that was woken beside its caller takes turns with it, until the system finds the idle processor some
// milliseconds later. Forbidding the caller's processor moves the thread at once; then it may run anywhere again.
void Job::leave_processor() const {
#if defined(__linux__)
    if (processor_ < 0 || processor_ >= CPU_SETSIZE || current_processor() != processor_) return;
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof(all), &all) != 0) return;
    cpu_set_t others = all;
    CPU_CLR(processor_, &others);
    if (CPU_COUNT(&others) == 0) return;
    if (sched_setaffinity(0, sizeof(others), &others) != 0 || sched_setaffinity(0, sizeof(all), &all) == 0) return;
    // Since then all of those were taken from the process: whatever it may use now.
    std::memset(&all, 0xFF, sizeof(all));
    sched_setaffinity(0, sizeof(all), &all);
#endif
}

void Workers::run(Job& job) {
    int wake;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        start(job.seats);
        open_.push_back(&job);
        offers_.store(open_.size(), std::memory_order_relaxed);
        wake = std::min(job.seats, asleep_);
    }
    for (; wake > 0; --wake) offered_.notify_one();
    job.work(0);
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        close(job);
    }
    const auto alone = [&] { return job.helpers.load(std::memory_order_acquire) == 0; };
    if (wait_awake(alone)) return;
    std::unique_lock<std::mutex> lock(mutex_);
    left_.wait(lock, alone);
}

// Threads come when they are first wanted. Where the system has no more of them, there are fewer.
void Workers::start(int wanted) {
    for (; threads_ < static_cast<std::size_t>(wanted); ++threads_) {
        if (!start_thread([this, thread = threads_ + 1] { serve(thread); })) return;
    }
}

void Workers::serve(std::size_t thread) {
    for (;;) {
        Job& job = join();
        job.leave_processor();
        job.work(thread);
        leave(job);
    }
}

Job& Workers::join() {
    wait_awake([this] { return offers_.load(std::memory_order_relaxed) > 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    ++asleep_;
    offered_.wait(lock, [this] { return !open_.empty(); });
    --asleep_;
    Job& job = *open_.front();
    job.helpers.fetch_add(1, std::memory_order_relaxed);
    if (--job.seats == 0) close(job);
    return job;
}

// The job ends with its last helper's count, so only the pool's own condition is touched after it.
void Workers::leave(Job& job) {
    if (job.helpers.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
    }  // else the caller could miss it between its look and its sleep
    left_.notify_all();
}

void Workers::close(const Job& job) {
    open_.erase(std::remove(open_.begin(), open_.end(), &job), open_.end());
    offers_.store(open_.size(), std::memory_order_relaxed);
}

namespace {

// Never deleted: its threads live as long as the process.
Workers* workers = new Workers;

#if !defined(_WIN32)
const int registered =
    pthread_atfork([] { workers->lock(); }, [] { workers->unlock(); }, [] { workers = new Workers; });
#endif

}  // namespace

void run_tasks(std::size_t tasks, int threads, Task task, void* body) {
    const auto most = static_cast<int>(std::min<std::size_t>(tasks, 1 << 16));
    Job job(tasks, std::min(threads, most) - 1, task, body);
    workers->run(job);
    job.rethrow();
}

int openmp_version() { return 0; }

}  // namespace fastnorm

// The threads that help with parallel loops.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "parallel.h"
#include "shares.h"

namespace fastnorm {

// One loop, on the stack of its caller, who stays until every helper has left.
class Job {
public:
    Job(std::size_t tasks, int helpers, Task task, void* body);
    void work(std::size_t thread);  // tasks, as long as there are some; the caller is thread 0
    void leave_processor() const;   // moves a helper off the one that the caller was on
    void rethrow() const { shares_.rethrow(); }

    int seats;                    // for helpers to come; the pool's lock guards it
    std::atomic<int> helpers{0};  // who have come and not left

private:
    const Task task_;
    void* const body_;
    const int processor_;
    Shares shares_;
};

class Workers {
public:
    void run(Job& job);

    // Around fork(), whose child has none of the threads: it gets a pool of its own.
    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }

private:
    void start(int wanted);
    void serve(std::size_t thread);
    Job& join();
    void leave(Job& job);
    void close(const Job& job);

    std::mutex mutex_;
    std::condition_variable offered_, left_;
    std::vector<Job*> open_;              // with seats, the oldest first
    std::atomic<std::size_t> offers_{0};  // its size, for threads without the lock
    std::size_t threads_ = 0;
    int asleep_ = 0;
};

}  // namespace fastnorm

// Who does which tasks of a loop: every thread its own stretch first, so that in loop after loop it meets the part of
// the data that is in its cache, then what is left of the others'.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>

#include "float_mode.h"

namespace fastnorm {

class Shares {
public:
    Shares(std::size_t tasks, std::size_t threads) : count_(std::clamp<std::size_t>(threads, 1, kMost)) {
        for (std::size_t i = 0; i < count_; ++i) {
            shares_[i].next.store(tasks * i / count_, std::memory_order_relaxed);
            shares_[i].end = tasks * (i + 1) / count_;
        }
    }

    // Calls f(task) until no task is left. Any number of threads may do so, each with any number of its own. After an
    // exception there are no more tasks.
    template <class F>
    void work(std::size_t thread, F&& f) noexcept {
        const WithFloatMode with(mode_);
        for (std::size_t k = 0; k < count_; ++k) {
            Share& share = shares_[(thread + k) % count_];
            for (std::size_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
                try {
                    f(i);
                } catch (...) {
                    if (!failed_.test_and_set()) error_ = std::current_exception();
                    abandon();
                }
            }
        }
    }

    // What a task has thrown first, once all threads have left.
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    static constexpr std::size_t kMost = 64;

    struct alignas(64) Share {  // a line of the cache each
        std::atomic<std::size_t> next;
        std::size_t end;
    };

    void abandon() {
        for (std::size_t i = 0; i < count_; ++i) shares_[i].next.store(shares_[i].end, std::memory_order_relaxed);
    }

    const FloatMode mode_ = float_mode();  // the caller's
    std::exception_ptr error_;
    std::atomic_flag failed_ = ATOMIC_FLAG_INIT;
    std::size_t count_;
    Share shares_[kMost];
};

}  // namespace fastnorm

// What one call of an operation borrows from its thread, until the call ends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <stdexcept>

#include "memory/thread_memory.h"

namespace fastnorm {

class CallMemory {
public:
    CallMemory() = default;
    ~CallMemory() {
        while (count_ > 0) return_bytes(blocks_[--count_]);
    }
    CallMemory(const CallMemory&) = delete;
    CallMemory& operator=(const CallMemory&) = delete;

    // So many values, uninitialized, on a line of the cache.
    template <class T>
    T* take(std::size_t n) {
        if (count_ == kMost) throw std::logic_error("a call takes too many pieces of memory");
        if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();  // of statistics beside an axis of length zero
        void* const data = borrow_bytes(std::max<std::size_t>(n, 1) * sizeof(T));
        blocks_[count_++] = data;
        return static_cast<T*>(data);
    }

private:
    static constexpr std::size_t kMost = 24;

    std::size_t count_ = 0;
    void* blocks_[kMost];
};

}  // namespace fastnorm

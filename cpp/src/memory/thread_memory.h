// Memory of the calling thread, which takes the place of large arrays on its stack: musl gives a thread 128 KiB of it,
// and a program may ask for less.
#pragma once

#include <cstddef>
#include <type_traits>

namespace fastnorm {

void* borrow_bytes(std::size_t bytes);
void return_bytes(void* data) noexcept;

// So many values until the end of the scope, uninitialized, on a line of the cache. Scopes nest: what was borrowed last
// goes back first, on the same thread.
template <class T>
class Borrowed {
    static_assert(std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>);

public:
    explicit Borrowed(std::size_t n) : data_(static_cast<T*>(borrow_bytes(n * sizeof(T)))) {}
    ~Borrowed() { return_bytes(data_); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

    operator T*() const { return data_; }

private:
    T* data_;
};

// The same for one large panel, which the thread's next call overwrites. It stays with the thread, since new pages at
// every call cost more than products of small matrices. Whoever computes with padding clears it: what an earlier call
// left there may be subnormal numbers, with which processors are slow.
void* scratch_bytes(std::size_t bytes);

template <class T>
T* scratch(std::size_t n) {
    return static_cast<T*>(scratch_bytes(n * sizeof(T)));
}

}  // namespace fastnorm

#include "memory/thread_memory.h"

#include <functional>
#include <memory>
#include <new>

namespace fastnorm {
namespace {

constexpr std::align_val_t kLine{64};  // of the cache

void* allocate(std::size_t bytes) { return ::operator new(bytes, kLine); }

struct Free {
    void operator()(void* p) const { ::operator delete(p, kLine); }
};
using Memory = std::unique_ptr<void, Free>;

// Twice what the deepest call borrows: backward of strided float64 rows, 16 tiles of 8 KiB. What does not fit is
// allocated.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kRoom = 0;  // so that nothing fits, and every end is checked
#else
constexpr std::size_t kRoom = 384 * 1024;
#endif

struct Room {
    Memory memory;
    std::size_t used = 0;

    char* begin() const { return static_cast<char*>(memory.get()); }
    bool holds(void* p) const { return !std::less<void*>()(p, begin()) && std::less<void*>()(p, begin() + kRoom); }
};
thread_local Room room;

}  // namespace

void* borrow_bytes(std::size_t bytes) {
    const std::size_t lines = (bytes + 63) / 64 * 64;
    if (kRoom > 0 && !room.memory) room.memory.reset(allocate(kRoom));
    if (lines > kRoom - room.used) return allocate(bytes);
    void* const data = room.begin() + room.used;
    room.used += lines;
    return data;
}

void return_bytes(void* data) noexcept {
    if (room.holds(data)) {
        room.used = static_cast<std::size_t>(static_cast<char*>(data) - room.begin());
    } else {
        Free()(data);
    }
}

void* scratch_bytes(std::size_t bytes) {
    thread_local Memory memory;
    thread_local std::size_t size = 0;
    if (bytes > size) {
        size = 0;
        memory.reset();
        memory.reset(allocate(bytes));
        size = bytes;
    }
    return memory.get();
}

}  // namespace fastnorm

#include "memory/thread_memory.h"

#include <functional>
#include <memory>
#include <new>

#include "memory/huge_pages.h"

namespace fastnorm {
namespace {

constexpr std::align_val_t kLine{64};  // of the cache

void* allocate(std::size_t bytes) {
    void* const data = ::operator new(bytes, kLine);
    prefer_huge_pages(data, bytes);
    return data;
}
void release(void* p) { ::operator delete(p, kLine); }

// Twice what the deepest call borrows: backward of strided float64 rows, 16 tiles of 8 KiB. What does not fit is
// allocated.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kRoom = 0;  // so that nothing fits, and every end is checked
#else
constexpr std::size_t kRoom = 384 * 1024;
#endif

// Without a constructor and a destructor, for which every access would have to look first.
struct Room {
    char* begin;
    std::size_t used;

    bool holds(void* p) const { return !std::less<void*>()(p, begin) && std::less<void*>()(p, begin + kRoom); }
};
thread_local Room room{nullptr, 0};

// Frees the room when its thread ends.
struct RoomOwner {
    ~RoomOwner() {
        release(room.begin);
        room = {nullptr, 0};
    }
};

char* make_room() {
    thread_local const RoomOwner owner;
    return static_cast<char*>(allocate(kRoom));
}

}  // namespace

void* borrow_bytes(std::size_t bytes) {
    const std::size_t lines = (bytes + 63) / 64 * 64;
    Room& own = room;
    if (kRoom > 0 && !own.begin) own.begin = make_room();
    if (lines > kRoom - own.used) return allocate(bytes);
    void* const data = own.begin + own.used;
    own.used += lines;
    return data;
}

void return_bytes(void* data) noexcept {
    Room& own = room;
    if (own.holds(data)) {
        own.used = static_cast<std::size_t>(static_cast<char*>(data) - own.begin);
    } else {
        release(data);
    }
}

void* scratch_bytes(std::size_t bytes) {
    struct Free {
        void operator()(void* p) const { release(p); }
    };
    thread_local std::unique_ptr<void, Free> memory;
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

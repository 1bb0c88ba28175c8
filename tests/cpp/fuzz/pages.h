// Memory of which whole pages that nobody may touch come before or after, so that a kernel that goes too far is stopped
// without the help of a sanitizer.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace fuzz {

class Pages {
public:
    // So many bytes that begin right behind a page like that, or end right before one.
    Pages(std::size_t bytes, bool at_start) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t inner = (bytes + page - 1) / page * page;
        size_ = inner + 2 * page;
        memory_ = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) throw std::bad_alloc();
        std::uint8_t* const first = static_cast<std::uint8_t*>(memory_) + page;
        if (inner > 0) mprotect(first, inner, PROT_READ | PROT_WRITE);
        data_ = at_start ? first : first + inner - bytes;
    }
    ~Pages() { munmap(memory_, size_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    std::uint8_t* get() const { return data_; }

private:
    void* memory_;
    std::size_t size_;
    std::uint8_t* data_;
};

}  // namespace fuzz

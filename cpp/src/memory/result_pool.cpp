#include "memory/result_pool.h"

#include <cstdlib>
#include <new>

#include "memory/huge_pages.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace fastnorm {
namespace {

constexpr std::size_t kGrain = 256 * 1024;

std::align_val_t alignment(std::size_t bytes) { return std::align_val_t(bytes >= kHugePage ? kHugePage : 4096); }

PoolBlock allocate(std::size_t bytes) {
    void* const data = ::operator new(bytes, alignment(bytes));
    prefer_huge_pages(data, bytes);
    return {data, bytes};
}

void release(const PoolBlock& block) { ::operator delete(block.data, alignment(block.bytes)); }

std::size_t first_limit() {
    const char* text = std::getenv("FASTNORM_POOL_MB");
    char* end = nullptr;
    const unsigned long megabytes = text ? std::strtoul(text, &end, 10) : 0;
    const bool number = text && *text >= '0' && *text <= '9' && *end == '\0' && megabytes <= (1ul << 20);
    return (number ? megabytes : 256) << 20;
}

// Never destroyed: results may outlive everything else.
ResultPool* const pool = new ResultPool(first_limit());

#if !defined(_WIN32)
const int registered = pthread_atfork([] { pool->lock(); }, [] { pool->unlock(); }, [] { pool->unlock(); });
#endif

}  // namespace

ResultPool& result_pool() { return *pool; }

PoolBlock ResultPool::take(std::size_t bytes) {
    const std::size_t rounded = (bytes + kGrain - 1) / kGrain * kGrain;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        // The latest that fits without wasting an eighth.
        for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
            if (it->bytes < rounded || it->bytes > rounded + rounded / 8) continue;
            const PoolBlock block = *it;
            free_.erase(std::next(it).base());
            held_ -= block.bytes;
            return block;
        }
    }
    return allocate(rounded);
}

void ResultPool::give(PoolBlock block) noexcept {
    std::vector<PoolBlock> released;
    try {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (block.bytes <= limit_) {
            free_.push_back(block);
            held_ += block.bytes;
            block.data = nullptr;
            shrink(released);
        }
    } catch (const std::bad_alloc&) {  // for the list of blocks: then this one is not kept
    }
    for (const PoolBlock& each : released) release(each);
    if (block.data) release(block);
}

void ResultPool::set_limit(std::size_t bytes) {
    std::vector<PoolBlock> released;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        limit_ = bytes;
        shrink(released);
    }
    for (const PoolBlock& block : released) release(block);
}

// The oldest go first. They are released without the lock, since the system takes its time.
void ResultPool::shrink(std::vector<PoolBlock>& released) {
    std::size_t n = 0, rest = held_;
    for (; rest > limit_; ++n) rest -= free_[n].bytes;
    const auto end = free_.begin() + static_cast<std::ptrdiff_t>(n);
    released.assign(free_.begin(), end);
    free_.erase(free_.begin(), end);
    held_ = rest;
}

}  // namespace fastnorm

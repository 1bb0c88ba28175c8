// Memory of large results. A fresh page costs more than a kernel takes to fill it, so what dead results held is kept
// for the next ones, up to a limit.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace fastnorm {

struct PoolBlock {
    void* data;
    std::size_t bytes;
};

class ResultPool {
public:
    explicit ResultPool(std::size_t limit) : limit_(limit) {}

    PoolBlock take(std::size_t bytes);
    void give(PoolBlock block) noexcept;

    std::size_t limit() const { return limit_; }
    std::size_t held() const { return held_; }
    void set_limit(std::size_t bytes);

    // Around fork(), whose child must not find the lock taken by a thread that it does not have.
    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }

private:
    void shrink(std::vector<PoolBlock>& released);

    std::mutex mutex_;
    std::vector<PoolBlock> free_;  // the oldest first
    std::atomic<std::size_t> held_{0}, limit_;
};

// The one of the process. Its first limit: FASTNORM_POOL_MB if that is a number, else 256 MB.
ResultPool& result_pool();

}  // namespace fastnorm

#include "pool.h"

#include <pybind11/stl.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "result_order.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace py = pybind11;

namespace {

struct Block {
    void* data;
    std::size_t bytes;
};

class Pool {
public:
    explicit Pool(std::size_t limit) : limit_(limit) {}

    // Never waits: a fork may have left the lock taken.
    Block take(std::size_t bytes) {
        const std::size_t rounded = (bytes + kGrain - 1) / kGrain * kGrain;
        if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) {
            // The latest that fits without wasting an eighth.
            for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
                if (it->bytes < rounded || it->bytes > rounded + rounded / 8) continue;
                const Block block = *it;
                free_.erase(std::next(it).base());
                held_ -= block.bytes;
                return block;
            }
        }
        return fresh(rounded);
    }

    void give(Block block) {
        {
            const std::unique_lock lock(mutex_, std::try_to_lock);
            if (lock && block.bytes <= limit_) {
                free_.push_back(block);
                held_ += block.bytes;
                shrink();
                return;
            }
        }
        release(block);
    }

    std::size_t limit() const { return limit_; }
    std::size_t held() const { return held_; }
    void set_limit(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        limit_ = bytes;
        shrink();
    }

private:
    static constexpr std::size_t kGrain = 256 * 1024, kHugePage = 2 << 20;

    static Block fresh(std::size_t bytes) {
        const std::size_t alignment = bytes >= kHugePage ? kHugePage : 4096;
        void* data = ::operator new(bytes, std::align_val_t(alignment), std::nothrow);
        if (!data) throw std::bad_alloc();
#if defined(__linux__)
        if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
#endif
        return {data, bytes};
    }
    static void release(const Block& block) {
        const std::size_t alignment = block.bytes >= kHugePage ? kHugePage : 4096;
        ::operator delete(block.data, std::align_val_t(alignment));
    }
    // The oldest go first.
    void shrink() {
        std::size_t n = 0;
        for (; held_ > limit_; ++n) {
            held_ -= free_[n].bytes;
            release(free_[n]);
        }
        free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(n));
    }

    std::mutex mutex_;
    std::vector<Block> free_;
    std::size_t held_ = 0, limit_;
};

// FASTNORM_POOL_MB if that is a number, else 256 MB.
std::size_t first_limit() {
    const char* text = std::getenv("FASTNORM_POOL_MB");
    char* end = nullptr;
    const unsigned long megabytes = text ? std::strtoul(text, &end, 10) : 0;
    const bool number = text && *text >= '0' && *text <= '9' && *end == '\0' && megabytes <= (1ul << 20);
    return (number ? megabytes : 256) << 20;
}

// Never destroyed: arrays may outlive everything else.
Pool& pool() {
    static Pool* const instance = new Pool(first_limit());
    return *instance;
}

py::capsule owner(const Block& block) {
    return {new Block(block), [](void* owned) {
                const auto* const block = static_cast<Block*>(owned);
                pool().give(*block);
                delete block;
            }};
}

}  // namespace

py::array empty_like(const py::dtype& dtype, const std::vector<py::array>& inputs) {
    const py::array& x = inputs.front();
    const auto ndim = static_cast<std::size_t>(x.ndim());
    std::vector<const py::ssize_t*> given;
    for (const py::array& input : inputs) given.push_back(input.strides());
    std::vector<py::ssize_t> shape(x.shape(), x.shape() + ndim), strides(ndim);
    fastnorm::result_strides(ndim, shape.data(), given.data(), given.size(), static_cast<std::size_t>(dtype.itemsize()),
                             strides.data());
    const auto bytes = static_cast<std::size_t>(x.size()) * static_cast<std::size_t>(dtype.itemsize());
    if (bytes < kPooledBytes) return {dtype, std::move(shape), std::move(strides)};
    const Block block = pool().take(bytes);
    return py::array(dtype, std::move(shape), std::move(strides), block.data, owner(block));
}

void add_pool_functions(py::module_& m) {
    m.def("empty_like", &empty_like, py::arg("dtype"), py::arg("inputs"));
    m.def("pool_limit", [] { return pool().limit(); });
    m.def("pool_held", [] { return pool().held(); });
    m.def("set_pool_limit", [](std::size_t bytes) { pool().set_limit(bytes); }, py::arg("bytes"));
}

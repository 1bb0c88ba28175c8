// Spans of what counts, each as long as it comes out, whose moments are computed several at a time.
#pragma once

#include <algorithm>

#include "drivers/spans.h"
#include "memory/thread_memory.h"

namespace fastnorm {

template <class T>
class CountedSpans {
public:
    // Of at most so many elements each.
    CountedSpans(const Kernels<T>& kernels, std::size_t most, bool centred)
        : kernels_(kernels),
          centred_(centred),
          step_(most + kRoom),
          capacity_(std::clamp<std::size_t>(kTile / step_, 1, kBatch)),
          tile_(capacity_ * step_) {}

    // Where the next one is to be written; a vector more may be.
    T* next() const { return tile_ + count_ * step_; }
    // It has n elements, whose moments become part of `to`, if not at once.
    void add(std::size_t n, Moments& to) {
        if (n == 0) return;
        lengths_[count_] = n, to_[count_] = &to;
        if (++count_ == capacity_) flush();
    }
    void flush() {
        if (count_ == 0) return;
        BlockSums sums;
        kernels_.span_moments(tile_, static_cast<std::ptrdiff_t>(step_), count_, 0, lengths_, centred_, sums);
        for (std::size_t i = 0; i < count_; ++i) {
            const Moments own = block_moments<T>(sums, i, tile_ + i * step_, lengths_[i], centred_);
            *to_[i] = to_[i]->n == 0 ? own : merge(*to_[i], own);
        }
        count_ = 0;
    }

private:
    static constexpr std::size_t kTile = 4 * kBlock, kRoom = 64;

    const Kernels<T>& kernels_;
    bool centred_;
    std::size_t step_, capacity_, count_ = 0;
    Borrowed<T> tile_;
    std::size_t lengths_[kBatch];
    Moments* to_[kBatch];
};

}  // namespace fastnorm

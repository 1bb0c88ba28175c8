// Groups whose elements lie along spans of memory, cut into the blocks that sums are made of.
//
// A group is a number of runs (batch norm, channel first: one per sample). Runs of kBlock elements or more are cut into
// blocks of kBlock; of shorter ones as many as fit go into one block, end to end; gradients sum those of 32 elements
// and more run by run, each from the first virtual lane on. So blocks depend on shape alone.
#pragma once

#include "drivers/double_fallback.h"
#include "memory/thread_memory.h"
#include "shape/limits.h"
#include "shape/plan.h"
#include "shape/tile.h"
#include "statistics.h"

namespace fastnorm {

inline constexpr std::size_t kSuperblock = 16;  // blocks of one task; a power of two, so tasks are whole subtrees

class SpanBlocks {
public:
    explicit SpanBlocks(const Plan& plan) : axes_(plan.reducing), n_(plan.reducing.count()), run_(plan.run) {
        // Where elements lie does not depend on what the parameters do.
        for (std::size_t i = 0; i < axes_.size(); ++i) axes_[i].stat = axes_[i].param = 0;
        axes_.merge(false);
        const std::size_t runs = n_ / std::max<std::size_t>(run_, 1);
        if (runs <= 1 || run_ >= kBlock) {
            pieces_ = (run_ + kBlock - 1) / kBlock;
            count_ = runs * pieces_;
        } else {
            joined_ = kBlock / run_;
            count_ = (runs + joined_ - 1) / joined_;
        }
    }

    std::size_t elements() const { return n_; }
    std::size_t count() const { return count_; }
    const Axes& axes() const { return axes_; }

    // First element, in the order of the reduced axes, and length of a block.
    std::size_t first(std::size_t block) const {
        return joined_ ? block * joined_ * run_ : block / pieces_ * run_ + block % pieces_ * kBlock;
    }
    std::size_t length(std::size_t block) const {
        if (joined_) return std::min(joined_ * run_, n_ - first(block));
        return std::min(kBlock, run_ - block % pieces_ * kBlock);
    }

    // Whether a group's elements follow one another in memory.
    template <class T>
    bool contiguous(Operand operand) const {
        return n_ == 1 || (axes_.size() == 1 && axes_[0].stride[operand] == static_cast<std::ptrdiff_t>(sizeof(T)));
    }

    // The elements of a block: in place where they are contiguous, else gathered into the tile.
    template <class T>
    const T* read(Operand operand, const char* base, std::size_t block, T* tile) const {
        const std::size_t begin = first(block), n = length(block);
        if (const char* place = in_place<T>(operand, base, begin, n)) return reinterpret_cast<const T*>(place);
        gather_range(axes_, operand, base, begin, n, tile);
        return tile;
    }

    // Runs of a block that are worth a loop of their own are read where they are, run by run.
    struct Runs {
        std::size_t count, n;
    };
    bool by_runs() const { return joined_ && run_ >= kShortestRun; }
    Runs runs(std::size_t block) const { return by_runs() ? Runs{length(block) / run_, run_} : Runs{1, length(block)}; }
    // Elements from one run to the next where every run can be read in place, else 0.
    template <class T>
    std::ptrdiff_t run_step(Operand operand) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        if (contiguous<T>(operand)) return static_cast<std::ptrdiff_t>(run_);
        const bool rows = axes_.size() == 2 && axes_[1].n == run_ && axes_[1].stride[operand] == size;
        return rows && axes_[0].stride[operand] % size == 0 ? axes_[0].stride[operand] / size : 0;
    }
    // The runs of a block, `step` elements apart.
    template <class T>
    const T* read_runs(Operand operand, const char* base, std::size_t block, T* tile, std::ptrdiff_t& step) const {
        step = by_runs() ? run_step<T>(operand) : 0;
        if (step != 0 && aligned<T>(base)) {
            return reinterpret_cast<const T*>(base + axes_.offset(first(block)).at[operand]);
        }
        step = static_cast<std::ptrdiff_t>(run_);
        return read(operand, base, block, tile);
    }

    // How many blocks from this one on lie in place one after the other, each as long as this one; at least 1.
    template <class T>
    std::size_t consecutive(Operand operand, const char* base, std::size_t block, std::size_t most) const {
        const std::size_t n = length(block);
        if (n != (joined_ ? joined_ * run_ : kBlock)) return 1;
        const std::size_t rest = joined_ ? n_ - first(block) : run_ - block % pieces_ * kBlock;
        const std::size_t some = std::min(rest / n, most);
        return in_place<T>(operand, base, first(block), some * n) ? some : 1;
    }

private:
    template <class T>
    const char* in_place(Operand operand, const char* base, std::size_t begin, std::size_t n) const {
        if (axes_.size() == 0) return aligned<T>(base) ? base : nullptr;
        const Axis& inner = axes_[axes_.size() - 1];
        const bool contiguous = n == 1 || inner.stride[operand] == static_cast<std::ptrdiff_t>(sizeof(T));
        if (!contiguous || begin % inner.n + n > inner.n) return nullptr;
        const char* place = base + axes_.offset(begin).at[operand];
        return aligned<T>(place) ? place : nullptr;
    }

    static constexpr std::size_t kShortestRun = 32;

    Axes axes_;
    std::size_t n_, run_, pieces_ = 1, joined_ = 0, count_ = 0;
};

// Cuts the groups into tasks: some neighbours along the last kept axis, or, where that one is short, all of it for some
// of the one before; about as much as the first-level cache holds. Neighbouring groups of short runs share their cache
// lines, so a task takes more of those.
class GroupTasks {
public:
    static constexpr std::size_t kMost = kBatch;

    GroupTasks(const Plan& plan, std::size_t group_bytes, bool by_runs) : plan_(plan), outer_(plan.kept) {
        if (outer_.size() > 0) groups_ = pop();
        const std::size_t bytes = by_runs ? limits::kRunTaskBytes : limits::kGroupTaskBytes;
        const std::size_t most = std::clamp<std::size_t>(bytes / group_bytes, 1, kMost);
        if (most >= 2 * groups_.n && outer_.size() > 0) lines_ = pop();
        Axis& cut = lines_.n > 1 ? lines_ : groups_;
        chunk_ = std::min(cut.n, most / (lines_.n > 1 ? groups_.n : 1));
        chunks_ = (cut.n + chunk_ - 1) / chunk_;
    }

    std::size_t count() const { return outer_.count() * chunks_; }
    // Groups of a task; the last one may have less.
    std::size_t chunk() const { return chunk_ * line(); }
    // Along which neighbours follow one another, as far as `even`.
    const Axis& groups() const { return groups_; }
    // Whether the groups of a task lie evenly in an operand.
    bool even(Operand k) const {
        return lines_.n == 1 || lines_.stride[k] == static_cast<std::ptrdiff_t>(groups_.n) * groups_.stride[k];
    }
    // Bytes from a line of neighbours to the next one.
    std::ptrdiff_t line_step(Operand k) const { return lines_.stride[k]; }
    Offset step(std::size_t i) const {
        Offset step;
        if (lines_.n > 1) step.advance(lines_, i / groups_.n), i %= groups_.n;
        step.advance(groups_, i);
        return step;
    }
    // The first group of a task, and how many there are.
    Offset offset(std::size_t task, std::size_t& n) const {
        const std::size_t first = task % chunks_ * chunk_;
        const Axis& cut = lines_.n > 1 ? lines_ : groups_;
        Offset offset = outer_.offset(task / chunks_);
        offset.advance(cut, first);
        n = std::min(chunk_, cut.n - first) * line();
        return offset;
    }
    // Bytes from one task to the next.
    std::ptrdiff_t task_step(Operand k) const {
        return static_cast<std::ptrdiff_t>(chunk_) * (lines_.n > 1 ? lines_ : groups_).stride[k];
    }
    // The axes of n neighbouring groups, whose statistics stand side by side.
    Axes box(std::size_t n) const {
        Axes axes;
        for (std::size_t i = 0; i < plan_.axes.size(); ++i) {
            Axis axis = plan_.axes[i];
            if (!axis.is_reduced()) {
                const bool line = lines_.n > 1 && axis.stat == lines_.stat;
                if (n == 1 || (!line && axis.stat != groups_.stat)) continue;
                axis.n = line ? n / groups_.n : lines_.n > 1 ? groups_.n : n;
                axis.stat = line ? static_cast<std::ptrdiff_t>(groups_.n) : 1;
            }
            axes.push(axis);
        }
        return axes;
    }

private:
    Axis pop() {
        const Axis last = outer_[outer_.size() - 1];
        outer_.erase(outer_.size() - 1);
        return last;
    }
    std::size_t line() const { return lines_.n > 1 ? groups_.n : 1; }

    const Plan& plan_;
    Axes outer_;
    Axis lines_ = kNoAxis, groups_ = kNoAxis;
    std::size_t chunk_, chunks_;
};

// Moments of blocks [begin, end) of the group at `base`.
template <class T>
Moments span_moments(const Kernels<T>& kernels, const SpanBlocks& blocks, const char* base, std::size_t begin,
                     std::size_t end, bool centred) {
    const Borrowed<T> tile(kBlock);
    BlockSums sums;
    Tree<Moments> tree;
    while (begin < end) {
        const std::size_t n = blocks.length(begin);
        const std::size_t some = blocks.consecutive<T>(kX, base, begin, std::min(end - begin, kSuperblock));
        const T* x = blocks.read<T>(kX, base, begin, tile);
        kernels.span_moments(x, static_cast<std::ptrdiff_t>(n), some, n, nullptr, centred, sums);
        for (std::size_t k = 0; k < some; ++k) {
            tree.add(block_moments(sums, k, x + k * n, n, centred));
        }
        begin += some;
    }
    return tree.result();
}

}  // namespace fastnorm

// How masked data are cut into parts of whole groups.
#pragma once

#include "shape/axes.h"

namespace fastnorm {

// The numbers that groups or parameters of a part have in all data.
class OwnNumbers {
public:
    // Those from 0 on.
    explicit OwnNumbers(std::size_t n = 1) : step_(1), size_(n) {}

    // Axes that step through nothing but the side array that is numbered, as `stat`.
    void set(Axes axes, std::ptrdiff_t first) {
        axes.merge(false);
        axes_ = axes;
        first_ = first;
        size_ = axes.count();
        step_ = axes.size() == 1 ? axes[0].stat : 0;
    }
    std::size_t size() const { return size_; }
    // Whether they are those from the first on.
    bool in_order() const { return axes_.size() <= 1 && (step_ == 1 || size_ == 1); }
    std::ptrdiff_t operator[](std::size_t i) const {
        return first_ + (axes_.size() > 1 ? axes_.offset(i).stat : static_cast<std::ptrdiff_t>(i) * step_);
    }

private:
    Axes axes_;
    std::ptrdiff_t first_ = 0, step_;
    std::size_t size_;
};

// Some of the groups, which are numbered anew, and so are their parameters.
struct MaskedPart {
    Axes axes;     // with the new numbers
    Axes sweep;    // the same with the parameters' own numbers
    Offset first;  // of the part in all data
    OwnNumbers groups, parameters;
};

// Cuts along axes whose indices have groups of their own, by the shape only: so that sums take little beside the data,
// and that groups are still in the cache when they are written.
class MaskedParts {
public:
    MaskedParts(const Axes& axes, std::size_t bytes, std::size_t parameters);

    std::size_t count() const { return outer_.count() * pieces_; }
    MaskedPart part(std::size_t i) const;
    // Whether every parameter belongs to one part.
    bool own_parameters() const;
    // In how many stretches a part is summed: one thread has a part, several have what is not cut, unless it is small.
    std::size_t stretches() const { return count() > 1 || is_small_ ? 1 : kStretches; }

private:
    static constexpr std::size_t kStretches = 16, kGroups = 1024;

    // Cuts axis i of the inner ones into chunks, one of which may be all of it.
    void cut(std::size_t i, std::size_t chunk);

    Axes inner_, outer_;
    bool is_cut_ = false, is_small_;
    Axis cut_ = kNoAxis;
    std::size_t chunk_ = 1, pieces_ = 1;
};

}  // namespace fastnorm

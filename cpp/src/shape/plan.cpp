#include "plan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>

#include "folds.h"

namespace fastnorm {
namespace {

constexpr std::size_t kNone = Axes::kMost;

// The axis that neighbouring elements lie along: the last one, unless another has a smaller step. Steps of zero do not
// count, so that a broadcast array goes the way of its contiguous copy.
std::size_t closest_axis(const Axes& axes) {
    if (axes.size() == 0) return kNone;
    std::size_t best = axes.size() - 1;
    for (std::size_t i = best; i-- > 0;) {
        const auto step = std::abs(axes[i].stride[kX]);
        if (step != 0 && step < std::abs(axes[best].stride[kX])) best = i;
    }
    return best;
}

// The kept axis whose steps are just as long as the reduced axis `inner`, both with their own parameters: the groups of
// a channel-last group norm. They are columns if there are rows to sum down.
std::size_t groups_around(const Axes& axes, std::size_t inner) {
    if (axes[inner].planned != reduced_param) return kNone;
    std::size_t groups = kNone;
    bool rows = false;
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (i == inner) continue;
        rows |= axes[i].is_reduced();
        if (axes[i].planned != Role::param) continue;
        bool around = axes[i].param == static_cast<std::ptrdiff_t>(axes[inner].n) * axes[inner].param;
        for (std::size_t k = 0; k < kOperands; ++k) {
            around &= axes[i].stride[k] == static_cast<std::ptrdiff_t>(axes[inner].n) * axes[inner].stride[k];
        }
        if (around) groups = i;
    }
    return rows ? groups : kNone;
}

// Numbers of axes. Calls are short, so that they get by without the heap.
class Numbers {
public:
    Numbers() {}
    Numbers(std::initializer_list<std::size_t> numbers) {
        for (const std::size_t i : numbers) insert(size_, i);
    }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    std::size_t operator[](std::size_t k) const { return numbers_[k]; }
    std::size_t front() const { return numbers_[0]; }
    const std::uint8_t* begin() const { return numbers_.data(); }
    const std::uint8_t* end() const { return begin() + size_; }
    bool has(std::size_t i) const { return std::find(begin(), end(), i) != end(); }
    void insert(std::size_t at, std::size_t i) {
        std::copy_backward(numbers_.data() + at, numbers_.data() + size_, numbers_.data() + size_ + 1);
        numbers_[at] = static_cast<std::uint8_t>(i);
        ++size_;
    }

private:
    std::array<std::uint8_t, Axes::kMost> numbers_;
    std::size_t size_ = 0;
};

// The axes as they follow one another in memory, the closest last. Steps of zero leave an axis where it stands.
Numbers memory_order(const Axes& axes) {
    Numbers order;
    for (std::size_t i = 0; i < axes.size(); ++i) {
        std::size_t at = order.size();
        const auto step = std::abs(axes[i].stride[kX]);
        for (; at > 0; --at) {
            const auto before = std::abs(axes[order[at - 1]].stride[kX]);
            if (step == 0 || before == 0 || before >= step) break;
        }
        order.insert(at, i);
    }
    return order;
}

// The axes of lanes that are short runs, such as the pixels of small filters, which would be slow to sum one by one:
// the kept axis that such a run lies in, and the axes of the run; if there are many rows to sum down.
Numbers short_runs(const Axes& axes) {
    constexpr std::size_t kManyRows = 16;
    Numbers lanes;
    std::size_t run = 1, rows = 1;
    const Numbers order = memory_order(axes);
    for (std::size_t k = order.size(); k-- > 0;) {
        const Axis& axis = axes[order[k]];
        const bool found = !lanes.empty() && !axes[lanes.front()].is_reduced();
        if (found && axis.is_reduced()) rows *= axis.n;
        if (found) continue;
        if (axis.is_reduced() && axis.planned != Role::reduced) return {};
        if (axis.is_reduced()) run *= axis.n;
        lanes.insert(0, order[k]);
    }
    const bool useful = run > 1 && run < kFewLanes && rows >= kManyRows;
    return useful && !axes[lanes.front()].is_reduced() ? lanes : Numbers();
}

// The lanes of columns; none asks for spans. The first of them is kept, the others are reduced.
Numbers lanes_of(const Axes& axes) {
    const std::size_t closest = closest_axis(axes);
    if (closest == kNone) return {};
    if (!axes[closest].is_reduced()) return {closest};
    const std::size_t groups = groups_around(axes, closest);
    if (groups != kNone) return {groups, closest};
    return axes[closest].n < kFewLanes && axes.size() > 2 ? short_runs(axes) : Numbers();
}

// What does not depend on how long a batch is: rows, and lanes if they are channels.
struct Extent {
    std::size_t rows = 1, channels = 0;

    Extent(const Axes& axes, const Numbers& lanes) {
        std::size_t width = 1;
        for (std::size_t i = 0; i < axes.size(); ++i) {
            if (axes[i].is_reduced()) (lanes.has(i) ? width : rows) *= axes[i].n;
        }
        const auto is_channel = [&](std::size_t i) { return axes[i].planned == Role::param; };
        if (!is_channel(lanes.front())) return;
        // Neighbours may be merged or not, as their strides are.
        std::size_t begin = lanes.front(), end = begin + 1;
        while (begin > 0 && is_channel(begin - 1)) --begin;
        while (end < axes.size() && is_channel(end)) ++end;
        channels = width;
        for (std::size_t i = begin; i < end; ++i) channels *= axes[i].n;
    }
    // Whether this is too little for a task: groups that are gathered one by one then take less.
    bool is_tiny() const { return rows == 1 || (channels > 0 && channels * (rows + 16) < 512); }
};

std::size_t run_length(const Axes& axes) {
    std::size_t i = axes.size();
    while (i > 0 && !axes[i - 1].is_reduced()) --i;
    std::size_t run = 1;
    for (bool cut = false; i > 0 && axes[i - 1].is_reduced() && !cut; --i) {
        run *= axes[i - 1].n;
        cut = axes[i - 1].cut;
    }
    return run;
}

}  // namespace

Plan make_plan(const Axes& axes, bool columns) {
    Plan plan;
    plan.axes = axes;
    plan.run = run_length(axes);
    Numbers lanes = columns ? lanes_of(axes) : Numbers();
    if (!lanes.empty()) {
        const Extent extent(axes, lanes);
        if (extent.is_tiny()) lanes = Numbers();
        if (extent.channels > 0) plan.folds = folds_of(extent.channels);
    }
    plan.columns = !lanes.empty();
    bool shared = true;
    for (std::size_t k = 1; k < lanes.size(); ++k) {
        plan.width *= axes[lanes[k]].n;
        if (axes[lanes[k]].is_param()) plan.cells *= axes[lanes[k]].n;
        shared &= axes[lanes[k]].param == 0;
    }
    if (plan.columns) {
        plan.lane = axes[lanes.front()];
        if (shared && plan.lane.param != 0) plan.spread = plan.width;
    }
    const auto add = [&](std::size_t i, Axes& to) {
        Axis axis = axes[i];
        axis.param *= static_cast<std::ptrdiff_t>(plan.spread);
        to.push(axis);
    };
    for (const std::size_t i : lanes) add(i, plan.lanes);
    std::ptrdiff_t step = 1;
    for (std::size_t k = plan.lanes.size(); k-- > 0; step *= static_cast<std::ptrdiff_t>(plan.lanes[k].n)) {
        plan.lanes[k].stat = step;
        if (k > 0 && plan.spread > 1) plan.lanes[k].param = step;
    }
    plan.lanes.merge(false);
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (lanes.has(i)) continue;
        add(i, axes[i].is_reduced() ? plan.reducing : plan.kept);
    }
    return plan;
}

}  // namespace fastnorm

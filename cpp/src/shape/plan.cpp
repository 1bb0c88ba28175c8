#include "plan.h"

#include <cstdlib>

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
    if (axes[inner].role != reduced_param) return kNone;
    std::size_t groups = kNone;
    bool rows = false;
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (i == inner) continue;
        rows |= axes[i].is_reduced();
        if (axes[i].role != Role::param) continue;
        bool around = true;
        for (std::size_t k = 0; k < kOperands; ++k) {
            around &= axes[i].stride[k] == static_cast<std::ptrdiff_t>(axes[inner].n) * axes[inner].stride[k];
        }
        if (around) groups = i;
    }
    return rows ? groups : kNone;
}

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
    std::size_t lane = kNone, inner = kNone;
    const std::size_t closest = closest_axis(axes);
    if (columns && closest != kNone) {
        lane = axes[closest].is_reduced() ? groups_around(axes, closest) : closest;
        if (lane != closest) inner = closest;
    }
    plan.columns = lane != kNone;
    if (plan.columns) {
        plan.lane = plan.lanes = axes[lane];
        if (inner != kNone) {
            plan.width = axes[inner].n;
            plan.lanes = axes[inner];
            plan.lanes.n *= axes[lane].n;
            plan.lanes.role = Role::param;
        }
    }
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (plan.columns && (i == lane || i == inner)) continue;
        (axes[i].is_reduced() ? plan.reducing : plan.kept).push(axes[i]);
    }
    return plan;
}

}  // namespace fastnorm

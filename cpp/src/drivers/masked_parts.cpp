#include "drivers/masked_parts.h"

#include <algorithm>
#include <cstdlib>

#include "shape/limits.h"

namespace fastnorm {
namespace {

// What sums take for a group or a parameter of every stretch, and how much of the data they may take.
constexpr std::size_t kSumBytes = 64, kShare = 16;

// The axis that is outermost in memory, of all or of those that have groups of their own.
std::size_t outermost(const Axes& axes, bool of_groups) {
    std::size_t best = axes.size();
    for (std::size_t i = axes.size(); i-- > 0;) {
        if (of_groups && axes[i].stat == 0) continue;
        if (best == axes.size() || std::abs(axes[i].stride[kX]) > std::abs(axes[best].stride[kX])) best = i;
    }
    return best;
}

}  // namespace

void MaskedParts::cut(std::size_t i, std::size_t chunk) {
    if (is_cut_) outer_.push(cut_);
    is_cut_ = true;
    cut_ = inner_[i];
    inner_.erase(i);
    chunk_ = std::clamp<std::size_t>(chunk, 1, cut_.n);
    pieces_ = (cut_.n + chunk_ - 1) / chunk_;
}

MaskedParts::MaskedParts(const Axes& axes, std::size_t bytes, std::size_t parameters)
    : inner_(axes), is_small_(bytes < limits::kBytesPerThread / 2) {
    std::size_t groups = 1;
    for (std::size_t i = 0; i < axes.size(); ++i) groups *= axes[i].stat ? axes[i].n : 1;
    const auto cached = [&](const Axis& axis) {
        const std::size_t most = std::max<std::size_t>(1, bytes / (kSumBytes * kShare * parameters));
        return std::max(limits::kMaskedPartBytes / (bytes / axis.n + 1), axis.n / most);
    };
    if (groups <= kGroups || groups * kStretches * kSumBytes * kShare <= bytes) {
        const std::size_t first = outermost(inner_, false);
        if (first == inner_.size() || inner_[first].stat == 0 || bytes <= limits::kMaskedPartBytes) return;
        cut(first, cached(inner_[first]));
        return;
    }
    while (groups > kGroups) {
        const std::size_t best = outermost(inner_, true);
        const Axis& axis = inner_[best];
        groups /= axis.n;
        const std::size_t most = kGroups / std::max<std::size_t>(groups, 1);
        const bool slabs = !is_cut_ && best == outermost(inner_, false);
        cut(best, slabs ? std::min(most, std::max<std::size_t>(1, cached(axis))) : most);
    }
}

bool MaskedParts::own_parameters() const {
    bool own = count() == 1 || cut_.is_param();
    for (std::size_t i = 0; i < outer_.size(); ++i) own = own && outer_[i].is_param();
    return own;
}

MaskedPart MaskedParts::part(std::size_t i) const {
    MaskedPart part;
    part.first = outer_.offset(i / pieces_);
    if (is_cut_) {
        const std::size_t begin = i % pieces_ * chunk_;
        part.first.advance(cut_, begin);
        Axis axis = cut_;
        axis.n = std::min(chunk_, cut_.n - begin);
        part.sweep.push(axis);
    }
    for (std::size_t k = 0; k < inner_.size(); ++k) part.sweep.push(inner_[k]);
    part.axes = part.sweep;
    std::ptrdiff_t groups = 1, parameters = 1;
    Axes kept, params;
    for (std::size_t k = part.axes.size(); k-- > 0;) {
        Axis &own = part.axes[k], &swept = part.sweep[k];
        const auto n = static_cast<std::ptrdiff_t>(own.n);
        if (own.stat != 0) own.stat = swept.stat = groups, groups *= n;
        if (own.param != 0) own.param = parameters, parameters *= n;
    }
    for (std::size_t k = 0; k < part.axes.size(); ++k) {
        const Axis& given = is_cut_ && k == 0 ? cut_ : inner_[k - (is_cut_ ? 1 : 0)];
        Axis numbered = kNoAxis;
        numbered.n = part.axes[k].n;
        numbered.stat = given.stat;
        if (given.stat != 0) kept.push(numbered);
        numbered.stat = given.param;
        if (given.param != 0) params.push(numbered);
    }
    part.groups.set(kept, part.first.stat);
    part.parameters.set(params, part.first.param);
    return part;
}

}  // namespace fastnorm

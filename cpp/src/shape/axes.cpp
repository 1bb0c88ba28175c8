#include "axes.h"

#include <stdexcept>
#include <utility>

namespace fastnorm {

void Axes::take_room(std::size_t n) {
    if (n > kMost) throw std::invalid_argument("too many axes");
    std::unique_ptr<Axis[]> many(new Axis[kMost]);
    std::copy_n(few_.begin(), size_, many.get());
    many_ = std::move(many);
}

void Axes::erase(std::size_t i) {
    for (--size_; i < size_; ++i) (*this)[i] = (*this)[i + 1];
}

Offset Axes::offset(std::size_t index) const {
    Offset offset;
    for (std::size_t i = size_; i-- > 0;) {
        const Axis& axis = (*this)[i];
        // The first axis takes what is left, which saves its division.
        offset.advance(axis, i == 0 ? index : index % axis.n);
        if (i > 0) index /= axis.n;
    }
    return offset;
}

namespace {

bool joins(const Axis& outer, const Axis& inner, bool roles) {
    const auto n = static_cast<std::ptrdiff_t>(inner.n);
    if (roles && (outer.role != inner.role || outer.planned != inner.planned || inner.cut)) return false;
    if (outer.stat != n * inner.stat || outer.param != n * inner.param) return false;
    for (std::size_t k = 0; k < kOperands; ++k) {
        if (outer.stride[k] != n * inner.stride[k]) return false;
    }
    return true;
}

}  // namespace

void Axes::merge(bool roles) {
    for (std::size_t i = size_; i-- > 1;) {
        const Axis& outer = (*this)[i - 1];
        Axis& inner = (*this)[i];
        if (!joins(outer, inner, roles)) continue;
        inner.n *= outer.n;
        inner.cut = outer.cut;
        erase(i - 1);
    }
}

std::size_t item_size(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

Axes make_axes(const Space& space, const std::array<const std::ptrdiff_t*, kOperands>& strides) {
    Axes all;
    for (std::size_t i = 0; i < space.ndim; ++i) all.push(kNoAxis);
    auto contiguous = static_cast<std::ptrdiff_t>(item_size(space.dtype));
    std::ptrdiff_t stat = 1, param = 1;
    for (std::size_t i = space.ndim; i-- > 0;) {
        Axis& axis = all[i];
        axis.n = space.shape[i];
        axis.role = space.roles[i] & Role::reduced_param;
        axis.planned = space.roles[i] & kPlannedOtherwise ? axis.role ^ Role::param : axis.role;
        const auto n = static_cast<std::ptrdiff_t>(axis.n);
        for (std::size_t k = 0; k < kOperands; ++k) axis.stride[k] = strides[k] ? strides[k][i] : contiguous;
        if (!axis.is_reduced()) axis.stat = stat, stat *= n;
        if (axis.is_param()) axis.param = param, param *= n;
        contiguous *= n;
    }
    Axes axes;
    bool cut = false;
    for (std::size_t i = 0; i < space.ndim; ++i) {
        if (all[i].n == 1) {
            cut |= !all[i].is_reduced();
        } else {
            all[i].cut = std::exchange(cut, false) && all[i].is_reduced();
            axes.push(all[i]);
        }
    }
    axes.merge(true);
    return axes;
}

}  // namespace fastnorm

#include "samples.h"

#include <cstdlib>
#include <stdexcept>

#include "shape/space.h"

namespace fastnorm {

Features::Features(const Space& space, const std::array<const std::ptrdiff_t*, kOperands>& strides) {
    std::vector<std::size_t> shape;
    std::vector<std::uint8_t> roles;
    std::array<std::vector<std::ptrdiff_t>, kOperands> steps;
    auto contiguous = static_cast<std::ptrdiff_t>(item_size(space.dtype));
    bool found = false;
    for (std::size_t i = space.ndim; i-- > 0;) {
        const bool feature = space.roles[i] == Role::param;
        if (feature && found) throw std::invalid_argument("more than one axis of features");
        if (feature) n = space.shape[i], found = true;
        if (!feature) {
            shape.insert(shape.begin(), space.shape[i]);
            roles.insert(roles.begin(), space.roles[i]);
        }
        for (std::size_t k = 0; k < kOperands; ++k) {
            const std::ptrdiff_t step = strides[k] ? strides[k][i] : contiguous;
            if (feature) {
                stride[k] = step;
            } else {
                steps[k].insert(steps[k].begin(), step);
            }
        }
        contiguous = times(contiguous, space.shape[i]);
    }
    const Axes axes = make_axes({space.dtype, shape.size(), shape.data(), roles.data()},
                                {steps[kX].data(), steps[kY].data(), steps[kDy].data()});
    for (std::size_t i = 0; i < axes.size(); ++i) (axes[i].is_reduced() ? samples : groups).push(axes[i]);
}

bool Features::along_features(Operand operand) const {
    if (samples.size() == 0) return true;
    const auto sample = std::abs(samples[samples.size() - 1].stride[operand]);
    return n > 1 && std::abs(stride[operand]) <= sample;
}

}  // namespace fastnorm

#include "parameters.h"

#include "check.h"
#include "drivers/exact_sum.h"
#include "shape/axes.h"
#include "shape/overlap.h"
#include "tensor.h"

namespace fastnorm {
namespace {

bool broadcasts(const Tensor& given, const Shape& data) {
    if (given.ndim != data.size()) return false;
    for (std::size_t i = 0; i < given.ndim; ++i) {
        if (given.shape[i] != 1 && given.shape[i] != data[i]) return false;
    }
    return true;
}

// The axes of the view that parameters vary along: their lengths, and steps of something along them.
struct Varying {
    // `step`: of something along an axis of the view.
    template <class F>
    Varying(const Layout& layout, F&& step) {
        for (std::size_t i = 0; i < layout.view.size(); ++i) {
            if (!(layout.roles[i] & param)) continue;
            steps[shape.size()] = step(i);
            shape.push(layout.view[i]);
        }
    }
    Shape shape;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
};

}  // namespace

Parameter::Parameter(const char* name, const Tensor& given, const Layout& layout, const Tensor& x, const char* of)
    : tensor_(given) {
    if (!given) return;
    check_parameter_dtype(name, given, x, of);
    if (has_shape(given, layout.parameters)) return;
    documented_ = false;
    if (broadcasts(given, layout.data)) return;
    if (given.ndim != layout.data.size() || given.ndim < 2) check_per_channel(name, given, layout, x, of);
    wrong_value(std::string(name) + " must have shape " + text(layout.parameters) +
                " or one of as many dimensions as " + of + " that broadcasts to " + text(layout.data) + ", got " +
                text(Shape(given)));
}

Parameter Parameter::documented(const Tensor& given) {
    Parameter result;
    result.tensor_ = given;
    return result;
}

Parameter Parameter::implicit(const Layout& layout, DType dtype) {
    return documented(Tensor(nullptr, dtype, layout.parameters.size(), layout.parameters.data()));
}

Parameter::Along Parameter::along(const Layout& layout, std::size_t view_axis) const {
    const std::size_t axis = layout.data_axis(view_axis), steps = layout.data_steps(view_axis);
    if (!documented_) return {axis, tensor_.shape[axis] == 1 ? 0 : steps};
    if (layout.groups > 1 && view_axis == 0) return {0, layout.data[layout.axes[0]]};
    for (std::size_t k = 0; k < tensor_.ndim; ++k) {
        if (layout.axes[k] == axis) return {k, steps};
    }
    return {0, 0};
}

bool Parameter::varies(const Layout& layout, std::size_t view_axis) const {
    return along(layout, view_axis).steps != 0;
}

const void* Parameter::values(const Layout& layout, const Tensor& x, CallMemory& memory, double offset,
                              std::initializer_list<const Tensor*> outs) const {
    if (!tensor_) return nullptr;
    const DType compute = compute_type(x.dtype);
    bool ready = tensor_.dtype == compute && offset == 0 && is_aligned(tensor_);
    for (const Tensor* out : outs) ready = ready && !(*out && overlap(tensor_, *out));
    // A scale or zero point of shape () stands for one of every channel.
    const bool is_whole = documented_ && !layout.is_varied && tensor_.ndim == layout.parameters.size();
    if (ready && is_whole && is_contiguous(tensor_)) return tensor_.data;
    const Varying varying(layout, [&](std::size_t i) {
        const Along own = along(layout, i);
        return own.steps == 0 ? 0 : times(stride_of(tensor_, own.axis), own.steps);
    });
    const std::size_t n = varying.shape.count(), axes = varying.shape.size();
    if (ready && dense_count(axes, varying.shape.data(), varying.steps.data(), bytes_of(compute)) > 0) {
        return tensor_.data;
    }
    const auto gather = [&](auto* to) {
        using C = std::remove_pointer_t<decltype(to)>;
        if (offset == 0) {
            gather_values(tensor_, axes, varying.shape.data(), varying.steps.data(), to);
        } else {
            double* const exact = memory.take<double>(n);
            gather_values(tensor_, axes, varying.shape.data(), varying.steps.data(), exact);
            for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<C>(exact[i] + offset);
        }
        return static_cast<const void*>(to);
    };
    return compute == DType::f64 ? gather(memory.take<double>(n)) : gather(memory.take<float>(n));
}

void Parameter::reduce(const Layout& layout, const double* sums, double* to, CallMemory& memory) const {
    const std::size_t n = count(tensor_);
    // There may be very many for each, of which double alone would lose digits.
    ExactSum* const exact = memory.take<ExactSum>(n);
    std::fill_n(exact, n, ExactSum{});
    // Steps of the parameter's own C order, in elements.
    std::array<std::ptrdiff_t, Shape::kMost> own_steps;
    std::ptrdiff_t step = 1;
    for (std::size_t i = tensor_.ndim; i-- > 0; step = times(step, tensor_.shape[i])) {
        own_steps[i] = tensor_.shape[i] == 1 ? 0 : step;
    }
    const Varying own(layout, [&](std::size_t i) {
        const Along here = along(layout, i);
        return here.steps == 0 ? 0 : times(own_steps[here.axis], here.steps);
    });
    for_each_offset(own.shape.size(), own.shape.data(), own.steps.data(),
                    [&](std::ptrdiff_t offset) { exact[offset].add(*sums++); });
    for (std::size_t i = 0; i < n; ++i) to[i] = exact[i].value();
}

void vary(Layout& layout, std::initializer_list<const Parameter*> given, bool documented) {
    for (const Parameter* parameter : given) layout.is_varied |= *parameter && !parameter->is_documented();
    if (!layout.is_varied) return;
    for (std::size_t i = 0; i < layout.view.size(); ++i) {
        bool varies = documented && (layout.roles[i] & param);
        for (const Parameter* parameter : given) varies |= *parameter && parameter->varies(layout, i);
        const bool otherwise = varies != static_cast<bool>(layout.roles[i] & param);
        layout.roles[i] = static_cast<std::uint8_t>((layout.roles[i] & reduced) | (varies ? param : 0) |
                                                    (otherwise ? kPlannedOtherwise : 0));
    }
}

std::size_t parameter_count(const Layout& layout) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < layout.view.size(); ++i) n *= layout.roles[i] & param ? layout.view[i] : 1;
    return n;
}

const void* constant_parameter(const Layout& layout, DType data, double value, CallMemory& memory) {
    const std::size_t n = parameter_count(layout);
    const auto fill = [&](auto* to) {
        std::fill_n(to, n, static_cast<std::remove_pointer_t<decltype(to)>>(value));
        return static_cast<const void*>(to);
    };
    return data == DType::f64 ? fill(memory.take<double>(n)) : fill(memory.take<float>(n));
}

}  // namespace fastnorm

#include "parameters.h"

#include "check.h"
#include "shape/overlap.h"
#include "tensor.h"

namespace fastnorm {
namespace {

// The axis of the data that an axis of the view belongs to.
std::size_t data_axis(const Layout& layout, std::size_t view_axis) {
    return view_axis > layout.split ? view_axis - 1 : view_axis;
}

bool broadcasts(const Tensor& given, const Shape& data) {
    if (given.ndim != data.size()) return false;
    for (std::size_t i = 0; i < given.ndim; ++i) {
        if (given.shape[i] != 1 && given.shape[i] != data[i]) return false;
    }
    return true;
}

// The axes of the view that parameters vary along: their lengths, and steps of something along them.
struct Varying {
    // `step`: of something along an axis of the data.
    template <class F>
    Varying(const Layout& layout, F&& step) {
        for (std::size_t i = 0; i < layout.view.size(); ++i) {
            if (!(layout.roles[i] & param)) continue;
            const std::ptrdiff_t of_data = step(data_axis(layout, i));
            steps[shape.size()] = i == layout.split ? of_data * static_cast<std::ptrdiff_t>(layout.width) : of_data;
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
    if (!broadcasts(given, layout.data)) check_per_channel(name, given, layout, x, of);
}

Parameter Parameter::documented(const Tensor& given) {
    Parameter result;
    result.tensor_ = given;
    return result;
}

std::size_t Parameter::own_axis(const Layout& layout, std::size_t data_axis) const {
    if (!documented_) return data_axis;
    for (std::size_t k = 0; k < tensor_.ndim; ++k) {
        if (layout.axes[k] == data_axis) return k;
    }
    return tensor_.ndim;
}

bool Parameter::varies(const Layout& layout, std::size_t view_axis) const {
    const std::size_t own = own_axis(layout, data_axis(layout, view_axis));
    return own < tensor_.ndim && (documented_ || tensor_.shape[own] != 1);
}

const void* Parameter::values(const Layout& layout, const Tensor& x, CallMemory& memory, double offset,
                              std::initializer_list<const Tensor*> outs) const {
    if (!tensor_) return nullptr;
    const DType compute = compute_type(x.dtype);
    bool ready = tensor_.dtype == compute && offset == 0 && is_aligned(tensor_);
    for (const Tensor* out : outs) ready = ready && !(*out && overlap(tensor_, *out));
    if (ready && documented_ && !layout.is_varied && is_contiguous(tensor_)) return tensor_.data;
    const Varying varying(layout, [&](std::size_t axis) {
        const std::size_t own = own_axis(layout, axis);
        return own == tensor_.ndim || tensor_.shape[own] == 1 ? 0 : stride_of(tensor_, own);
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

void Parameter::reduce(const Layout& layout, const double* sums, double* to) const {
    std::fill_n(to, count(tensor_), 0.0);
    // Steps of the parameter's own C order, in elements.
    std::array<std::ptrdiff_t, Shape::kMost> own_steps;
    std::ptrdiff_t step = 1;
    for (std::size_t i = tensor_.ndim; i-- > 0; step *= static_cast<std::ptrdiff_t>(tensor_.shape[i])) {
        own_steps[i] = tensor_.shape[i] == 1 ? 0 : step;
    }
    const Varying own(layout, [&](std::size_t axis) {
        const std::size_t k = own_axis(layout, axis);
        return k == tensor_.ndim ? 0 : own_steps[k];
    });
    for_each_offset(own.shape.size(), own.shape.data(), own.steps.data(),
                    [&](std::ptrdiff_t offset) { to[offset] += *sums++; });
}

void vary(Layout& layout, std::initializer_list<const Parameter*> given, bool documented) {
    for (const Parameter* parameter : given) layout.is_varied |= *parameter && !parameter->is_documented();
    if (!layout.is_varied) return;
    for (std::size_t i = 0; i < layout.view.size(); ++i) {
        bool varies = documented && (layout.roles[i] & param);
        for (const Parameter* parameter : given) varies |= *parameter && parameter->varies(layout, i);
        layout.roles[i] = static_cast<std::uint8_t>((layout.roles[i] & reduced) | (varies ? param : 0));
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

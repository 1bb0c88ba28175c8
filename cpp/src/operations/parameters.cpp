#include "parameters.h"

#include "check.h"
#include "shape/overlap.h"
#include "tensor.h"

namespace fastnorm {
namespace {

// Steps along the axes of the data become steps along those of the view.
void split_steps(const Layout& layout, const std::ptrdiff_t* of_data, std::ptrdiff_t* steps) {
    for (std::size_t i = 0; i < layout.data.size(); ++i) {
        if (i == layout.split) *steps++ = of_data[i] * static_cast<std::ptrdiff_t>(layout.width);
        *steps++ = of_data[i];
    }
}

void split_flags(const Layout& layout, const bool* of_data, bool* flags) {
    for (std::size_t i = 0; i < layout.data.size(); ++i) {
        if (i == layout.split) *flags++ = of_data[i];
        *flags++ = of_data[i];
    }
}

bool broadcasts(const Tensor& given, const Shape& data) {
    if (given.ndim != data.size()) return false;
    for (std::size_t i = 0; i < given.ndim; ++i) {
        if (given.shape[i] != 1 && given.shape[i] != data[i]) return false;
    }
    return true;
}

// The axes that parameters vary along: their lengths, and the steps of a view along them.
struct Varying {
    Varying(const Layout& layout, const std::ptrdiff_t* of_view) {
        for (std::size_t i = 0; i < layout.view.size(); ++i) {
            if (!(layout.roles[i] & param)) continue;
            steps[shape.size()] = of_view[i];
            shape.push(layout.view[i]);
        }
    }
    Shape shape;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
};

}  // namespace

Parameter::Parameter(const char* name, const Tensor& given, const Layout& layout, const Tensor& x, const char* of) {
    if (!given) return;
    check_parameter_dtype(name, given, x, of);
    if (has_shape(given, layout.parameters) || !broadcasts(given, layout.data)) {
        check_per_channel(name, given, layout, x, of);
        *this = documented(given, layout);
        return;
    }
    tensor_ = given;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    std::array<bool, Shape::kMost> several;
    for (std::size_t i = 0; i < given.ndim; ++i) {
        several[i] = given.shape[i] != 1;
        steps[i] = several[i] ? stride_of(given, i) : 0;
    }
    split_steps(layout, steps.data(), steps_.data());
    split_flags(layout, several.data(), varies_.data());
}

Parameter Parameter::documented(const Tensor& given, const Layout& layout) {
    Parameter result;
    result.tensor_ = given;
    result.documented_ = true;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    std::array<bool, Shape::kMost> several;
    std::fill_n(steps.begin(), layout.data.size(), 0);
    std::fill_n(several.begin(), layout.data.size(), false);
    for (std::size_t k = 0; k < layout.axes.size(); ++k) {
        steps[layout.axes[k]] = stride_of(given, k);
        several[layout.axes[k]] = true;
    }
    split_steps(layout, steps.data(), result.steps_.data());
    split_flags(layout, several.data(), result.varies_.data());
    return result;
}

const void* Parameter::values(const Layout& layout, const Tensor& x, double offset, const Tensor& out) {
    if (!tensor_) return nullptr;
    const Varying varying(layout, steps_.data());
    const DType compute = compute_type(x.dtype);
    const bool ready = tensor_.dtype == compute && offset == 0 && is_aligned(tensor_) &&
                       dense_count(varying.shape.size(), varying.shape.data(), varying.steps.data(),
                                   bytes_of(compute)) > 0;
    if (ready && !(out && overlap(tensor_, out))) return tensor_.data;
    const std::size_t n = varying.shape.count();
    memory_.reset(new char[n * bytes_of(compute)]);
    const auto gather = [&](auto* to) {
        using C = std::remove_pointer_t<decltype(to)>;
        if (offset == 0) {
            gather_values(tensor_, varying.shape.size(), varying.shape.data(), varying.steps.data(), to);
            return;
        }
        const std::unique_ptr<double[]> exact(new double[n]);
        gather_values(tensor_, varying.shape.size(), varying.shape.data(), varying.steps.data(), exact.get());
        for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<C>(exact[i] + offset);
    };
    if (compute == DType::f64) {
        gather(reinterpret_cast<double*>(memory_.get()));
    } else {
        gather(reinterpret_cast<float*>(memory_.get()));
    }
    return memory_.get();
}

void Parameter::reduce(const Layout& layout, const double* sums, double* to) const {
    const Varying varying(layout, steps_.data());
    std::fill_n(to, count(tensor_), 0.0);
    // Steps of the parameter's own C order, in bytes of doubles, where it varies.
    std::array<std::ptrdiff_t, Shape::kMost> of_data, of_view;
    std::fill_n(of_data.begin(), layout.data.size(), 0);
    std::ptrdiff_t step = sizeof(double);
    for (std::size_t i = tensor_.ndim; i-- > 0;) {
        const std::size_t axis = documented_ ? layout.axes[i] : i;
        of_data[axis] = tensor_.shape[i] == 1 ? 0 : step;
        step *= static_cast<std::ptrdiff_t>(tensor_.shape[i]);
    }
    split_steps(layout, of_data.data(), of_view.data());
    const Varying own(layout, of_view.data());
    char* const first = reinterpret_cast<char*>(to);
    for_each_offset(own.shape.size(), own.shape.data(), own.steps.data(),
                    [&](std::ptrdiff_t offset) { *reinterpret_cast<double*>(first + offset) += *sums++; });
}

void vary(Layout& layout, std::initializer_list<const Parameter*> given, bool documented) {
    bool any = false;
    for (const Parameter* parameter : given) any |= static_cast<bool>(*parameter);
    if (!any) return;
    for (std::size_t i = 0; i < layout.view.size(); ++i) {
        bool varies = documented && (layout.roles[i] & param);
        for (const Parameter* parameter : given) varies |= *parameter && parameter->varies(i);
        // Without a length there is nothing to step through; the documented role decides.
        if (layout.view[i] == 1) varies = (layout.roles[i] & param) != 0;
        layout.roles[i] = static_cast<std::uint8_t>((layout.roles[i] & reduced) | (varies ? param : 0));
    }
}

std::size_t parameter_count(const Layout& layout) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < layout.view.size(); ++i) n *= layout.roles[i] & param ? layout.view[i] : 1;
    return n;
}

std::unique_ptr<char[]> constant_parameter(const Layout& layout, DType data, double value) {
    const std::size_t n = parameter_count(layout);
    std::unique_ptr<char[]> memory(new char[n * bytes_of(compute_type(data))]);
    if (data == DType::f64) {
        std::fill_n(reinterpret_cast<double*>(memory.get()), n, value);
    } else {
        std::fill_n(reinterpret_cast<float*>(memory.get()), n, static_cast<float>(value));
    }
    return memory;
}

}  // namespace fastnorm

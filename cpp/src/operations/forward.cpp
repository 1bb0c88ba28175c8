#include "forward.h"

#include "shape/overlap.h"

namespace fastnorm {
namespace {

using Steps = std::array<std::ptrdiff_t, Shape::kMost>;

// What quantization is given for: one value, or one for each of the weight.
Parameter per_weight(const char* name, const Tensor& given, const Layout& layout) {
    if (given.ndim != 0 && !has_shape(given, layout.parameters)) {
        wrong_value(std::string(name) + " must have shape () or " + text(layout.parameters) + " to match " +
                    axes_text(layout.axes) + " of " + shape_of("x", layout.data) + ", got " + text(Shape(given)));
    }
    return Parameter::documented(given);
}

}  // namespace

OutputStep::OutputStep(const NormOptions& options, const Layout& documented, const Tensor& x)
    : quantize_(options.quantize), dtype_(quantize_ ? quantize_->dtype : x.dtype) {
    if (!quantize_) return;
    scale_ = per_weight("scale", quantize_->scale, documented);
    zero_ = per_weight("zero_point", quantize_->zero_point, documented);
    per_parameter_ = quantize_->scale.ndim > 0 || quantize_->zero_point.ndim > 0;
}

Quantization OutputStep::quantization(const Layout& layout, const Tensor& x, CallMemory& memory) const {
    Layout one = layout;
    for (std::size_t i = 0; !per_parameter_ && i < one.view.size(); ++i) one.roles[i] &= reduced;
    return {scale_.values(one, x, memory), zero_.values(one, x, memory), per_parameter_, dtype_ == DType::i8};
}

ForwardCall::ForwardCall(const char* name, const Tensor& x, const Tensor& residual, Layout layout, Statistic statistic,
                         const NormOptions& options, double eps, const char* weight_name)
    : name_(name),
      x_(x),
      residual_(residual),
      layout_(std::move(layout)),
      weight_(weight_name, options.weight, layout_, x, name),
      bias_("bias", options.bias, layout_, x, name),
      scale_{statistic, check_number("eps", options.eps.value_or(eps))},
      offset_(check_number("offset", options.offset)),
      activation_(options.activation),
      step_(options, layout_, x),
      where_(options.where) {
    check_mask(where_, x);
    vary(layout_, {&weight_, &bias_}, static_cast<bool>(step_));
}

void ForwardCall::check_outs(const MutableTensor& y, const char* y_name, const MutableTensor& h) const {
    if (y) check_out(y_name, y, step_.dtype(), x_, name_);
    if (h) check_out("out[1]", h, x_.dtype, x_, name_);
    if (y && h) check_apart(y_name, y, "out[1]", h);
}

void ForwardCall::bind(DataResult& result, const MutableTensor& given, std::size_t index, DType dtype,
                       const Maker& maker) {
    if (given) {
        result.bind(given, {&x_, &residual_}, memory_);
        return;
    }
    result.adopt(maker.make(index, dtype, layout_.data, x_, residual_));
    check_required(index == 0 ? "y" : "h", result.tensor());
}

void ForwardCall::bind(const MutableTensor& y, std::size_t index, const Maker& maker) {
    given_y_ = y;
    bind(y_, y, index, step_.dtype(), maker);
}

void ForwardCall::bind_sum(const MutableTensor& h, std::size_t index, const Maker& maker) {
    given_h_ = h;
    bind(h_, h, index, x_.dtype, maker);
}

Parameters ForwardCall::parameters(Quantization& quantization) {
    Parameters result;
    result.weight = weight_.values(layout_, x_, memory_, offset_, {&given_y_, &given_h_});
    if (!weight_ && offset_ != 0) {
        result.weight = constant_parameter(layout_, x_.dtype, offset_ + 1.0, memory_);
    }
    result.bias = bias_.values(layout_, x_, memory_, 0.0, {&given_y_, &given_h_});
    result.activation = activation_;
    if (step_) {
        quantization = step_.quantization(layout_, x_, memory_);
        result.quantization = &quantization;
    }
    return result;
}

void ForwardCall::run(const Saved& saved, const Maker& maker) {
    const std::size_t elements = layout_.data.count();
    maker.begin(elements * bytes_of(x_.dtype));
    Quantization quantization{};
    const Parameters with = parameters(quantization);
    const Space space = layout_.space(x_.dtype);
    Steps x_steps, y_steps, other, sum;
    layout_.strides(x_, x_steps.data());
    layout_.strides(y_.tensor(), y_steps.data());
    const Input x{x_.data, x_steps.data()};
    const Output y{y_.tensor().data, y_steps.data()};
    if (residual_) {
        layout_.strides(residual_, other.data());
        layout_.strides(h_.tensor(), sum.data());
        add_forward(space, {x, {residual_.data, other.data()}, {h_.tensor().data, sum.data()}}, y, with, scale_, saved);
        return;
    }
    const Mask mask(where_, layout_, memory_, given_y_);
    forward(space, x, y, with, scale_, saved, mask ? mask.input() : Input{});
}

void ForwardCall::run_given(const double* mean, const double* rstd, const Maker& maker) {
    maker.begin(layout_.data.count() * bytes_of(x_.dtype));
    Quantization quantization{};
    const Parameters with = parameters(quantization);
    Steps x_steps, y_steps;
    layout_.strides(x_, x_steps.data());
    layout_.strides(y_.tensor(), y_steps.data());
    apply(layout_.space(x_.dtype), {x_.data, x_steps.data()}, {y_.tensor().data, y_steps.data()}, with, mean, rstd);
}

void ForwardCall::store() const {
    y_.store();
    h_.store();
}

Mask::Mask(const Tensor& where, const Layout& layout, CallMemory& memory, const Tensor& out) {
    if (!where) return;
    Steps steps;
    std::fill_n(steps.begin(), layout.data.size(), 0);
    Tensor mask = where;
    if (out && overlap(where, out)) {
        char* const copy = memory.take<char>(count(where));
        Steps own;
        strides_of(where, own.data());
        char* to = copy;
        for_each_offset(where.ndim, where.shape, own.data(),
                        [&](std::ptrdiff_t offset) { *to++ = static_cast<const char*>(where.data)[offset]; });
        mask = Tensor(copy, where.dtype, where.ndim, where.shape);
    }
    const std::size_t shift = layout.data.size() - mask.ndim;
    for (std::size_t i = 0; i < mask.ndim; ++i) {
        steps[i + shift] = mask.shape[i] == 1 ? 0 : stride_of(mask, i);
    }
    const Tensor over(mask.data, DType::boolean, layout.data.size(), layout.data.data(), steps.data());
    layout.strides(over, steps_.data());
    data_ = mask.data;
}

const double* Mask::counts(const Layout& layout, CallMemory& memory) const {
    // An axis that the mask is broadcast along needs to be looked at once.
    std::array<std::ptrdiff_t, Shape::kMost> to;
    std::array<std::size_t, Shape::kMost> shape;
    std::ptrdiff_t groups = 1;
    double repeated = 1;
    for (std::size_t i = layout.view.size(); i-- > 0;) {
        const bool is_reduced = layout.roles[i] & reduced;
        const bool once = is_reduced && steps_[i] == 0;
        if (once) repeated *= static_cast<double>(layout.view[i]);
        shape[i] = once ? 1 : layout.view[i];
        to[i] = is_reduced ? 0 : groups;
        if (!is_reduced) groups *= static_cast<std::ptrdiff_t>(layout.view[i]);
    }
    double* const result = memory.take<double>(static_cast<std::size_t>(groups));
    std::fill_n(result, groups, 0.0);
    const std::size_t last = layout.view.size() - 1;
    const std::size_t n = shape[last];
    std::ptrdiff_t place = 0;
    shape[last] = 1;
    // Two walks in step: the mask's rows, and the groups that they belong to.
    std::array<std::size_t, Shape::kMost> index;
    std::fill_n(index.begin(), last + 1, std::size_t{0});
    for_each_offset(last + 1, shape.data(), steps_.data(), [&](std::ptrdiff_t offset) {
        const char* row = static_cast<const char*>(data_) + offset;
        for (std::size_t k = 0; k < n; ++k) {
            result[static_cast<std::size_t>(place + static_cast<std::ptrdiff_t>(k) * to[last])] +=
                row[static_cast<std::ptrdiff_t>(k) * steps_[last]] ? repeated : 0.0;
        }
        for (std::size_t i = last; i-- > 0;) {
            place += to[i];
            if (++index[i] < shape[i]) break;
            place -= to[i] * static_cast<std::ptrdiff_t>(shape[i]);
            index[i] = 0;
        }
    });
    return result;
}

}  // namespace fastnorm

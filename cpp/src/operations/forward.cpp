#include "forward.h"

#include "kernels/dispatch.h"
#include "quantize_rows.h"
#include "shape/axes.h"
#include "shape/overlap.h"

namespace fastnorm {
namespace {

using Steps = std::array<std::ptrdiff_t, Shape::kMost>;

// What quantization is given for: one value, or one for each of the weight.
Parameter per_weight(const char* name, const Tensor& given, const Layout& layout) {
    check_double(name, given);
    if (given.ndim != 0 && !has_shape(given, layout.parameters)) {
        wrong_value(std::string(name) + " must have shape () or " + text(layout.parameters) + " to match " +
                    axes_text(layout.axes) + " of " + shape_of("x", layout.data) + ", got " + text(Shape(given)));
    }
    return Parameter::documented(given);
}

}  // namespace

OutputStep::OutputStep(const NormOptions& options, const Layout& documented, const Tensor& x)
    : quantize_(options.quantize_rows ? nullptr : options.quantize), dtype_(x.dtype) {
    if (options.quantize_rows) dtype_ = check_byte(options.quantize_rows->dtype);
    if (!quantize_) return;
    dtype_ = check_byte(quantize_->dtype);
    scale_ = per_weight("scale", quantize_->scale, documented);
    zero_ = per_weight("zero_point", quantize_->zero_point, documented);
    per_parameter_ = quantize_->scale.ndim > 0 || quantize_->zero_point.ndim > 0;
}

Quantization OutputStep::quantization(const Layout& layout, const Tensor& x, CallMemory& memory,
                                      const Tensor& out) const {
    Layout one = layout;
    for (std::size_t i = 0; !per_parameter_ && i < one.view.size(); ++i) one.roles[i] &= reduced;
    return {scale_.values(one, x, memory, 0.0, {&out}), zero_.values(one, x, memory, 0.0, {&out}), per_parameter_,
            dtype_ == DType::i8};
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
      activation_(check_activation(options.activation)),
      step_(options, layout_, x),
      where_(options.where),
      rows_(options.quantize_rows) {
    check_mask(where_, x);
    vary(layout_, {&weight_, &bias_}, static_cast<bool>(step_));
}

void ForwardCall::check_outs(const Maker& maker, const MutableTensor& y, const char* y_name,
                             const MutableTensor& h) const {
    if (h) check_out("out[1]", h, x_.dtype, x_, name_, maker);
    if (y) check_out(y_name, y, step_.dtype(), x_, name_, maker);
}

void ForwardCall::bind(DataResult& result, const MutableTensor& given, std::size_t index, DType dtype,
                       const Maker& maker) {
    if (given) {
        result.bind(given, {&x_, &residual_}, memory_, {&where_});
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

void ForwardCall::bind_rows(const MutableTensor& scale, const MutableTensor& zero_point, std::size_t index,
                            const Maker& maker) {
    if (rows_) row_scales_.bind(scale, zero_point, layout_.statistics, maker, index, memory_);
}

void ForwardCall::reject_rows() const {
    if (rows_) wrong_type("quantize must be a Quantize, got QuantizeRows");
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
        quantization = step_.quantization(layout_, x_, memory_, given_y_);
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
    const Mask mask(where_, layout_);
    const Input counted = mask ? mask.input() : Input{};
    Sum added{};
    if (residual_) {
        layout_.strides(residual_, other.data());
        layout_.strides(h_.tensor(), sum.data());
        added = {x, {residual_.data, other.data()}, {h_.tensor().data, sum.data()}};
    }
    if (rows_) {
        quantize_rows({space, x, residual_ ? &added : nullptr, with, scale_, counted, layout_.is_varied}, *rows_, y,
                      row_scales_.scale(), row_scales_.zero_point());
    } else if (residual_) {
        add_forward(space, added, y, with, scale_, saved);
    } else {
        forward(space, x, y, with, scale_, saved, counted);
    }
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
    row_scales_.store();
}

namespace {

template <class T>
T* bound(MutableTensor& result, const char* name, const MutableTensor& given, DType dtype, const Shape& shape,
         const Maker& maker, std::size_t index, CallMemory& memory) {
    const Tensor& view = given;
    if (given && view.dtype != dtype) {
        wrong_type(std::string(name) + " must have dtype " + text(dtype) + ", got " + dtype_text(view));
    }
    if (given && !has_shape(view, shape)) {
        wrong_value(std::string(name) + " must have shape " + text(shape) + " to match the statistics, got " +
                    text(Shape(view)));
    }
    if (given) maker.check_given(name, view);
    result = given ? given : maker.make(index, dtype, shape);
    return memory.take<T>(shape.count());
}

template <class T>
void store_each(const T* values, const MutableTensor& to) {
    if (!to) return;
    const Tensor& view = to;
    Steps steps;
    strides_of(view, steps.data());
    for_each_offset(view.ndim, view.shape, steps.data(), [&](std::ptrdiff_t offset) {
        std::memcpy(static_cast<char*>(to.data) + offset, values++, sizeof(T));
    });
}

}  // namespace

void RowScales::bind(const MutableTensor& scale, const MutableTensor& zero_point, const Shape& shape,
                     const Maker& maker, std::size_t index, CallMemory& memory) {
    scale_values_ = bound<float>(scale_, "scale", scale, DType::f32, shape, maker, index, memory);
    zero_values_ = bound<std::int32_t>(zero_, "zero_point", zero_point, DType::i32, shape, maker, index + 1, memory);
}

void RowScales::store() const {
    store_each(scale_values_, scale_);
    store_each(zero_values_, zero_);
}

Mask::Mask(const Tensor& where, const Layout& layout) {
    if (!where) return;
    Steps steps;
    std::fill_n(steps.begin(), layout.data.size(), 0);
    const std::size_t shift = layout.data.size() - where.ndim;
    for (std::size_t i = 0; i < where.ndim; ++i) {
        steps[i + shift] = where.shape[i] == 1 ? 0 : stride_of(where, i);
    }
    const Tensor over(where.data, DType::boolean, layout.data.size(), layout.data.data(), steps.data());
    layout.strides(over, steps_.data());
    data_ = where.data;
}

namespace {

// Adds `each` for every byte of rows that is not zero, to one number or to one for each byte. Without branches, which
// random masks would make expensive, and in bytes, of which a vector holds many.
class RowCounts {
public:
    RowCounts(std::size_t n, std::ptrdiff_t step, double each, double* to, std::ptrdiff_t to_step, CallMemory& memory)
        : n_(n),
          own_(step == 0 && to_step != 0 ? 1 : n),
          step_(step),
          to_step_(to_step),
          each_(each),
          to_(to),
          bytes_(memory.take<std::uint8_t>(own_)) {
        std::fill_n(bytes_, own_, std::uint8_t{0});
    }

    // A row whose first number is at `place`.
    void add(const char* row, std::ptrdiff_t place) {
        if (to_step_ == 0) {
            std::size_t count = 0;
            if (step_ == 1) {
                count = kernels().of<float>().count_nonzero(reinterpret_cast<const std::uint8_t*>(row), n_);
            } else {
                for (std::size_t k = 0; k < n_; ++k) count += row[static_cast<std::ptrdiff_t>(k) * step_] != 0;
            }
            to_[place] += each_ * static_cast<double>(count);
            return;
        }
        if (place != place_ || rows_ == 255) flush();
        place_ = place, ++rows_;
        if (step_ == 1) {
            for (std::size_t k = 0; k < own_; ++k) bytes_[k] += static_cast<std::uint8_t>(row[k] != 0);
        } else {
            for (std::size_t k = 0; k < own_; ++k) {
                bytes_[k] += static_cast<std::uint8_t>(row[static_cast<std::ptrdiff_t>(k) * step_] != 0);
            }
        }
    }
    void flush() {
        for (std::size_t k = 0; k < n_ && rows_ > 0; ++k) {
            to_[place_ + static_cast<std::ptrdiff_t>(k) * to_step_] += each_ * bytes_[own_ == 1 ? 0 : k];
        }
        std::fill_n(bytes_, own_, std::uint8_t{0});
        rows_ = 0;
    }

private:
    std::size_t n_, own_;  // a mask that is broadcast along the row has one byte of it
    std::ptrdiff_t step_, to_step_, place_ = 0;
    double each_;
    double* to_;
    std::uint8_t* bytes_;
    std::size_t rows_ = 0;
};

}  // namespace

const double* Mask::counts(const Layout& layout, CallMemory& memory) const {
    Axes axes;
    std::ptrdiff_t groups = 1;
    double repeated = 1;
    for (std::size_t i = layout.view.size(); i-- > 0;)
        groups *= layout.roles[i] & reduced ? 1 : static_cast<std::ptrdiff_t>(layout.view[i]);
    std::ptrdiff_t group = groups;
    for (std::size_t i = 0; i < layout.view.size(); ++i) {
        const std::size_t n = layout.view[i];
        const bool is_reduced = layout.roles[i] & reduced;
        if (!is_reduced) group /= static_cast<std::ptrdiff_t>(n);
        // An axis that the mask is broadcast along needs to be looked at once.
        const bool once = is_reduced && steps_[i] == 0;
        if (once) repeated *= static_cast<double>(n);
        if (once || n == 1) continue;
        Axis axis = kNoAxis;
        axis.n = n, axis.stride[kX] = steps_[i], axis.stat = is_reduced ? 0 : group;
        axes.push(axis);
    }
    axes.merge(false);
    Axis row = kNoAxis;
    if (axes.size() > 0) row = axes[axes.size() - 1], axes.erase(axes.size() - 1);
    double* const result = memory.take<double>(static_cast<std::size_t>(groups));
    std::fill_n(result, groups, 0.0);
    RowCounts counts(row.n, row.stride[kX], repeated, result, row.stat, memory);
    axes.for_each(
        [&](const Offset& offset) { counts.add(static_cast<const char*>(data_) + offset.at[kX], offset.stat); });
    counts.flush();
    return result;
}

}  // namespace fastnorm

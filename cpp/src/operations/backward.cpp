#include "backward.h"

#include "shape/overlap.h"

namespace fastnorm {

using Steps = std::array<std::ptrdiff_t, Shape::kMost>;

void ParameterGradient::bind(const MutableTensor& given, const char* name, const Shape& shape, DType dtype,
                             const Maker& maker, std::size_t index, bool wanted) {
    if (given) {
        const Tensor& view = given;
        if (view.dtype != dtype) {
            wrong_type(std::string(name) + " must have dtype " + text(dtype) + ", got " + dtype_text(view));
        }
        if (!has_shape(view, shape)) {
            wrong_value(std::string(name) + " must have shape " + text(shape) + ", got " + text(Shape(view)));
        }
        maker.check_given(name, view);
        target_ = given;
    } else if (wanted) {
        target_ = maker.make(index, dtype, shape);
    }
}

double* ParameterGradient::sums(const Layout& layout, CallMemory& memory) {
    if (!target_) return nullptr;
    return sums_ = memory.take<double>(parameter_count(layout));
}

void ParameterGradient::store(const Layout& layout, const Parameter& parameter, double factor, CallMemory& memory) {
    if (!target_) return;
    const Tensor& view = target_;
    const std::size_t n = count(view);
    if (layout.is_varied) {
        double* const own = memory.take<double>(n);
        parameter.reduce(layout, sums_, own, memory);
        sums_ = own;
    }
    for (std::size_t i = 0; factor != 1.0 && i < n; ++i) sums_[i] *= factor;
    store(sums_);
}

void ParameterGradient::store(const double* values) const {
    if (target_) store_rounded(values, target_);
}

struct BackwardCall::Views {
    explicit Views(const BackwardCall& call) {
        call.layout_.strides(call.x_, x_steps.data());
        call.layout_.strides(call.dy_, dy_steps.data());
        x = {call.x_.data, x_steps.data()};
        dy = {call.dy_.data, dy_steps.data()};
        if (call.dh_) call.layout_.strides(call.dh_, dh_steps.data()), dh = {call.dh_.data, dh_steps.data()};
        if (!call.dx_) return;
        call.layout_.strides(call.dx_.tensor(), dx_steps.data());
        dx = {call.dx_.tensor().data, dx_steps.data()};
    }
    Steps x_steps, dy_steps, dh_steps, dx_steps;
    Input x, dy, dh;
    Output dx;
};

BackwardCall::BackwardCall(const char* of, const Tensor& dy, const Tensor& dh, const Tensor& x, const Tensor& mean,
                           const Tensor& rstd, Layout layout, Statistic statistic, const BackwardOptions& options,
                           const char* dy_name)
    : of_(of),
      dy_(dy),
      dh_(dh),
      x_(x),
      mean_(mean),
      rstd_(rstd),
      layout_(std::move(layout)),
      options_(options),
      statistic_(statistic) {
    check_like(dy_name, dy, x, of);
    if (dh) check_like("dh", dh, x, of);
    weight_ = Parameter("weight", options.weight, layout_, x, of);
    bias_ = Parameter("bias", options.bias, layout_, x, of);
    if (is_centred(statistic)) check_statistic("mean", mean, layout_, of);
    check_statistic("rstd", rstd, layout_, of);
    offset_ = check_number("offset", options.offset);
    check_activation(options.activation);
    check_mask(options.where, x);
    vary(layout_, {&weight_, &bias_}, !weight_);
    if (layout_.is_varied) layout_.plan_for_gradients();
}

void BackwardCall::bind(const GradientResults& results, const Maker& maker) {
    if (results.dx) check_out("dx", results.dx, x_.dtype, x_, of_, maker);
    if (!form_) {
        form_ = WeightForm{weight_ ? Shape(weight_.tensor()) : layout_.parameters,
                           weight_ ? weight_.tensor().dtype : x_.dtype};
    }
    const Shape& shape = form_->shape;
    const DType dtype = form_->dtype;
    const Shape bias_shape = bias_ ? Shape(bias_.tensor()) : shape;
    if (results.dx) {
        dx_.bind(results.dx, {&dy_, &dh_}, memory_,
                 {&x_, &mean_, &rstd_, &options_.weight, &options_.bias, &options_.where});
    } else if (results.wants[0]) {
        dx_.adopt(maker.make(0, x_.dtype, layout_.data, x_));
    }
    dweight_.bind(results.dweight, "dweight", shape, dtype, maker, 1, results.wants[1]);
    dbias_.bind(results.dbias, "dbias", bias_shape, dtype, maker, 2, results.wants[2]);
}

void BackwardCall::centre(const Views& views, const Mask& mask) {
    rstd_values_ = Doubles(rstd_, memory_);
    if (!mean_) return;
    mean_values_ = Doubles(mean_, memory_);
    if (mean_.dtype == DType::f64 || !options_.training) return;
    const std::size_t n = layout_.statistics.count();
    double* const exact = memory_.take<double>(2 * n);
    moments(layout_.space(x_.dtype), views.x, exact, exact + n, mask ? mask.input() : Input{});
    exact_mean_ = exact;
}

void BackwardCall::run(const GradientResults& results) {
    const Maker maker(results.maker);
    bind(results, maker);
    maker.begin(layout_.data.count() * bytes_of(x_.dtype));
    double* const dweight = dweight_.sums(layout_, memory_);
    double* const dbias = dbias_.sums(layout_, memory_);
    const Space space = layout_.space(x_.dtype);
    Views views(*this);
    const Mask mask(options_.where, layout_);
    centre(views, mask);
    const double* const mean = exact_mean_ ? exact_mean_ : mean_values_.get();
    const void* weight = weight_.values(layout_, x_, memory_, offset_);
    if (!weight_ && offset_ != 0) {
        weight = constant_parameter(layout_, x_.dtype, offset_ + 1.0, memory_);
    }
    if (options_.activation != Activation::none && !layout_.is_empty()) {
        // Through the activation first; its gradient lies where dx is going to be, unless something is read there.
        Output dz = views.dx;
        if (!dz.data || (dh_ && overlap(dh_, dx_.tensor()))) {
            dz = {memory_.take<char>(layout_.data.count() * bytes_of(x_.dtype)), nullptr};
        }
        activation_gradient(space, views.dy, views.x, dz,
                            {weight, bias_.values(layout_, x_, memory_), options_.activation}, mean,
                            rstd_values_.get());
        views.dy = {dz.data, dz.strides};
    }
    const double* const counts = mask && !layout_.is_empty() ? mask.counts(layout_, memory_) : nullptr;
    backward(space, views.dy, views.x, weight, {statistic_, 0.0}, options_.training, mean, rstd_values_.get(),
             {views.dx, dweight, dbias, views.dh}, slope_, mask ? mask.input() : Input{}, counts);
    dx_.store();
    const Parameter weight_form = weight_ ? weight_ : Parameter::implicit(layout_, x_.dtype);
    dweight_.store(layout_, weight_form, form_->factor, memory_);
    dbias_.store(layout_, bias_ ? bias_ : weight_form, 1.0, memory_);
}

}  // namespace fastnorm

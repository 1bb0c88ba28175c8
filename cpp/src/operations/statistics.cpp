// Moments, and the backward of batch norm in two parts for data-parallel training.
#include <cmath>

#include "backward.h"

namespace fastnorm {
namespace {

using Steps = std::array<std::ptrdiff_t, Shape::kMost>;

// Two arrays over the view of a layout.
struct Views {
    Views(const Layout& layout, const Tensor& dy, const Tensor& x) {
        layout.strides(dy, dy_steps.data());
        layout.strides(x, x_steps.data());
        this->dy = {dy.data, dy_steps.data()};
        this->x = {x.data, x_steps.data()};
    }
    Steps dy_steps, x_steps;
    Input dy, x;
};

Layout checked_part(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd, std::int64_t axis) {
    check_data("x", x);
    const Layout layout = batch_layout("x", x, axis);
    check_like("dy", dy, x);
    check_statistic("mean", mean, layout);
    check_statistic("rstd", rstd, layout);
    return layout;
}

}  // namespace

void moments(const Tensor& x, const AxisList& axis, const Tensor& where, const MomentResults& results) {
    check_data("x", x);
    const Layout layout = moments_layout(x, axis);
    check_mask(where, x);
    const Maker maker(results.maker);
    CallMemory memory;
    DoubleResult counts, mean, m2;
    bind_statistic(counts, "count", results.count, layout.statistics, maker, 0, memory);
    bind_statistic(mean, "mean", results.mean, layout.statistics, maker, 1, memory);
    bind_statistic(m2, "m2", results.m2, layout.statistics, maker, 2, memory);
    maker.begin(layout.data.count() * bytes_of(x.dtype));
    const std::size_t n = layout.statistics.count();
    if (counts) std::fill_n(counts.get(), n, static_cast<double>(layout.group_size));
    for (double* values : {mean.get(), m2.get()}) {
        if (values) std::fill_n(values, n, 0.0);
    }
    if (!layout.is_empty()) {
        Steps steps;
        layout.strides(x, steps.data());
        const Mask mask(where, layout);
        moments(layout.space(x.dtype), {x.data, steps.data()}, mean.get(), m2.get(), mask ? mask.input() : Input{},
                mask ? counts.get() : nullptr);
    }
    counts.store();
    mean.store();
    m2.store();
}

void batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                std::int64_t axis, const BatchSums& results) {
    const Layout layout = checked_part(dy, x, mean, rstd, axis);
    const Maker maker(results.maker);
    CallMemory memory;
    DoubleResult sum_dy, sum_dy_xhat;
    bind_statistic(sum_dy, "sum_dy", results.sum_dy, layout.statistics, maker, 0, memory);
    bind_statistic(sum_dy_xhat, "sum_dy_xhat", results.sum_dy_xhat, layout.statistics, maker, 1, memory);
    maker.begin(layout.data.count() * bytes_of(x.dtype));
    const Views views(layout, dy, x);
    const Doubles means(mean, memory), scales(rstd, memory);
    backward(layout.space(x.dtype), views.dy, views.x, nullptr, {Statistic::variance, 0.0}, true, means.get(),
             scales.get(), {{}, sum_dy_xhat.get(), sum_dy.get()});
    sum_dy.store();
    sum_dy_xhat.store();
}

void batch_norm_backward_apply(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                               const Tensor& rstd, const Tensor& sum_dy, const Tensor& sum_dy_xhat, const Tensor& count,
                               std::int64_t axis, double offset, const GradientResults& results) {
    const Layout layout = checked_part(dy, x, mean, rstd, axis);
    // Sums over a channel cannot tell what a weight that varies within it has done.
    if (weight) check_per_channel("weight", weight, layout, x);
    const Parameter scale = Parameter::documented(weight);
    check_statistic("sum_dy", sum_dy, layout);
    check_statistic("sum_dy_xhat", sum_dy_xhat, layout);
    check_double("count", count);
    if (count.ndim != 0 && !has_shape(count, layout.statistics)) {
        wrong_value("count must have shape () or " + text(layout.statistics) + ", got " + text(Shape(count)));
    }
    check_number("offset", offset);
    if (results.dweight) wrong_value("dweight must not be given, the sums of batch_norm_backward_reduce are its parts");
    if (results.dbias) wrong_value("dbias must not be given, the sums of batch_norm_backward_reduce are its parts");
    const std::size_t n = layout.statistics.count();
    CallMemory memory;
    const Doubles counts(count, memory, true), sums(sum_dy, memory, true), sums_xhat(sum_dy_xhat, memory, true);
    for (std::size_t i = 0; !layout.is_empty() && i < fastnorm::count(count); ++i) {
        const double each = counts.get()[i];
        if (!(std::isfinite(each) && each > 0)) wrong_value("count must be finite and > 0, got " + text(each));
    }
    const Maker maker(results.maker);
    DataResult dx;
    if (results.dx) {
        check_out("dx", results.dx, x.dtype, x, "x", maker);
        dx.bind(results.dx, {&dy, &x}, memory, {&weight, &mean, &rstd});
    } else {
        dx.adopt(maker.make(0, x.dtype, layout.data, x));
        check_required("dx", dx.tensor());
    }
    maker.begin(layout.data.count() * bytes_of(x.dtype));
    double *const averages = memory.take<double>(3 * n), *const weights = averages + 2 * n;
    std::fill_n(weights, n, 1.0);
    if (weight) {
        const std::ptrdiff_t step = stride_of(weight, 0);
        gather_values(weight, 1, weight.shape, &step, weights);
    }
    for (std::size_t i = 0; i < n; ++i) {
        const double share = (offset + weights[i]) / counts.get()[count.ndim == 0 ? 0 : i];
        averages[i] = share * sums.get()[i];
        averages[n + i] = share * sums_xhat.get()[i];
    }
    const Views views(layout, dy, x);
    Steps steps;
    layout.strides(dx.tensor(), steps.data());
    const Doubles means(mean, memory), scales(rstd, memory);
    const void* factor = scale.values(layout, x, memory, offset);
    if (!weight && offset != 0) factor = constant_parameter(layout, x.dtype, offset + 1.0, memory);
    input_gradient(layout.space(x.dtype), views.dy, views.x, {dx.tensor().data, steps.data()}, factor, means.get(),
                   scales.get(), averages, averages + n);
    dx.store();
}

}  // namespace fastnorm

// Weight normalization and weight standardization: filters along some axes, statistics over all others.
#include <cmath>

#include "backward.h"
#include "running.h"

namespace fastnorm {
namespace {

// The lengths of weight norm stand in the shape of the weights with length 1 along the reduced axes; the drivers want
// one value per filter.
struct Lengths {
    Lengths(const char* name, const Tensor& given, const Layout& layout) {
        if (layout.axes.size() == 0) {
            if (count(given) != 1) {
                wrong_value(std::string(name) + " must have one element for axis=None, got shape " +
                            text(Shape(given)));
            }
        } else if (!has_shape(given, kept_shape(layout))) {
            wrong_value(std::string(name) + " must have shape " + text(kept_shape(layout)) + " to match " +
                        axes_text(layout.axes) + " of " + groups_text(layout) + shape_of("v", layout.data) + ", got " +
                        text(Shape(given)));
        }
        for (std::size_t k = 0; k < layout.axes.size(); ++k) steps[k] = stride_of(given, layout.axes[k]);
        tensor = Tensor(given.data, given.dtype, layout.parameters.size(), layout.parameters.data(), steps.data());
    }
    Lengths(const Lengths&) = delete;
    Lengths& operator=(const Lengths&) = delete;

    static Shape kept_shape(const Layout& layout) {
        Shape shape = Shape::filled(layout.data.size(), 1);
        for (std::size_t k = 0; k < layout.axes.size(); ++k) shape[layout.axes[k]] = layout.parameters[k];
        return shape;
    }

    Tensor tensor;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
};

Layout checked_filters(const char* name, const Tensor& w, const AxisList& axis, std::int64_t groups) {
    check_data(name, w);
    return filters_layout(name, w, axis, groups);
}

void weight_norm(const Tensor& v, const Tensor& g, const AxisList& axis, std::int64_t groups, double eps,
                 const WeightResults& results, bool saved) {
    const Layout layout = checked_filters("v", v, axis, groups);
    check_parameter_dtype("g", g, v, "v");
    const Lengths lengths("g", g, layout);
    NormOptions options;
    options.weight = lengths.tensor;
    options.eps = eps;
    ForwardCall call("v", v, {}, layout, Statistic::norm, options, 0.0, "g");
    const Maker maker(results.maker);
    call.check_outs(maker, results.w, "out");
    call.bind(results.w, 0, maker);
    DoubleResult norm;
    if (saved) bind_statistic(norm, "norm", results.norm, Lengths::kept_shape(layout), maker, 1, call.memory());
    const std::size_t n = layout.parameters.count();
    Saved statistics;
    statistics.m2 = norm.get();
    if (norm) statistics.rstd = call.memory().take<double>(n);
    call.run(statistics, maker);
    for (std::size_t i = 0; norm && i < n; ++i) {
        // The root of a sum of squares that double cannot hold is the inverse of the scale.
        double& value = norm.get()[i];
        const double scale = statistics.rstd[i];
        if (keeps_squares(value)) {
            value = std::sqrt(value + eps);
        } else if (!std::isnan(scale)) {
            value = 1.0 / scale;
        }
    }
    norm.store();
    call.store();
}

// ---- weight standardization

struct Form {
    Statistic statistic;
    double eps;
};

constexpr Form kForms[] = {{Statistic::variance, 1e-6},
                           {Statistic::std_unbiased, 1e-5},
                           {Statistic::std_biased, 1e-5},
                           {Statistic::max, 1e-4}};

struct Filters {
    Filters(const Tensor& w, const FilterOptions& options)
        : layout(checked_filters("w", w, options.axis, options.groups)) {
        const auto mode = static_cast<std::size_t>(options.mode);
        if (mode >= std::size(kForms)) wrong_value("mode must be from 0 to 3, got " + text(mode));
        form = kForms[mode];
        if (form.statistic == Statistic::std_unbiased && layout.group_size == 1) {
            wrong_value("mode 'std_unbiased' needs two or more weights per filter, got " + shape_of("w", layout.data));
        }
        if (options.eps) form.eps = check_number("eps", *options.eps);
    }
    Layout layout;
    Form form;
};

// gain * scale in double, or the gain itself.
class Factor {
public:
    Factor(const Tensor& gain, double scale, const Layout& layout, const Tensor& w, CallMemory& memory) {
        if (gain) check_per_channel("gain", gain, layout, w, "w");
        check_number("scale", scale);
        tensor_ = gain;
        if (scale == 1.0) return;
        const std::size_t n = layout.parameters.count();
        double* const values = memory.take<double>(n);
        std::fill_n(values, n, 1.0);
        if (gain) {
            std::array<std::ptrdiff_t, Shape::kMost> steps;
            strides_of(gain, steps.data());
            gather_values(gain, gain.ndim, gain.shape, steps.data(), values);
        }
        for (std::size_t i = 0; i < n; ++i) values[i] *= scale;
        shape_ = layout.parameters;
        tensor_ = Tensor(values, DType::f64, shape_.size(), shape_.data());
    }
    Factor(const Factor&) = delete;
    Factor& operator=(const Factor&) = delete;
    const Tensor& tensor() const { return tensor_; }

private:
    Tensor tensor_;
    Shape shape_;
};

void standardize(const Tensor& w, const Tensor& gain, const FilterOptions& options,
                 const StandardizationResults& results, bool saved) {
    const Filters filters(w, options);
    const Layout& layout = filters.layout;
    CallMemory memory;
    const Factor factor(gain, options.scale, layout, w, memory);
    NormOptions norm;
    norm.weight = factor.tensor();
    ForwardCall call("w", w, {}, layout, filters.form.statistic, norm, filters.form.eps, "gain");
    const Maker maker(results.maker);
    call.check_outs(maker, results.w, "out");
    call.bind(results.w, 0, maker);
    DoubleResult mean, var;
    if (saved) bind_statistic(mean, "mean", results.mean, layout.statistics, maker, 1, call.memory());
    if (saved) bind_statistic(var, "var", results.var, layout.statistics, maker, 2, call.memory());
    call.run({mean.get(), nullptr, var.get()}, maker);
    const auto size = static_cast<double>(std::max<std::size_t>(layout.group_size, 1));
    for (std::size_t i = 0; var && i < layout.statistics.count(); ++i) var.get()[i] /= size;
    mean.store();
    var.store();
    call.store();
}

// The scale s(var) of every filter, and how it follows the second moment: slope = -ds/dvar * 2 / (size * s^3); 1/size
// where it is not set.
void multiplier(const Form& form, const double* var, std::size_t n, std::size_t group_size, double* s, double* slope) {
    const auto size = static_cast<double>(group_size);
    std::copy_n(var, n, s);
    if (form.statistic == Statistic::variance) {
        scale_of_variance(s, n, form.eps);
        std::fill_n(slope, n, 1.0 / size);
        return;
    }
    if (form.statistic == Statistic::max) {
        for (std::size_t i = 0; i < n; ++i) {
            const double m2 = size * var[i];
            s[i] = m2 > form.eps || std::isnan(m2) ? m2 : form.eps;
            slope[i] = m2 > form.eps ? 1.0 : 0.0;
        }
        scale_of_variance(s, n, 0.0);
        return;
    }
    const double divisor = form.statistic == Statistic::std_unbiased ? size - 1 : size;
    for (std::size_t i = 0; i < n; ++i) {
        const double std = std::sqrt(var[i] * (size / divisor)), total = std + form.eps;
        s[i] = total == 0 ? 0.0 : 1.0 / total;
        slope[i] = std == 0 ? 0.0 : total / (std * divisor);
    }
}

// The same for filters whose variance double cannot hold, from the weights themselves.
void multiplier_of_weights(const Filters& filters, const Tensor& w, const double* var, double* s, double* slope,
                           CallMemory& memory) {
    const Layout& layout = filters.layout;
    const Form& form = filters.form;
    const std::size_t n = layout.statistics.count();
    if (w.dtype != DType::f64 || layout.is_empty() || std::all_of(var, var + n, keeps_squares)) return;
    double* const exact = memory.take<double>(n);
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    layout.strides(w, steps.data());
    Saved saved;
    saved.rstd = exact;
    forward(layout.space(w.dtype), {w.data, steps.data()}, {}, {}, {form.statistic, form.eps}, saved);
    const auto size = static_cast<double>(layout.group_size);
    const double divisor = form.statistic == Statistic::std_unbiased ? size - 1 : size;
    for (std::size_t i = 0; i < n; ++i) {
        if (keeps_squares(var[i])) continue;
        const double scale = s[i] = exact[i], part = scale * form.eps;
        if (form.statistic == Statistic::max) {
            slope[i] = scale < 1.0 / std::sqrt(form.eps) ? 1.0 : 0.0;
        } else if (form.statistic != Statistic::variance) {
            slope[i] = scale == 0.0 || part == 1.0 ? 0.0 : 1.0 / ((1.0 - part) * divisor);
        }
    }
}

}  // namespace

void weight_norm(const Tensor& v, const Tensor& g, const AxisList& axis, std::int64_t groups, double eps,
                 const WeightResults& results) {
    weight_norm(v, g, axis, groups, eps, results, false);
}

void weight_norm_forward(const Tensor& v, const Tensor& g, const AxisList& axis, std::int64_t groups, double eps,
                         const WeightResults& results) {
    weight_norm(v, g, axis, groups, eps, results, true);
}

void weight_norm_backward(const Tensor& dw, const Tensor& v, const Tensor& g, const Tensor& norm, const AxisList& axis,
                          std::int64_t groups, const WeightGradients& results) {
    const Layout layout = checked_filters("v", v, axis, groups);
    check_parameter_dtype("g", g, v, "v");
    const Lengths lengths("g", g, layout);
    check_like("dw", dw, v, "v");
    check_statistic_dtype("norm", norm);
    const Lengths norms("norm", norm, layout);
    CallMemory memory;
    const Doubles values(norms.tensor, memory, true);
    const std::size_t n = layout.parameters.count();
    double* const rstd = memory.take<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
        const double value = values.get()[i];
        rstd[i] = value == 0 ? std::nan("") : 1.0 / value;
    }
    BackwardOptions options;
    options.weight = lengths.tensor;
    const Tensor scales(rstd, DType::f64, layout.statistics.size(), layout.statistics.data());
    BackwardCall call("v", dw, {}, v, {}, scales, layout, Statistic::norm, options, "dw");
    call.set_weight_form({Shape(g), g.dtype});
    call.run({results.dv, results.dg, {}, {true, true, false}, results.maker});
}

void weight_norm_init(const Tensor& t, std::int64_t axis, const WeightNormStart& results) {
    check_data("t", t);
    const Layout layout = batch_layout("t", t, axis);
    const Maker maker(results.maker);
    CallMemory memory;
    ParameterGradient g, bias;
    g.bind(results.g, "g", layout.parameters, t.dtype, maker, 0, true);
    bias.bind(results.bias, "bias", layout.parameters, t.dtype, maker, 1, true);
    maker.begin(layout.data.count() * bytes_of(t.dtype));
    const std::size_t n = layout.statistics.count();
    double *const mean = memory.take<double>(2 * n), *const scale = mean + n;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    layout.strides(t, steps.data());
    moments(layout.space(t.dtype), {t.data, steps.data()}, mean, scale);
    for (std::size_t i = 0; i < n; ++i) scale[i] /= static_cast<double>(layout.group_size);
    scale_of_variance(scale, n, 0.0);
    for (std::size_t i = 0; i < n; ++i) mean[i] *= -scale[i];
    g.store(scale);
    bias.store(mean);
}

void weight_standardization(const Tensor& w, const Tensor& gain, const FilterOptions& options,
                            const StandardizationResults& results) {
    standardize(w, gain, options, results, false);
}

void weight_standardization_forward(const Tensor& w, const Tensor& gain, const FilterOptions& options,
                                    const StandardizationResults& results) {
    standardize(w, gain, options, results, true);
}

void weight_standardization_backward(const Tensor& dw, const Tensor& w, const Tensor& gain, const Tensor& mean,
                                     const Tensor& var, const FilterOptions& options, const WeightGradients& results) {
    const Filters filters(w, options);
    const Layout& layout = filters.layout;
    check_like("dw", dw, w, "w");
    CallMemory memory;
    const Factor factor(gain, options.scale, layout, w, memory);
    check_statistic("mean", mean, layout, "w");
    check_statistic("var", var, layout, "w");
    const std::size_t n = layout.statistics.count();
    const Doubles variances(var, memory, true);
    double *const s = memory.take<double>(2 * n), *const slope = s + n;
    multiplier(filters.form, variances.get(), n, layout.group_size, s, slope);
    multiplier_of_weights(filters, w, variances.get(), s, slope, memory);
    BackwardOptions norm;
    norm.weight = factor.tensor();
    const Tensor rstd(s, DType::f64, layout.statistics.size(), layout.statistics.data());
    BackwardCall call("w", dw, {}, w, mean, rstd, layout, Statistic::variance, norm, "dw");
    if (filters.form.statistic != Statistic::variance) call.set_slope(slope);
    call.set_weight_form({layout.parameters, gain ? gain.dtype : w.dtype, options.scale});
    call.run({results.dv, results.dg, {}, {true, true, false}, results.maker});
}

}  // namespace fastnorm

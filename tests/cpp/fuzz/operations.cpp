// Every operation, by the arguments that it takes.
#include <algorithm>

#include "draw.h"

namespace fuzz {
namespace {

using fn::AxisList;
using fn::DType;
using fn::Tensor;

// ---- layer and RMS norm, L2, residual sums

template <auto kForward, Saved kSaved>
void rows(Draw& d) {
    const AxisList axes = d.axes();
    const Tensor x = d.data();
    const fn::NormOptions options = d.norm_options(d.along(axes));
    kForward(x, axes, options, d.norm_results(d.without(axes), kSaved));
}

template <auto kForward, Saved kSaved>
void residual(Draw& d) {
    const AxisList axes = d.axes();
    const Tensor x = d.data(), other = d.data();
    const fn::NormOptions options = d.norm_options(d.along(axes));
    kForward(x, other, axes, options, d.add_norm_results(d.without(axes), kSaved));
}

// The gradients' shapes are those of the parameters, which may broadcast.
fn::GradientResults gradients(Draw& d, const fn::BackwardOptions& options, const AxisList& axes) {
    const Tensor& weight = options.weight;
    return d.gradients(weight ? Shape(weight.shape, weight.shape + weight.ndim) : d.along(axes));
}

template <auto kBackward, bool kHasMean, bool kIsSum>
void rows_backward(Draw& d) {
    const AxisList axes = d.axes();
    const Tensor dy = d.data(), x = d.data();
    const Tensor dh = kIsSum && d.bytes.chance(128) ? d.data() : Tensor();
    const Tensor mean = kHasMean ? d.statistic(d.without(axes)) : Tensor();
    const Tensor rstd = d.statistic(d.without(axes), Values::positive);
    const fn::BackwardOptions options = d.backward_options(d.along(axes));
    const fn::GradientResults results = gradients(d, options, axes);
    if constexpr (kIsSum && kHasMean) kBackward(dy, dh, x, mean, rstd, axes, options, results);
    if constexpr (kIsSum && !kHasMean) kBackward(dy, dh, x, rstd, axes, options, results);
    if constexpr (!kIsSum && kHasMean) kBackward(dy, x, mean, rstd, axes, options, results);
    if constexpr (!kIsSum && !kHasMean) kBackward(dy, x, rstd, axes, options, results);
}

template <auto kForward, bool kHandsOut>
void l2(Draw& d) {
    const AxisList axes = d.axes();
    const Tensor x = d.data();
    const double eps = d.number(1e-12);
    const Shape norms = d.without(axes);
    kForward(x, axes, eps, {d.required_result(d.shape(), d.dtype()), d.statistic_result(norms, kHandsOut), d.maker()});
}

void l2_backward(Draw& d) {
    const AxisList axes = d.axes();
    const Tensor dy = d.data(), x = d.data(), norm = d.statistic(d.without(axes), Values::positive);
    const double eps = d.number(1e-12);
    fn::l2_normalize_backward(dy, x, norm, axes, eps, {d.required_result(d.shape(), d.dtype()), d.maker()});
}

// ---- batch, group and instance norm

void batch_norm(Draw& d) {
    const std::int64_t axis = d.axis();
    const Shape channels = d.along(axis);
    const DType dtype = d.bytes.chance(64) ? d.dtype() : DType::f64;
    const Tensor x = d.data(), mean = d.input(channels, dtype, Values::numbers);
    const Tensor var = d.input(channels, dtype, Values::positive);
    const fn::NormOptions options = d.norm_options(channels);
    fn::batch_norm(x, mean, var, axis, options, d.norm_results(channels, Saved::none));
}

// With (N, channels) statistics where they are those of single samples.
template <auto kForward, bool kOfSamples>
void channels_forward(Draw& d) {
    const std::int64_t axis = d.axis();
    const Shape channels = d.along(axis);
    const Tensor x = d.data();
    const fn::NormOptions options = d.norm_options(channels);
    const fn::RunningStatistics running = d.running(channels, options.mean_only);
    Shape statistics = channels;
    if (kOfSamples && !d.shape().empty()) statistics.insert(statistics.begin(), d.shape()[0]);
    kForward(x, axis, options, running, d.norm_results(statistics, Saved::both));
}

template <auto kBackward, bool kOfSamples>
void channels_backward(Draw& d) {
    const std::int64_t axis = d.axis();
    Shape statistics = d.along(axis);
    if (kOfSamples && !d.shape().empty()) statistics.insert(statistics.begin(), d.shape()[0]);
    const Tensor dy = d.data(), x = d.data(), mean = d.statistic(statistics);
    const Tensor rstd = d.statistic(statistics, Values::positive);
    const fn::BackwardOptions options = d.backward_options(d.along(axis));
    kBackward(dy, x, mean, rstd, axis, options, gradients(d, options, axis));
}

std::int64_t divisor(Draw& d, const Shape& lengths) {
    const std::size_t channels = lengths.empty() ? 1 : lengths[0], groups = 1 + d.bytes.below(8);
    return d.whole(static_cast<std::int64_t>(channels % groups ? 1 : groups));
}

Shape groups_shape(const Draw& d, std::int64_t groups) {
    return {d.shape().empty() ? 1 : d.shape()[0], static_cast<std::size_t>(std::clamp<std::int64_t>(groups, 0, 1000))};
}

template <auto kForward, Saved kSaved>
void group_norm(Draw& d) {
    const std::int64_t axis = d.axis(), groups = divisor(d, d.along(axis));
    const Tensor x = d.data();
    const fn::NormOptions options = d.norm_options(d.along(axis));
    kForward(x, groups, axis, options, d.norm_results(groups_shape(d, groups), kSaved));
}

void group_norm_backward(Draw& d) {
    const std::int64_t axis = d.axis(), groups = divisor(d, d.along(axis));
    const Shape statistics = groups_shape(d, groups);
    const Tensor dy = d.data(), x = d.data(), mean = d.statistic(statistics);
    const Tensor rstd = d.statistic(statistics, Values::positive);
    const fn::BackwardOptions options = d.backward_options(d.along(axis));
    fn::group_norm_backward(dy, x, groups, mean, rstd, axis, options, gradients(d, options, axis));
}

void instance_norm(Draw& d) {
    const std::int64_t axis = d.axis();
    const Tensor x = d.data();
    const fn::NormOptions options = d.norm_options(d.along(axis));
    fn::instance_norm(x, axis, options, d.norm_results(d.along(axis), Saved::none));
}

// ---- weights

// The lengths of the named axes, the first of them as many times as there are groups.
Shape times_groups(Shape shape, std::int64_t groups) {
    if (!shape.empty() && groups > 0 && groups <= 64) shape[0] *= static_cast<std::size_t>(groups);
    return shape;
}

struct Filters {
    explicit Filters(Draw& d) : axes(d.axes()) {
        const Shape first(d.shape().begin(), d.shape().begin() + (d.shape().empty() ? 0 : 1));
        groups = d.bytes.chance(64) ? divisor(d, first) : 1;
        // Once as the lengths alone, once with 1 along the others.
        channels = times_groups(d.along(axes), groups);
        lengths = groups == 1 ? d.only(axes) : channels;
    }
    AxisList axes;
    std::int64_t groups;
    Shape channels, lengths;
};

template <auto kForward, bool kHandsOut>
void weight_norm(Draw& d) {
    const Filters f(d);
    const Tensor v = d.data(), g = d.input(f.lengths);
    const double eps = d.number(0);
    kForward(v, g, f.axes, f.groups, eps,
             {d.required_result(d.shape(), d.dtype()), d.statistic_result(f.lengths, kHandsOut), d.maker()});
}

void weight_norm_backward(Draw& d) {
    const Filters f(d);
    const Tensor dw = d.data(), v = d.data(), g = d.input(f.lengths), norm = d.statistic(f.lengths, Values::positive);
    fn::weight_norm_backward(
        dw, v, g, norm, f.axes, f.groups,
        {d.optional_result(d.shape(), d.dtype()), d.optional_result(f.lengths, d.dtype()), d.maker()});
}

void weight_norm_init(Draw& d) {
    const std::int64_t axis = d.axis();
    const Tensor t = d.data();
    fn::weight_norm_init(
        t, axis, {d.optional_result(d.along(axis), d.dtype()), d.optional_result(d.along(axis), d.dtype()), d.maker()});
}

fn::FilterOptions filter_options(Draw& d, const Filters& f) {
    fn::FilterOptions options;
    options.axis = f.axes, options.groups = f.groups;
    options.mode = static_cast<fn::Standardization>(d.bytes.chance(2) ? d.bytes.byte() : d.bytes.below(4));
    if (d.bytes.chance(64)) options.eps = d.number(1e-4);
    options.scale = d.number(1);
    return options;
}

template <auto kForward, bool kHandsOut>
void weight_standardization(Draw& d) {
    const Filters f(d);
    const fn::FilterOptions options = filter_options(d, f);
    const Tensor w = d.data(), gain = d.parameter(f.channels, false);
    kForward(w, gain, options,
             {d.required_result(d.shape(), d.dtype()), d.statistic_result(f.channels, kHandsOut),
              d.statistic_result(f.channels, kHandsOut), d.maker()});
}

void weight_standardization_backward(Draw& d) {
    const Filters f(d);
    const fn::FilterOptions options = filter_options(d, f);
    const Tensor dw = d.data(), w = d.data(), gain = d.parameter(f.channels, false), mean = d.statistic(f.channels);
    const Tensor var = d.statistic(f.channels, Values::positive);
    fn::weight_standardization_backward(
        dw, w, gain, mean, var, options,
        {d.optional_result(d.shape(), d.dtype()), d.optional_result(f.channels, d.dtype()), d.maker()});
}

// ---- statistics and whitening

void moments(Draw& d) {
    const AxisList axes = d.axes();
    const Shape shape = d.without(axes);
    const Tensor x = d.data(), where = d.mask();
    const auto each = [&] { return d.optional_result(shape, DType::f64); };
    fn::MomentResults results;
    results.count = each(), results.mean = each(), results.m2 = each(), results.maker = d.maker();
    fn::moments(x, axes, where, results);
}

void backward_reduce(Draw& d) {
    const std::int64_t axis = d.axis();
    const Shape channels = d.along(axis);
    const Tensor dy = d.data(), x = d.data(), mean = d.statistic(channels);
    const Tensor rstd = d.statistic(channels, Values::positive);
    fn::batch_norm_backward_reduce(
        dy, x, mean, rstd, axis,
        {d.optional_result(channels, DType::f64), d.optional_result(channels, DType::f64), d.maker()});
}

void backward_apply(Draw& d) {
    const std::int64_t axis = d.axis();
    const Shape channels = d.along(axis);
    const Tensor dy = d.data(), x = d.data(), weight = d.parameter(channels, false), mean = d.statistic(channels);
    const Tensor rstd = d.statistic(channels, Values::positive);
    const Tensor sum = d.statistic(channels), product = d.statistic(channels);
    const Tensor count = d.input(d.bytes.chance(128) ? channels : Shape(), DType::f64, Values::positive);
    const double offset = d.number(0);
    fn::GradientResults results;
    if (d.bytes.chance(16)) {
        results = d.gradients(channels);  // refused, unless it is dx alone
    } else {
        results.dx = d.required_result(d.shape(), d.dtype()), results.maker = d.maker();
    }
    fn::batch_norm_backward_apply(dy, x, weight, mean, rstd, sum, product, count, axis, offset, results);
}

void whitening_transform(Draw& d) {
    const Tensor x = d.data();
    const std::size_t samples = d.shape().empty() ? 1 : d.shape()[0],
                      features = d.shape().empty() ? 1 : d.shape().back();
    const std::size_t components = 1 + d.bytes.below(40);
    const auto maybe = [&](std::size_t n) {
        return d.bytes.chance(64) ? Tensor() : d.input({n}, DType::f64, Values::numbers);
    };
    const Tensor mean = maybe(features), matrix = d.input({components, features}, DType::f64, Values::numbers);
    const Tensor shift = maybe(components);
    fn::whitening_transform(x, mean, matrix, shift, d.result({samples, components}, d.dtype()));
}

}  // namespace

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = {
        {"layer_norm", rows<fn::layer_norm, Saved::none>},
        {"layer_norm_forward", rows<fn::layer_norm_forward, Saved::both>},
        {"layer_norm_backward", rows_backward<fn::layer_norm_backward, true, false>},
        {"rms_norm", rows<fn::rms_norm, Saved::none>},
        {"rms_norm_forward", rows<fn::rms_norm_forward, Saved::rstd>},
        {"rms_norm_backward", rows_backward<fn::rms_norm_backward, false, false>},
        {"l2_normalize", l2<fn::l2_normalize, false>},
        {"l2_normalize_forward", l2<fn::l2_normalize_forward, true>},
        {"l2_normalize_backward", l2_backward},
        {"add_layer_norm", residual<fn::add_layer_norm, Saved::none>},
        {"add_layer_norm_forward", residual<fn::add_layer_norm_forward, Saved::both>},
        {"add_layer_norm_backward", rows_backward<fn::add_layer_norm_backward, true, true>},
        {"add_rms_norm", residual<fn::add_rms_norm, Saved::none>},
        {"add_rms_norm_forward", residual<fn::add_rms_norm_forward, Saved::rstd>},
        {"add_rms_norm_backward", rows_backward<fn::add_rms_norm_backward, false, true>},
        {"batch_norm", batch_norm},
        {"batch_norm_forward", channels_forward<fn::batch_norm_forward, false>},
        {"batch_norm_backward", channels_backward<fn::batch_norm_backward, false>},
        {"batch_norm_backward_reduce", backward_reduce},
        {"batch_norm_backward_apply", backward_apply},
        {"group_norm", group_norm<fn::group_norm, Saved::none>},
        {"group_norm_forward", group_norm<fn::group_norm_forward, Saved::both>},
        {"group_norm_backward", group_norm_backward},
        {"instance_norm", instance_norm},
        {"instance_norm_forward", channels_forward<fn::instance_norm_forward, true>},
        {"instance_norm_backward", channels_backward<fn::instance_norm_backward, true>},
        {"weight_norm", weight_norm<fn::weight_norm, false>},
        {"weight_norm_forward", weight_norm<fn::weight_norm_forward, true>},
        {"weight_norm_backward", weight_norm_backward},
        {"weight_norm_init", weight_norm_init},
        {"weight_standardization", weight_standardization<fn::weight_standardization, false>},
        {"weight_standardization_forward", weight_standardization<fn::weight_standardization_forward, true>},
        {"weight_standardization_backward", weight_standardization_backward},
        {"moments", moments},
        {"whitening_transform", whitening_transform},
    };
    return all;
}

}  // namespace fuzz

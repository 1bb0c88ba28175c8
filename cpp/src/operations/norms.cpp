// Batch, layer, RMS, group and instance norm: which axes get which roles, which statistics are made and handed out.
#include <limits>

#include "backward.h"
#include "running.h"

namespace fastnorm {
namespace {

constexpr double kEps = 1e-5, kRmsEps = 1e-6;

Layout checked_rows(const char* name, const Tensor& x, const AxisList& axis) {
    check_data(name, x);
    return rows_layout(name, x, axis);
}

// Normalizes and hands out nothing else.
void infer(ForwardCall& call, const NormResults& results) {
    const Maker maker(results.maker);
    call.check_outs(maker, results.y, "out");
    call.bind(results.y, 0, maker);
    call.bind_rows(results.scale, results.zero_point, 1, maker);
    call.run({}, maker);
    call.store();
}

// Normalizes and hands out the statistics. `update`: running statistics to advance with them.
void train(ForwardCall& call, const NormResults& results, bool centred, const RunningUpdate* update = nullptr) {
    const Maker maker(results.maker);
    const Shape& shape = call.layout().statistics;
    call.reject_rows();
    call.check_outs(maker, results.y, "out");
    call.bind(results.y, 0, maker);
    DoubleResult mean, rstd;
    if (centred) bind_statistic(mean, "mean", results.mean, shape, maker, 1, call.memory());
    bind_statistic(rstd, "rstd", results.rstd, shape, maker, centred ? 2 : 1, call.memory());
    const bool advances = update && *update;
    const std::size_t n = advances ? shape.count() : 0;
    double* const scratch = advances ? call.memory().take<double>(3 * n) : nullptr;
    Saved saved{mean.get(), rstd.get()};
    if (advances) {
        if (!saved.mean) saved.mean = scratch + 2 * n;
        saved.m2 = scratch;
        if (call.is_masked()) saved.count = scratch + n;
    }
    call.run(saved, maker);
    if (advances) update->advance(saved.mean, saved.m2, saved.count);
    mean.store();
    rstd.store();
    call.store();
}

// The results of a residual sum. Statistics where `saved`.
void train_sum(ForwardCall& call, const AddNormResults& results, bool saved, bool centred) {
    const Maker maker(results.maker);
    const Shape& shape = call.layout().statistics;
    call.check_outs(maker, results.y, results.h ? "out[0]" : "out", results.h);
    call.bind(results.y, 0, maker);
    call.bind_sum(results.h, 1, maker);
    if (saved) call.reject_rows();
    call.bind_rows(results.scale, results.zero_point, 2, maker);
    DoubleResult mean, rstd;
    if (saved && centred) bind_statistic(mean, "mean", results.mean, shape, maker, 2, call.memory());
    if (saved) bind_statistic(rstd, "rstd", results.rstd, shape, maker, centred ? 3 : 2, call.memory());
    call.run({mean.get(), rstd.get()}, maker);
    mean.store();
    rstd.store();
    call.store();
}

}  // namespace

double machine_eps(DType dtype) {
    return dtype == DType::f64 ? std::numeric_limits<double>::epsilon()
                               : static_cast<double>(std::numeric_limits<float>::epsilon());
}

// ---- batch norm

void batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, std::int64_t axis,
                const NormOptions& options, const NormResults& results) {
    check_data("x", x);
    const Layout layout = batch_layout("x", x, axis);
    check_per_channel("running_mean", running_mean, layout, x);
    if (!options.mean_only) check_per_channel("running_var", running_var, layout, x);
    ForwardCall call("x", x, {}, layout, Statistic::variance, options, kEps);
    call.reject_rows();
    const Maker maker(results.maker);
    call.check_outs(maker, results.y, "out");
    call.bind(results.y, 0, maker);
    const std::size_t n = layout.parameters.count();
    double *const mean = call.memory().take<double>(2 * n), *const rstd = mean + n;
    const auto gather = [](const Tensor& values, double* to) {
        const std::ptrdiff_t step = stride_of(values, 0);
        gather_values(values, 1, values.shape, &step, to);
    };
    gather(running_mean, mean);
    if (options.mean_only) {
        std::fill_n(rstd, n, 1.0);
    } else {
        gather(running_var, rstd);
        scale_of_variance(rstd, n, call.eps());
    }
    call.run_given(mean, rstd, maker);
    call.store();
}

void batch_norm_forward(const Tensor& x, std::int64_t axis, const NormOptions& options,
                        const RunningStatistics& running, const NormResults& results) {
    check_data("x", x);
    const Layout layout = batch_layout("x", x, axis);
    const RunningUpdate update(running, layout, x, options, results);
    ForwardCall call("x", x, {}, layout, options.mean_only ? Statistic::unit : Statistic::variance, options, kEps);
    train(call, results, true, &update);
}

void batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd, std::int64_t axis,
                         const BackwardOptions& options, const GradientResults& results) {
    check_data("x", x);
    const Statistic statistic = options.mean_only ? Statistic::unit : Statistic::variance;
    BackwardCall("x", dy, {}, x, mean, rstd, batch_layout("x", x, axis), statistic, options).run(results);
}

// ---- layer norm and RMS norm

void layer_norm(const Tensor& x, const AxisList& axis, const NormOptions& options, const NormResults& results) {
    ForwardCall call("x", x, {}, checked_rows("x", x, axis), Statistic::variance, options, kEps);
    infer(call, results);
}

void layer_norm_forward(const Tensor& x, const AxisList& axis, const NormOptions& options, const NormResults& results) {
    ForwardCall call("x", x, {}, checked_rows("x", x, axis), Statistic::variance, options, kEps);
    train(call, results, true);
}

void layer_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                         const AxisList& axis, const BackwardOptions& options, const GradientResults& results) {
    BackwardCall("x", dy, {}, x, mean, rstd, checked_rows("x", x, axis), Statistic::variance, options).run(results);
}

void rms_norm(const Tensor& x, const AxisList& axis, const NormOptions& options, const NormResults& results) {
    ForwardCall call("x", x, {}, checked_rows("x", x, axis), Statistic::mean_square, options, kRmsEps);
    infer(call, results);
}

void rms_norm_forward(const Tensor& x, const AxisList& axis, const NormOptions& options, const NormResults& results) {
    ForwardCall call("x", x, {}, checked_rows("x", x, axis), Statistic::mean_square, options, kRmsEps);
    train(call, results, false);
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& rstd, const AxisList& axis,
                       const BackwardOptions& options, const GradientResults& results) {
    BackwardCall("x", dy, {}, x, {}, rstd, checked_rows("x", x, axis), Statistic::mean_square, options).run(results);
}

// ---- residual sums

namespace {

void add_norm(const Tensor& x, const Tensor& residual, const AxisList& axis, Statistic statistic,
              const NormOptions& options, const AddNormResults& results, bool saved) {
    const bool centred = is_centred(statistic);
    const Layout layout = checked_rows("x", x, axis);
    check_like("residual", residual, x);
    ForwardCall call("x", x, residual, layout, statistic, options, centred ? kEps : kRmsEps);
    train_sum(call, results, saved, centred);
}

}  // namespace

void add_layer_norm(const Tensor& x, const Tensor& residual, const AxisList& axis, const NormOptions& options,
                    const AddNormResults& results) {
    add_norm(x, residual, axis, Statistic::variance, options, results, false);
}

void add_layer_norm_forward(const Tensor& x, const Tensor& residual, const AxisList& axis, const NormOptions& options,
                            const AddNormResults& results) {
    add_norm(x, residual, axis, Statistic::variance, options, results, true);
}

void add_layer_norm_backward(const Tensor& dy, const Tensor& dh, const Tensor& h, const Tensor& mean,
                             const Tensor& rstd, const AxisList& axis, const BackwardOptions& options,
                             const GradientResults& results) {
    BackwardCall("h", dy, dh, h, mean, rstd, checked_rows("h", h, axis), Statistic::variance, options).run(results);
}

void add_rms_norm(const Tensor& x, const Tensor& residual, const AxisList& axis, const NormOptions& options,
                  const AddNormResults& results) {
    add_norm(x, residual, axis, Statistic::mean_square, options, results, false);
}

void add_rms_norm_forward(const Tensor& x, const Tensor& residual, const AxisList& axis, const NormOptions& options,
                          const AddNormResults& results) {
    add_norm(x, residual, axis, Statistic::mean_square, options, results, true);
}

void add_rms_norm_backward(const Tensor& dy, const Tensor& dh, const Tensor& h, const Tensor& rstd,
                           const AxisList& axis, const BackwardOptions& options, const GradientResults& results) {
    BackwardCall("h", dy, dh, h, {}, rstd, checked_rows("h", h, axis), Statistic::mean_square, options).run(results);
}

// ---- group and instance norm

namespace {

Layout checked_groups(const Tensor& x, std::int64_t num_groups, std::int64_t axis) {
    check_data("x", x);
    return groups_layout(x, num_groups, axis);
}

Layout checked_instances(const Tensor& x, std::int64_t axis) {
    check_data("x", x);
    return instances_layout(x, axis);
}

}  // namespace

void group_norm(const Tensor& x, std::int64_t num_groups, std::int64_t axis, const NormOptions& options,
                const NormResults& results) {
    ForwardCall call("x", x, {}, checked_groups(x, num_groups, axis), Statistic::variance, options, kEps);
    infer(call, results);
}

void group_norm_forward(const Tensor& x, std::int64_t num_groups, std::int64_t axis, const NormOptions& options,
                        const NormResults& results) {
    ForwardCall call("x", x, {}, checked_groups(x, num_groups, axis), Statistic::variance, options, kEps);
    train(call, results, true);
}

void group_norm_backward(const Tensor& dy, const Tensor& x, std::int64_t num_groups, const Tensor& mean,
                         const Tensor& rstd, std::int64_t axis, const BackwardOptions& options,
                         const GradientResults& results) {
    BackwardCall("x", dy, {}, x, mean, rstd, checked_groups(x, num_groups, axis), Statistic::variance, options)
        .run(results);
}

void instance_norm(const Tensor& x, std::int64_t axis, const NormOptions& options, const NormResults& results) {
    ForwardCall call("x", x, {}, checked_instances(x, axis), Statistic::variance, options, kEps);
    infer(call, results);
}

void instance_norm_forward(const Tensor& x, std::int64_t axis, const NormOptions& options,
                           const RunningStatistics& running, const NormResults& results) {
    const Layout layout = checked_instances(x, axis);
    const RunningUpdate update(running, layout, x, options, results);
    ForwardCall call("x", x, {}, layout, Statistic::variance, options, kEps);
    train(call, results, true, &update);
}

void instance_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                            std::int64_t axis, const BackwardOptions& options, const GradientResults& results) {
    BackwardCall("x", dy, {}, x, mean, rstd, checked_instances(x, axis), Statistic::variance, options).run(results);
}

}  // namespace fastnorm

// Division by the Euclidean norm: RMS norm with a sum in place of the mean square, and eps as the least divisor.
#include "backward.h"
#include "running.h"

namespace fastnorm {
namespace {

Layout checked_rows(const Tensor& x, const AxisList& axis) {
    check_data("x", x);
    return rows_layout("x", x, axis);
}

void normalize(const Tensor& x, const AxisList& axis, double eps, const L2Results& results, bool saved) {
    NormOptions options;
    options.eps = eps;
    ForwardCall call("x", x, {}, checked_rows(x, axis), Statistic::clamped_norm, options, 0.0);
    const Maker maker(results.maker);
    call.check_outs(maker, results.y, "out");
    call.bind(results.y, 0, maker);
    DoubleResult norm;
    const Shape& shape = call.layout().statistics;
    if (saved) bind_statistic(norm, "norm", results.norm, shape, maker, 1, call.memory());
    const std::size_t n = norm ? shape.count() : 0;
    Saved statistics;
    statistics.m2 = norm.get();
    if (norm) statistics.rstd = call.memory().take<double>(n);
    call.run(statistics, maker);
    for (std::size_t i = 0; i < n; ++i) {
        // The root of a sum of squares that double cannot hold is the inverse of the scale, unless that is of eps.
        double& value = norm.get()[i];
        const double divisor = 1.0 / statistics.rstd[i];
        value = keeps_squares(value) || !(divisor > eps && std::isfinite(divisor)) ? std::sqrt(value) : divisor;
    }
    norm.store();
    call.store();
}

}  // namespace

void l2_normalize(const Tensor& x, const AxisList& axis, double eps, const L2Results& results) {
    normalize(x, axis, eps, results, false);
}

void l2_normalize_forward(const Tensor& x, const AxisList& axis, double eps, const L2Results& results) {
    normalize(x, axis, eps, results, true);
}

void l2_normalize_backward(const Tensor& dy, const Tensor& x, const Tensor& norm, const AxisList& axis, double eps,
                           const InputGradient& results) {
    const Layout layout = checked_rows(x, axis);
    check_like("dy", dy, x);
    check_statistic("norm", norm, layout);
    check_number("eps", eps);
    CallMemory memory;
    const Doubles norms(norm, memory);
    const std::size_t n = layout.statistics.count();
    double *const rstd = memory.take<double>(2 * n), *const slope = rstd + n;
    for (std::size_t i = 0; i < n; ++i) {
        const double value = norms.get()[i];
        const bool is_clamped = value < eps;
        const double divisor = is_clamped ? eps : value;
        rstd[i] = divisor == 0 ? 0.0 : 1.0 / divisor;
        slope[i] = is_clamped ? 0.0 : 1.0;
    }
    const BackwardOptions options;
    const Tensor scales(rstd, DType::f64, layout.statistics.size(), layout.statistics.data());
    BackwardCall call("x", dy, {}, x, {}, scales, layout, Statistic::clamped_norm, options);
    call.set_slope(slope);
    call.run({results.dx, {}, {}, {true, false, false}, results.maker});
}

}  // namespace fastnorm

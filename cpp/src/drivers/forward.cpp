// The public forward calls: they plan and hand over to the driver of the plan's orientation.
#include <algorithm>
#include <vector>

#include "drivers/columns.h"
#include "drivers/driver_call.h"
#include "kernels/dispatch.h"
#include "masked.h"
#include "shape/space.h"

namespace fastnorm {
namespace {

// With the sum's operands, x is made first.
void statistics(const Space& space, Input x, const Sum* sum, Output y, const Parameters& parameters, Scale scale,
                Saved saved) {
    if (count_elements(space) == 0) {
        // Groups without elements have no statistics.
        for (double* values : {saved.mean, saved.rstd, saved.m2}) {
            if (values) std::fill_n(values, count_groups(space), std::nan(""));
        }
        return;
    }
    const Input a = sum ? sum->a : Input{nullptr, x.strides}, b = sum ? sum->b : Input{nullptr, x.strides};
    const OutputStrides y_strides(space, y, parameters);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y.data ? y_strides.get() : x.strides, a.strides, b.strides});
        const Affine<Compute<T>> affine(axes, parameters);
        const std::size_t size = count_elements(space) * sizeof(T);
        const Plan plan = make_plan(axes);
        // Columns are read twice, so that a cache which they just fit is better left to them.
        const bool stream = outgrows_caches(Traffic::forward, 2 * size, plan.columns ? 1 : threads_for(size));
        const Call<T> call{kernels().of<T>(),
                           plan,
                           Bases{bytes(x.data), bytes(y.data), bytes(a.data), bytes(b.data)},
                           affine,
                           scale,
                           threads_for(size),
                           stream,
                           sum != nullptr};
        if (!call.plan.columns) {
            span_forward(call, saved, y.data != nullptr);
            return;
        }
        const SpreadAffine<Compute<T>> spread(affine, count_parameters(space), call.plan.spread);
        column_forward(call.with(spread.get()), saved, y.data != nullptr);
    });
}

}  // namespace

void forward(const Space& space, Input x, Output y, Parameters parameters, Scale scale, Saved saved, Input where) {
    if (where.data && count_elements(space) > 0) {
        masked_forward(space, x, y, parameters, scale, saved, where);
    } else {
        statistics(space, x, nullptr, y, parameters, scale, saved);
    }
}

void add_forward(const Space& space, const Sum& sum, Output y, Parameters parameters, Scale scale, Saved saved) {
    statistics(space, {sum.x.data, sum.x.strides}, &sum, y, parameters, scale, saved);
}

void moments(const Space& space, Input x, double* mean, double* m2, Input where, double* count) {
    forward(space, x, {}, {}, {}, {mean, nullptr, m2, count}, where);
}

namespace {

// One elementwise step over the whole array with given statistics.
void sweep_all(const Space& space, Step step, Input x, Input dy, Output y, const Parameters& parameters,
               const double* mean, const double* rstd) {
    if (count_elements(space) == 0) return;
    const OutputStrides y_strides(space, y, parameters);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y_strides.get(), dy.data ? dy.strides : x.strides, x.strides});
        const Affine<Compute<T>> given(axes, parameters);
        const Plan plan = make_plan(axes);
        const std::size_t size = count_elements(space) * sizeof(T), width = plan.width;
        const bool stream = dy.data ? outgrows_caches(Traffic::backward, 3 * size, threads_for(2 * size))
                                    : outgrows_caches(Traffic::once, 2 * size, threads_for(2 * size));
        const Bases bases{bytes(x.data), bytes(y.data), bytes(dy.data), nullptr};
        if (width == 1 || plan.cells > 1) {
            const std::size_t n = count_groups(space);
            Coefficients<Compute<T>> stats(n);
            stats.set_all(n, mean, rstd);
            const Planes<T> planes(kernels().of<T>(), axes, given, step, stream);
            planes.run_parallel(bases, stats, threads_for(size));
            return;
        }
        // Short runs that share statistics, as columns with statistics of their own.
        const Columns columns(plan);
        const SpreadAffine<Compute<T>> spread(given, count_parameters(space), plan.spread);
        const std::size_t lanes = columns.lanes(), outers = plan.kept.count();
        Coefficients<Compute<T>> stats(outers * lanes);
        for (std::size_t outer = 0; outer < outers; ++outer) {
            const std::ptrdiff_t first = plan.kept.offset(outer).stat;
            stats.set_strided(outer * lanes, columns.groups(), width, mean ? mean + first : nullptr, rstd + first,
                              plan.lane.stat);
        }
        const Planes<T> planes(kernels().of<T>(), columns.box(lanes), spread.get(), step, stream);
        planes.run_groups(bases, stats, plan.kept, lanes, threads_for(size));
    });
}

}  // namespace

void apply(const Space& space, Input x, Output y, Parameters parameters, const double* mean, const double* rstd) {
    sweep_all(space, Step::normalize, x, {}, y, parameters, mean, rstd);
}

void activation_gradient(const Space& space, Input dy, Input x, Output dz, Parameters parameters, const double* mean,
                         const double* rstd) {
    sweep_all(space, Step::activation_gradient, x, dy, dz, parameters, mean, rstd);
}

}  // namespace fastnorm

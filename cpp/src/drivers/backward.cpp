// The public backward call: it chooses the driver by orientation and by where the parameters vary.
#include <algorithm>

#include "drivers/backward_call.h"
#include "kernels/dispatch.h"
#include "masked.h"
#include "shape/space.h"

namespace fastnorm {

template <class T>
void sum_parameters(const GradientCall<T>& gradient, const Axes& axes, std::vector<Cell>& cells) {
    if (!gradient.wants_parameters()) return;
    // The axes of the parameters, whose `stat` counts cells, and those that share a parameter.
    Axes own, shared;
    std::ptrdiff_t width = 1;
    for (std::size_t i = axes.size(); i-- > 0;) {
        if (axes[i].role == reduced_param) width *= static_cast<std::ptrdiff_t>(axes[i].n);
    }
    std::ptrdiff_t inside = width;
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (axes[i].role == Role::reduced) continue;
        Axis axis = axes[i];
        axis.stride.fill(0);
        if (axis.role == reduced_param) inside /= static_cast<std::ptrdiff_t>(axis.n);
        axis.stat = axis.role == reduced_param ? inside : axis.stat * width;
        (axis.is_param() ? own : shared).push(axis);
    }
    own.merge(false);
    Axis inner = kNoAxis;
    if (own.size() > 0) inner = own[own.size() - 1], own.erase(own.size() - 1);
    std::vector<std::ptrdiff_t> groups;
    shared.for_each([&](const Offset& group) { groups.push_back(group.stat); });
    own.for_each([&](const Offset& first) {
        Cell* const cell = cells.data() + first.stat;
        // The tree of statistics.h, all parameters side by side.
        for (std::size_t step = 1; step < groups.size(); step *= 2) {
            for (std::size_t g = 0; g + step < groups.size(); g += 2 * step) {
                Cell* to = cell + groups[g];
                const Cell* from = cell + groups[g + step];
                for (std::size_t i = 0; i < inner.n; ++i, to += inner.stat, from += inner.stat) {
                    *to = merge(*to, *from);
                }
            }
        }
        const Cell* total = cell + groups[0];
        std::ptrdiff_t param = first.param;
        for (std::size_t i = 0; i < inner.n; ++i, total += inner.stat, param += inner.param) {
            gradient.add_parameter(param, *total);
        }
    });
}

template void sum_parameters(const GradientCall<float>&, const Axes&, std::vector<Cell>&);
template void sum_parameters(const GradientCall<double>&, const Axes&, std::vector<Cell>&);
template void sum_parameters(const GradientCall<BF16>&, const Axes&, std::vector<Cell>&);
template void sum_parameters(const GradientCall<F16>&, const Axes&, std::vector<Cell>&);

namespace {

// Whether a group's statistics are beyond the compute type.
template <class T>
bool any_extreme(const GradientCall<T>& gradient, std::size_t groups) {
    for (std::size_t i = 0; i < groups; ++i) {
        if (is_extreme<Compute<T>>(gradient.mean ? gradient.mean[i] : 0.0, gradient.rstd[i])) return true;
    }
    return false;
}

template <class T>
void run(GradientCall<T>& gradient, std::size_t groups, std::size_t parameters) {
    const Plan& plan = gradient.call.plan;
    // Reduced axes with parameters and without, kept ones with them, and rows with them.
    bool elements = false, cells = false, owners = false, rows = false;
    for (std::size_t i = 0; i < plan.axes.size(); ++i) {
        elements |= plan.axes[i].role == reduced_param;
        cells |= plan.axes[i].role == reduced;
        owners |= plan.axes[i].role == Role::param;
    }
    for (std::size_t i = 0; i < plan.reducing.size(); ++i) rows |= plan.reducing[i].is_param();
    if (plan.columns && !rows) {
        const SpreadAffine<Compute<T>> spread(gradient.call.affine, parameters, plan.spread);
        column_gradients<T>(
            {gradient.call.with(spread.get()), gradient.mean, gradient.rstd, gradient.out, gradient.slope});
        return;
    }
    if (plan.columns && !cells && !owners && !any_extreme(gradient, groups)) {
        column_row_gradients(gradient);
        return;
    }
    gradient.call.plan = make_plan(Axes(plan.axes), false);
    if (elements && !cells) {
        span_row_gradients(gradient);
    } else {
        span_cell_gradients(gradient);
    }
}

}  // namespace

void backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training, const double* mean,
              const double* rstd, Gradients gradients, const double* slope, Input where, const double* count) {
    const std::size_t parameters = count_parameters(space);
    for (double* sums : {gradients.dweight, gradients.dbias}) {
        if (sums) std::fill_n(sums, parameters, 0.0);
    }
    const std::size_t elements = count_elements(space);
    if (elements == 0) return;
    if (where.data) {
        masked_backward(space, dy, x, weight, scale, training, mean, rstd, gradients, where, count);
        return;
    }
    // Where the statistics were constants dx = dy * weight * rstd, made last, since dx may be dy.
    const Output dx = training ? gradients.dx : Output{}, constant = training ? Output{} : gradients.dx;
    gradients.dx = dx;
    if (dx.data || gradients.dweight || gradients.dbias) {
        with_type(space.dtype, [&](auto type) {
            using T = decltype(type);
            using C = Compute<T>;
            Constants<C> constants;
            const void* w = weight;
            if (!w) w = constants.ones(parameters);
            const Input added = gradients.added;
            Axes axes = make_axes(space, {x.strides, dx.data ? dx.strides : x.strides, dy.strides,
                                          added.data ? added.strides : x.strides});
            const Affine<C> affine(axes, {w, w});
            const Bases bases{bytes(x.data), bytes(dx.data), bytes(dy.data), bytes(added.data)};
            const std::size_t size = elements * sizeof(T);
            GradientCall<T> gradient{
                {kernels().of<T>(), make_plan(axes), bases, affine, scale, threads_for(2 * size),
                 outgrows_caches(Traffic::backward, (added.data ? 4 : 3) * size, threads_for(2 * size)), false},
                mean,
                rstd,
                gradients,
                slope};
            run(gradient, count_groups(space), parameters);
        });
    }
    if (constant.data) apply(space, dy, constant, {weight, nullptr}, nullptr, rstd);
}

void input_gradient(const Space& space, Input dy, Input x, Output dx, const void* weight, const double* mean,
                    const double* rstd, const double* mean_g, const double* mean_gx) {
    const std::size_t groups = count_groups(space), elements = count_elements(space);
    if (elements == 0) return;
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        Axes axes = make_axes(space, {x.strides, dx.strides, dy.strides, x.strides});
        const Affine<C> affine(axes, {weight, nullptr});
        Coefficients<C> stats(groups);
        for (std::size_t i = 0; i < groups; ++i) {
            stats.set(i, mean ? mean[i] : 0.0, 0.0, rstd[i]);
            stats.set_gradient(i, mean_g[i], mean_gx[i]);
        }
        const Bases bases{bytes(x.data), bytes(dx.data), bytes(dy.data), nullptr};
        const Planes<T> planes(kernels().of<T>(), axes, affine, Step::input_gradient,
                               outgrows_caches(Traffic::backward, 3 * elements * sizeof(T), 1));
        planes.run_parallel(bases, stats, threads_for(2 * elements * sizeof(T)));
    });
}

}  // namespace fastnorm

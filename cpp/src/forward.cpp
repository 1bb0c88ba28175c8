// The public forward calls: they plan and hand over to the driver of the plan's orientation.
#include <algorithm>

#include "call.h"
#include "dispatch.h"

namespace fastnorm {
namespace {

Bases bases_of(const void* x, void* y, const void* dy) {
    return {static_cast<char*>(const_cast<void*>(x)), static_cast<char*>(y), static_cast<char*>(const_cast<void*>(dy))};
}

std::size_t elements(const Space& space) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < space.ndim; ++i) n *= space.shape[i];
    return n;
}

std::size_t groups(const Space& space) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < space.ndim; ++i) n *= space.roles[i] & reduced ? 1 : space.shape[i];
    return n;
}

void statistics(const Space& space, Input x, Output y, Parameters parameters, Scale scale, Saved saved) {
    if (elements(space) == 0) {
        // Groups without elements have no statistics.
        for (double* values : {saved.mean, saved.rstd, saved.m2}) {
            if (values) std::fill_n(values, groups(space), std::nan(""));
        }
        return;
    }
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y.data ? y.strides : x.strides, x.strides});
        const Affine<Compute<T>> affine(axes, parameters.weight, parameters.bias);
        const Call<T> call{kernels().of<T>(),
                           make_plan(axes),
                           bases_of(x.data, y.data, nullptr),
                           affine,
                           scale,
                           threads_for(elements(space) * sizeof(T)),
                           outgrows_caches(elements(space) * sizeof(T))};
        (call.plan.columns ? column_forward<T> : span_forward<T>)(call, saved, y.data != nullptr);
    });
}

}  // namespace

void forward(const Space& space, Input x, Output y, Parameters parameters, Scale scale, Saved saved) {
    statistics(space, x, y, parameters, scale, saved);
}

void moments(const Space& space, Input x, double* mean, double* m2) {
    statistics(space, x, {}, {}, {}, {mean, nullptr, m2});
}

void apply(const Space& space, Input x, Output y, Parameters parameters, const double* mean, const double* rstd) {
    if (elements(space) == 0) return;
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y.strides, x.strides});
        const Affine<Compute<T>> affine(axes, parameters.weight, parameters.bias);
        Coefficients<Compute<T>> stats(groups(space));
        for (std::size_t i = 0; i < groups(space); ++i) stats.set(i, mean ? mean[i] : 0.0, 0.0, rstd[i]);
        const Planes<T> planes(kernels().of<T>(), axes, affine, false, outgrows_caches(elements(space) * sizeof(T)));
        planes.run_parallel(bases_of(x.data, y.data, nullptr), stats, threads_for(elements(space) * sizeof(T)));
    });
}

}  // namespace fastnorm

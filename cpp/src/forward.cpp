// The public forward calls: they plan and hand over to the driver of the plan's orientation.
#include <algorithm>
#include <vector>

#include "call.h"
#include "dispatch.h"

namespace fastnorm {
namespace {

char* bytes(const void* data) { return static_cast<char*>(const_cast<void*>(data)); }

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

// Strides of a result in bytes, which standard strides, those of the data type, do not fit.
class OutputStrides {
public:
    OutputStrides(const Space& space, Output y, const Parameters& parameters) : strides_(y.strides) {
        if (strides_ || !parameters.quantization) return;
        own_.resize(space.ndim);
        std::ptrdiff_t step = 1;
        for (std::size_t i = space.ndim; i-- > 0; step *= static_cast<std::ptrdiff_t>(space.shape[i])) own_[i] = step;
        strides_ = own_.data();
    }
    const std::ptrdiff_t* get() const { return strides_; }

private:
    std::vector<std::ptrdiff_t> own_;
    const std::ptrdiff_t* strides_;
};

// With the sum's operands, x is made first.
void statistics(const Space& space, Input x, const Sum* sum, Output y, const Parameters& parameters, Scale scale,
                Saved saved) {
    if (elements(space) == 0) {
        // Groups without elements have no statistics.
        for (double* values : {saved.mean, saved.rstd, saved.m2}) {
            if (values) std::fill_n(values, groups(space), std::nan(""));
        }
        return;
    }
    const Input a = sum ? sum->a : Input{nullptr, x.strides}, b = sum ? sum->b : Input{nullptr, x.strides};
    const OutputStrides y_strides(space, y, parameters);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y.data ? y_strides.get() : x.strides, a.strides, b.strides});
        const Affine<Compute<T>> affine(axes, parameters);
        const std::size_t size = elements(space) * sizeof(T);
        const Call<T> call{kernels().of<T>(),
                           make_plan(axes),
                           Bases{bytes(x.data), bytes(y.data), bytes(a.data), bytes(b.data)},
                           affine,
                           scale,
                           threads_for(size),
                           outgrows_caches(size),
                           sum != nullptr};
        (call.plan.columns ? column_forward<T> : span_forward<T>)(call, saved, y.data != nullptr);
    });
}

}  // namespace

void forward(const Space& space, Input x, Output y, Parameters parameters, Scale scale, Saved saved) {
    statistics(space, x, nullptr, y, parameters, scale, saved);
}

void add_forward(const Space& space, const Sum& sum, Output y, Parameters parameters, Scale scale, Saved saved) {
    statistics(space, {sum.x.data, sum.x.strides}, &sum, y, parameters, scale, saved);
}

void moments(const Space& space, Input x, double* mean, double* m2) {
    statistics(space, x, nullptr, {}, {}, {}, {mean, nullptr, m2});
}

namespace {

// One elementwise step over the whole array with given statistics.
void sweep_all(const Space& space, Step step, Input x, Input dy, Output y, const Parameters& parameters,
               const double* mean, const double* rstd) {
    if (elements(space) == 0) return;
    const OutputStrides y_strides(space, y, parameters);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        Axes axes = make_axes(space, {x.strides, y_strides.get(), dy.data ? dy.strides : x.strides, x.strides});
        const Affine<Compute<T>> affine(axes, parameters);
        Coefficients<Compute<T>> stats(groups(space));
        for (std::size_t i = 0; i < groups(space); ++i) stats.set(i, mean ? mean[i] : 0.0, 0.0, rstd[i]);
        const std::size_t size = elements(space) * sizeof(T);
        const Planes<T> planes(kernels().of<T>(), axes, affine, step, outgrows_caches(size));
        planes.run_parallel({bytes(x.data), bytes(y.data), bytes(dy.data), nullptr}, stats, threads_for(size));
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

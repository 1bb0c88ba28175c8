#include "masked.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "drivers/masked_gradients.h"
#include "drivers/masked_parts.h"
#include "drivers/masked_sums.h"
#include "kernels/dispatch.h"
#include "shape/space.h"

namespace fastnorm {
namespace {

// Every part by one thread, or a single one by all.
template <class F>
void for_parts(const MaskedParts& parts, int threads, F&& f) {
    const int own = parts.count() > 1 ? 1 : threads;
    parallel_for(parts.count(), threads, [&](std::size_t i) { f(i, parts.part(i), own); });
}

// Writes a part.
template <class T>
void sweep(const MaskedPart& part, const Affine<Compute<T>>& affine, Step step, bool stream, const Bases& bases,
           const Coefficients<Compute<T>>& stats, int threads) {
    const Planes<T> planes(kernels().of<T>(), part.sweep, affine, step, stream);
    if (threads > 1) {
        planes.run_parallel(bases, stats, threads);
    } else {
        planes.run(bases, stats, 0, planes.units(), 0, part.first.param);
    }
}

// The scales of groups; 0 where nothing counts.
template <class T>
void set_scales(const Kernels<T>& kernels, const Scale& scale, const std::vector<Moments>& groups, double* to) {
    bool ordinary = is_mean_of_squares(scale.statistic);
    for (const Moments& own : groups) ordinary &= own.exponent == 0;
    const auto variance = [](const Moments& m) { return m.n == 0 ? HUGE_VAL : m.m2 * (1.0 / m.n); };
    const auto any = [&](const Moments& m) { return m.n == 0 ? 0.0 : rstd(scale, m); };
    if (ordinary) {
        std::transform(groups.begin(), groups.end(), to, variance);
        kernels.inverse_root(to, groups.size(), scale.eps);
    } else {
        std::transform(groups.begin(), groups.end(), to, any);
    }
}

template <class T>
void forward_of(const Space& space, Axes& axes, const Bases& all, const Parameters& parameters, Scale scale,
                Saved saved) {
    using C = Compute<T>;
    const Affine<C> affine(axes, parameters);
    const std::size_t size = count_elements(space) * sizeof(T);
    const MaskedParts parts(axes, size, 1);
    for_parts(parts, threads_for(2 * size), [&](std::size_t, const MaskedPart& part, int threads) {
        const Bases bases = at(all, part.first);
        const MaskedWalk walk(part.axes, parts.stretches());
        const MaskedMoments<T> moments(kernels().of<T>(), walk, is_centred(scale.statistic));
        const std::vector<Moments> groups = moments.groups(bases, part.groups.size(), threads);
        Coefficients<C> stats(groups.size());
        set_scales(kernels().of<T>(), scale, groups, stats.rstd);
        for (std::size_t i = 0; i < groups.size(); ++i) {
            const Moments own = unscaled(groups[i]);
            stats.set(i, own.origin, own.rest, stats.rstd[i]);
            if (!saved.any() && !saved.count) continue;
            const std::ptrdiff_t number = part.groups[i];
            save(saved, number, stats.mean[i], stats.rstd[i], own.m2);
            if (saved.count) saved.count[number] = own.n;
        }
        if (!bases[kY]) return;
        sweep<T>(part, affine, Step::normalize, outgrows_caches(Traffic::forward, 2 * size, threads_for(2 * size)),
                 {bases[kX], bases[kY], nullptr, nullptr}, stats, threads);
    });
}

// What the parts of a backward call share.
template <class T>
struct MaskedBackward {
    using C = Compute<T>;

    const Space& space;
    const Affine<C>& affine;
    Scale scale;
    bool training;
    const double *mean, *rstd, *count;
    const Gradients& out;

    // Writes sums that come in the order of these numbers.
    static void store(const OwnNumbers& numbers, const ExactSums& sums, double* to) {
        if (!to) return;
        if (numbers.in_order()) return sums.values(numbers.size(), to + numbers[0]);
        for (std::size_t i = 0; i < numbers.size(); ++i) to[numbers[i]] = sums.value(i);
    }
    void store(const OwnNumbers& numbers, const ExactPairs& sums) const {
        store(numbers, sums.a, out.dbias);
        store(numbers, sums.b, out.dweight);
    }

    // Returns the sums of the part's parameters.
    ExactPairs part(const MaskedPart& part, const Bases& bases, std::size_t stretches, int threads) const {
        const std::size_t size = count_elements(space) * sizeof(T), groups = part.groups.size();
        Coefficients<C> stats(groups);
        for (std::size_t i = 0; i < groups; ++i) {
            stats.set(i, mean ? mean[part.groups[i]] : 0.0, 0.0, rstd[part.groups[i]]);
        }
        std::vector<C> own_weights;
        const C* weights = affine.w + part.parameters[0];
        if (!part.parameters.in_order()) {
            own_weights.resize(part.parameters.size());
            for (std::size_t i = 0; i < own_weights.size(); ++i) own_weights[i] = affine.w[part.parameters[i]];
            weights = own_weights.data();
        }
        const MaskedWalk walk(part.axes, stretches);
        MaskedGradients<T> sums(kernels().of<T>(), walk, stats, groups, {weights, part.parameters.size()},
                                training && out.dx.data, out.dweight || out.dbias);
        sums.run(bases, threads);
        if (!out.dx.data) return sums.parameters();
        for (std::size_t i = 0; i < groups; ++i) {
            const double n = training ? std::max(count[part.groups[i]], 1.0) : 1.0;
            stats.set_gradient(i, training && is_centred(scale.statistic) ? sums.groups().a.value(i) / n : 0.0,
                               training && has_slope(scale.statistic) ? sums.groups().b.value(i) / n : 0.0);
        }
        sweep<T>(part, affine, Step::masked_gradient, outgrows_caches(Traffic::backward, 3 * size, threads), bases,
                 stats, threads);
        return sums.parameters();
    }

    void run(const Axes& axes, const Bases& all) const {
        const std::size_t size = count_elements(space) * sizeof(T);
        const MaskedParts parts(axes, size, count_parameters(space));
        const bool own = parts.own_parameters();
        // The parameters' sums of every part, in the order of the parts.
        std::vector<std::optional<ExactPairs>> shared(own ? 0 : parts.count());
        for_parts(parts, threads_for(3 * size), [&](std::size_t number, const MaskedPart& some, int threads) {
            ExactPairs sums = part(some, at(all, some.first), parts.stretches(), threads);
            if (own) {
                store(some.parameters, sums);
            } else {
                shared[number] = std::move(sums);
            }
        });
        if (own) return;
        ExactPairs totals(count_parameters(space));
        for (std::size_t number = 0; number < parts.count(); ++number) {
            const OwnNumbers numbers = parts.part(number).parameters;
            for (std::size_t i = 0; i < numbers.size(); ++i) {
                totals.add(static_cast<std::size_t>(numbers[i]), *shared[number], i);
            }
        }
        store(OwnNumbers(count_parameters(space)), totals);
    }
};

}  // namespace

void masked_forward(const Space& space, Input x, Output y, const Parameters& parameters, Scale scale, Saved saved,
                    Input where) {
    const OutputStrides y_strides(space, y, parameters);
    const MaskStrides mask(space, where);
    with_type(space.dtype, [&](auto type) {
        Axes axes = make_axes(space, {x.strides, y.data ? y_strides.get() : x.strides, x.strides, mask.get()});
        forward_of<decltype(type)>(space, axes, {bytes(x.data), bytes(y.data), nullptr, bytes(where.data)}, parameters,
                                   scale, saved);
    });
}

void masked_backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                     const double* mean, const double* rstd, const Gradients& out, Input where, const double* count) {
    const MaskStrides mask(space, where);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        Axes axes = make_axes(space, {x.strides, out.dx.data ? out.dx.strides : x.strides, dy.strides, mask.get()});
        Constants<C> constants;
        const void* w = weight;
        if (!w) w = constants.ones(count_parameters(space));
        const Affine<C> affine(axes, {w, w});
        MaskedBackward<T>{space, affine, scale, training, mean, rstd, count, out}.run(
            axes, {bytes(x.data), bytes(out.dx.data), bytes(dy.data), bytes(where.data)});
    });
}

}  // namespace fastnorm

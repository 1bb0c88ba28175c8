#include "masked.h"

#include <cstdlib>

#include "dispatch.h"
#include "space.h"

namespace fastnorm {

MaskedWalk::MaskedWalk(Axes axes) {
    axes.merge(false);
    std::size_t best = axes.size();
    for (std::size_t i = axes.size(); i-- > 0;) {
        const auto step = std::abs(axes[i].stride[kX]);
        if (best == axes.size() || (step != 0 && step < std::abs(axes[best].stride[kX]))) best = i;
    }
    if (best == axes.size()) return;
    lanes_ = axes[best];
    axes.erase(best);
    outer_ = axes;
    if (outer_.size() > 0) first_ = outer_[0].n;
    stretches_ = std::min(kMost, first_);
}

namespace {

template <class T>
double read(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return widen(value);
}

// Mean as origin + rest, as in Moments.
struct Group {
    double count, origin, rest, m2;
};

template <class T>
class Masked {
public:
    using C = Compute<T>;

    Masked(const Space& space, const Axes& axes, const Bases& bases)
        : walk_(axes), bases_(bases), groups_(count_groups(space)), threads_(threads_for(count_elements(space) * 16)) {}

    // Sums over every group that counts: of terms(x, group).
    template <class Terms>
    MaskedSums group_sums(const Terms& terms) const {
        MaskedSums sums(walk_, groups_);
        walk_.rows(threads_, [&](std::size_t stretch, const Offset& offset, const Axis& lanes) {
            const Bases row = at(bases_, offset);
            sums.add_row(stretch, offset.stat, lanes.stat, lanes.n, counts(row, lanes), [&](std::size_t i) {
                const auto lane = static_cast<std::ptrdiff_t>(i);
                return terms(read<T>(row[kX] + lane * lanes.stride[kX]), offset.stat + lane * lanes.stat);
            });
        });
        return sums;
    }

    std::vector<Group> statistics(bool centred) const {
        std::vector<Group> groups(groups_);
        const MaskedSums first = group_sums([](double x, std::ptrdiff_t) { return std::pair<double, double>(1.0, x); });
        for (std::size_t i = 0; i < groups_; ++i) {
            const ExactPair sums = first.total(i);
            groups[i].count = sums.a.value();
            groups[i].origin = centred && groups[i].count > 0 ? sums.b.value() / groups[i].count : 0.0;
        }
        const MaskedSums second = group_sums([&](double x, std::ptrdiff_t i) {
            const double d = x - groups[static_cast<std::size_t>(i)].origin;
            return std::pair<double, double>(d, d * d);
        });
        for (std::size_t i = 0; i < groups_; ++i) {
            const ExactPair sums = second.total(i);
            const double n = groups[i].count, s1 = sums.a.value();
            groups[i].rest = centred && n > 0 ? s1 / n : 0.0;
            groups[i].m2 = centred && n > 0 ? std::max(sums.b.value() - s1 * groups[i].rest, 0.0) : sums.b.value();
            if (std::isnan(s1)) groups[i].m2 = s1;
        }
        return groups;
    }

    // Sums of dy*w and dy*w*xhat over the groups, of dy and dy*xhat for the parameters.
    void gradients(const double* mean, const double* rstd, const C* w, MaskedSums& of_groups,
                   MaskedSums& of_parameters) const {
        walk_.rows(threads_, [&](std::size_t stretch, const Offset& offset, const Axis& lanes) {
            const Bases row = at(bases_, offset);
            const auto gradient = [&](std::size_t i) {
                const auto lane = static_cast<std::ptrdiff_t>(i);
                const std::ptrdiff_t stat = offset.stat + lane * lanes.stat;
                const double xhat =
                    (read<T>(row[kX] + lane * lanes.stride[kX]) - (mean ? mean[stat] : 0.0)) * rstd[stat];
                const double dy = read<T>(row[kDy] + lane * lanes.stride[kDy]);
                return std::pair<double, double>(dy, dy * xhat);
            };
            const auto weighted = [&](std::size_t i) {
                const auto [dy, dyx] = gradient(i);
                const double weight = w[offset.param + static_cast<std::ptrdiff_t>(i) * lanes.param];
                return std::pair<double, double>(dy * weight, dyx * weight);
            };
            of_groups.add_row(stretch, offset.stat, lanes.stat, lanes.n, counts(row, lanes), weighted);
            of_parameters.add_row(stretch, offset.param, lanes.param, lanes.n, counts(row, lanes), gradient);
        });
    }

    const MaskedWalk& walk() const { return walk_; }
    int threads() const { return threads_; }

private:
    static auto counts(const Bases& row, const Axis& lanes) {
        return [mask = row[kExtra], step = lanes.stride[kExtra]](std::size_t i) {
            return mask[static_cast<std::ptrdiff_t>(i) * step] != 0;
        };
    }

    MaskedWalk walk_;
    Bases bases_;
    std::size_t groups_;
    int threads_;
};

}  // namespace

void masked_forward(const Space& space, Input x, Output y, const Parameters& parameters, Scale scale, Saved saved,
                    Input where) {
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        const OutputStrides y_strides(space, y, parameters);
        const MaskStrides mask(space, where);
        Axes axes = make_axes(space, {x.strides, y.data ? y_strides.get() : x.strides, x.strides, mask.get()});
        const Bases bases{bytes(x.data), bytes(y.data), nullptr, bytes(where.data)};
        const auto groups = Masked<T>(space, axes, bases).statistics(is_centred(scale.statistic));
        const Affine<C> affine(axes, parameters);
        Coefficients<C> stats(groups.size());
        for (std::size_t i = 0; i < groups.size(); ++i) {
            const Group& g = groups[i];
            const double r = g.count == 0 ? 0.0 : rstd(scale, g.m2, g.count);
            stats.set(i, g.origin, g.rest, r);
            save(saved, static_cast<std::ptrdiff_t>(i), stats.mean[i], r, g.m2);
            if (saved.count) saved.count[i] = g.count;
        }
        if (!y.data) return;
        const std::size_t size = count_elements(space) * sizeof(T);
        const Planes<T> planes(kernels().of<T>(), axes, affine, Step::normalize, outgrows_caches(size));
        planes.run_parallel({bases[kX], bases[kY], nullptr, nullptr}, stats, threads_for(size));
    });
}

void masked_backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                     const double* mean, const double* rstd, const Gradients& out, Input where, const double* count) {
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        const std::size_t groups = count_groups(space), parameters = count_parameters(space);
        const MaskStrides mask(space, where);
        Axes axes = make_axes(space, {x.strides, out.dx.data ? out.dx.strides : x.strides, dy.strides, mask.get()});
        std::vector<C> ones;
        if (!weight) ones.assign(parameters, C(1));
        const C* w = weight ? static_cast<const C*>(weight) : ones.data();
        const Affine<C> affine(axes, {w, w});
        const Bases bases{bytes(x.data), bytes(out.dx.data), bytes(dy.data), bytes(where.data)};
        const Masked<T> masked(space, axes, bases);
        MaskedSums of_groups(masked.walk(), groups), of_parameters(masked.walk(), parameters);
        masked.gradients(mean, rstd, w, of_groups, of_parameters);
        for (std::size_t i = 0; i < parameters; ++i) {
            const ExactPair sums = of_parameters.total(i);
            if (out.dbias) out.dbias[i] = sums.a.value();
            if (out.dweight) out.dweight[i] = sums.b.value();
        }
        if (!out.dx.data) return;
        Coefficients<C> stats(groups);
        for (std::size_t i = 0; i < groups; ++i) {
            const ExactPair sums = of_groups.total(i);
            const double n = training ? std::max(count[i], 1.0) : 1.0;
            stats.set(i, mean ? mean[i] : 0.0, 0.0, rstd[i]);
            stats.set_gradient(i, training && is_centred(scale.statistic) ? sums.a.value() / n : 0.0,
                               training && has_slope(scale.statistic) ? sums.b.value() / n : 0.0);
        }
        const std::size_t size = count_elements(space) * sizeof(T);
        const Planes<T> planes(kernels().of<T>(), axes, affine, Step::masked_gradient, outgrows_caches(size));
        planes.run_parallel(bases, stats, threads_for(2 * size));
    });
}

}  // namespace fastnorm

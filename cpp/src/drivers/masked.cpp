#include "masked.h"

#include <cstdlib>

#include "kernels/dispatch.h"
#include "shape/space.h"

namespace fastnorm {

MaskedWalk::MaskedWalk(Axes axes, std::size_t most) {
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
    stretches_ = std::min(most, first_);
}

MaskedParts::MaskedParts(const Axes& axes, std::size_t bytes) : inner_(axes) {
    std::size_t groups = 1;
    for (std::size_t i = 0; i < axes.size(); ++i) groups *= axes[i].stat ? axes[i].n : 1;
    // Sums that take little beside the data are not worth a cut.
    constexpr std::size_t kLittle = 16;
    if (groups <= kGroups || groups * kStretches * 4 * sizeof(ExactPair) * kLittle <= bytes) return;
    while (groups > kGroups) {
        // The axis that is outermost in memory.
        std::size_t best = inner_.size();
        for (std::size_t i = inner_.size(); i-- > 0;) {
            if (inner_[i].stat == 0) continue;
            const bool outer =
                best == inner_.size() || std::abs(inner_[i].stride[kX]) > std::abs(inner_[best].stride[kX]);
            if (outer) best = i;
        }
        if (pieces_ > 1) outer_.push(cut_);
        cut_ = inner_[best];
        inner_.erase(best);
        groups /= cut_.n;
        chunk_ = std::max<std::size_t>(1, kGroups / groups);
        pieces_ = (cut_.n + chunk_ - 1) / chunk_;
    }
}

bool MaskedParts::own_parameters() const {
    bool own = count() == 1 || cut_.is_param();
    for (std::size_t i = 0; i < outer_.size(); ++i) own = own && outer_[i].is_param();
    return own;
}

MaskedPart MaskedParts::part(std::size_t i) const {
    MaskedPart part;
    part.first = outer_.offset(i / pieces_);
    if (count() > 1) {
        const std::size_t begin = i % pieces_ * chunk_;
        part.first.advance(cut_, begin);
        Axis axis = cut_;
        axis.n = std::min(chunk_, cut_.n - begin);
        part.sweep.push(axis);
    }
    for (std::size_t k = 0; k < inner_.size(); ++k) part.sweep.push(inner_[k]);
    part.axes = part.sweep;
    std::ptrdiff_t groups = 1, parameters = 1;
    Axes kept, params;
    for (std::size_t k = part.axes.size(); k-- > 0;) {
        Axis &own = part.axes[k], &swept = part.sweep[k];
        const auto n = static_cast<std::ptrdiff_t>(own.n);
        if (own.stat != 0) own.stat = swept.stat = groups, groups *= n;
        if (own.param != 0) own.param = parameters, parameters *= n;
    }
    for (std::size_t k = 0; k < part.axes.size(); ++k) {
        const Axis& given = count() > 1 && k == 0 ? cut_ : inner_[k - (count() > 1 ? 1 : 0)];
        Axis axis = given;
        axis.n = part.axes[k].n;
        if (axis.stat != 0) kept.push(axis);
        if (axis.param != 0) params.push(axis);
    }
    kept.for_each([&](const Offset& group) { part.groups.push_back(part.first.stat + group.stat); });
    params.for_each([&](const Offset& value) { part.parameters.push_back(part.first.param + value.param); });
    return part;
}

namespace {

template <class T>
double read(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return widen(value);
}

template <class T>
class Masked {
public:
    using C = Compute<T>;

    // `bases` are those of the part.
    Masked(const MaskedPart& part, const Bases& bases, std::size_t stretches, int threads)
        : walk_(part.axes, stretches),
          bases_(bases),
          groups_(part.groups.size()),
          parameters_(part.parameters.size()),
          threads_(threads) {}

    std::vector<Moments> statistics(bool centred) const {
        std::vector<Moments> groups = moments(centred, std::vector<int>(groups_));
        if constexpr (sizeof(C) == 8) rescale(centred, groups);
        return groups;
    }

    // Sums of dy*w and dy*w*xhat over the groups, of dy and dy*xhat for the parameters. `w` are those of the part.
    struct Gradients {
        MaskedSums of_groups, of_parameters;
    };
    Gradients gradients(const Coefficients<C>& stats, const std::vector<C>& w) const {
        Gradients sums{MaskedSums(walk_, groups_), MaskedSums(walk_, parameters_)};
        walk_.rows(threads_, [&](std::size_t stretch, const Offset& offset, const Axis& lanes) {
            const Bases row = at(bases_, offset);
            const auto gradient = [&](std::size_t i) {
                const auto lane = static_cast<std::ptrdiff_t>(i);
                const auto stat = static_cast<std::size_t>(offset.stat + lane * lanes.stat);
                const double xhat = stats.xhat(stat, read<T>(row[kX] + lane * lanes.stride[kX]));
                const double dy = read<T>(row[kDy] + lane * lanes.stride[kDy]);
                return std::pair<double, double>(dy, dy * xhat);
            };
            const auto weighted = [&](std::size_t i) {
                const auto [dy, dyx] = gradient(i);
                const double weight =
                    w[static_cast<std::size_t>(offset.param + static_cast<std::ptrdiff_t>(i) * lanes.param)];
                return std::pair<double, double>(dy * weight, dyx * weight);
            };
            sums.of_groups.add_row(stretch, offset.stat, lanes.stat, lanes.n, counts(row, lanes), weighted);
            sums.of_parameters.add_row(stretch, offset.param, lanes.param, lanes.n, counts(row, lanes), gradient);
        });
        return sums;
    }

private:
    // Sums over every group that counts: of terms(x, group).
    template <class Terms>
    MaskedSums group_sums(const Terms& terms) const {
        MaskedSums sums(walk_, groups_);
        walk_.rows(threads_, [&](std::size_t stretch, const Offset& offset, const Axis& lanes) {
            const Bases row = at(bases_, offset);
            sums.add_row(stretch, offset.stat, lanes.stat, lanes.n, counts(row, lanes), [&](std::size_t i) {
                const auto lane = static_cast<std::ptrdiff_t>(i);
                return terms(read<T>(row[kX] + lane * lanes.stride[kX]),
                             static_cast<std::size_t>(offset.stat + lane * lanes.stat));
            });
        });
        return sums;
    }

    // Of the data divided by powers of two, one for each group.
    std::vector<Moments> moments(bool centred, const std::vector<int>& exponents) const {
        const auto scaled = [&](double x, std::size_t i) {
            return sizeof(C) == 4 || exponents[i] == 0 ? x : std::ldexp(x, -exponents[i]);
        };
        std::vector<Moments> groups(groups_);
        const MaskedSums first =
            group_sums([&](double x, std::size_t i) { return std::pair<double, double>(1.0, scaled(x, i)); });
        for (std::size_t i = 0; i < groups_; ++i) {
            const ExactPair sums = first.total(i);
            const double n = sums.a.value();
            groups[i] = {n, centred && n > 0 ? sums.b.value() / n : 0.0, 0.0, 0.0, exponents[i]};
        }
        const MaskedSums second = group_sums([&](double x, std::size_t i) {
            const double d = scaled(x, i) - groups[i].origin;
            return std::pair<double, double>(d, d * d);
        });
        for (std::size_t i = 0; i < groups_; ++i) {
            const ExactPair sums = second.total(i);
            Moments& m = groups[i];
            const double s1 = sums.a.value(), s2 = sums.b.value();
            m.rest = centred && m.n > 0 ? s1 / m.n : 0.0;
            m.m2 = centred && m.n > 0 ? std::max(s2 - s1 * m.rest, 0.0) : s2;
            if (std::isnan(s1)) m.m2 = s1;
        }
        return groups;
    }

    // Those of double data anew whose squares do not fit.
    void rescale(bool centred, std::vector<Moments>& groups) const {
        const auto fits = [](const Moments& m) {
            const double size = std::fabs(m.origin);
            return m.n == 0 || is_safe<C>(m.m2) || (m.m2 == 0 && size >= 0x1p-400 && size <= 0x1p480);
        };
        if (std::all_of(groups.begin(), groups.end(), fits)) return;
        // The sum of the sizes, near the ends of double's range also.
        constexpr double kFar = 0x1p64;
        const MaskedSums sizes = group_sums(
            [](double x, std::size_t) { return std::pair<double, double>(std::fabs(x) / kFar, std::fabs(x) * kFar); });
        std::vector<int> exponents(groups_);
        bool any = false;
        for (std::size_t i = 0; i < groups_; ++i) {
            const ExactPair size = sizes.total(i);
            const double small = size.a.value(), large = size.b.value();
            if (fits(groups[i]) || large == 0 || !std::isfinite(small)) continue;
            exponents[i] = exponent_for(std::isfinite(large) ? std::ilogb(large) - 64 : std::ilogb(small) + 64);
            any = any || exponents[i] != 0;
        }
        if (!any) return;
        const std::vector<Moments> again = moments(centred, exponents);
        for (std::size_t i = 0; i < groups_; ++i) {
            if (exponents[i] != 0) groups[i] = again[i];
        }
    }

    static auto counts(const Bases& row, const Axis& lanes) {
        return [mask = row[kExtra], step = lanes.stride[kExtra]](std::size_t i) {
            return mask[static_cast<std::ptrdiff_t>(i) * step] != 0;
        };
    }

    MaskedWalk walk_;
    Bases bases_;
    std::size_t groups_, parameters_;
    int threads_;
};

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

}  // namespace

void masked_forward(const Space& space, Input x, Output y, const Parameters& parameters, Scale scale, Saved saved,
                    Input where) {
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        const OutputStrides y_strides(space, y, parameters);
        const MaskStrides mask(space, where);
        Axes axes = make_axes(space, {x.strides, y.data ? y_strides.get() : x.strides, x.strides, mask.get()});
        const Affine<C> affine(axes, parameters);
        const std::size_t size = count_elements(space) * sizeof(T);
        const MaskedParts parts(axes, size);
        for_parts(parts, threads_for(16 * count_elements(space)),
                  [&](std::size_t, const MaskedPart& part, int threads) {
                      const Bases bases = at({bytes(x.data), bytes(y.data), nullptr, bytes(where.data)}, part.first);
                      const auto groups =
                          Masked<T>(part, bases, parts.stretches(), threads).statistics(is_centred(scale.statistic));
                      Coefficients<C> stats(groups.size());
                      for (std::size_t i = 0; i < groups.size(); ++i) {
                          const Moments own = unscaled(groups[i]);
                          const double r = own.n == 0 ? 0.0 : rstd(scale, groups[i]);
                          stats.set(i, own.origin, own.rest, r);
                          save(saved, part.groups[i], stats.mean[i], r, own.m2);
                          if (saved.count) saved.count[part.groups[i]] = own.n;
                      }
                      if (!y.data) return;
                      sweep<T>(part, affine, Step::normalize, outgrows_caches(size),
                               {bases[kX], bases[kY], nullptr, nullptr}, stats, std::min(threads, threads_for(size)));
                  });
    });
}

void masked_backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                     const double* mean, const double* rstd, const Gradients& out, Input where, const double* count) {
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        using C = Compute<T>;
        const std::size_t parameters = count_parameters(space);
        const MaskStrides mask(space, where);
        Axes axes = make_axes(space, {x.strides, out.dx.data ? out.dx.strides : x.strides, dy.strides, mask.get()});
        std::vector<C> ones;
        if (!weight) ones.assign(parameters, C(1));
        const C* w = weight ? static_cast<const C*>(weight) : ones.data();
        const Affine<C> affine(axes, {w, w});
        const std::size_t size = count_elements(space) * sizeof(T);
        const MaskedParts parts(axes, size);
        // The parameters' sums of every part, in the order of the parts.
        const bool own = parts.own_parameters();
        std::vector<std::vector<ExactPair>> shared(own ? 0 : parts.count());
        const auto add_parameter = [&](std::ptrdiff_t i, const ExactPair& sums) {
            if (out.dbias) out.dbias[i] = sums.a.value();
            if (out.dweight) out.dweight[i] = sums.b.value();
        };
        for_parts(parts, threads_for(16 * count_elements(space)),
                  [&](std::size_t number, const MaskedPart& part, int threads) {
                      const Bases bases =
                          at({bytes(x.data), bytes(out.dx.data), bytes(dy.data), bytes(where.data)}, part.first);
                      Coefficients<C> stats(part.groups.size());
                      for (std::size_t i = 0; i < part.groups.size(); ++i) {
                          stats.set(i, mean ? mean[part.groups[i]] : 0.0, 0.0, rstd[part.groups[i]]);
                      }
                      std::vector<C> weights;
                      for (const std::ptrdiff_t i : part.parameters) weights.push_back(w[i]);
                      const auto sums = Masked<T>(part, bases, parts.stretches(), threads).gradients(stats, weights);
                      for (std::size_t i = 0; i < part.parameters.size(); ++i) {
                          const ExactPair total = sums.of_parameters.total(i);
                          if (own) {
                              add_parameter(part.parameters[i], total);
                          } else {
                              shared[number].push_back(total);
                          }
                      }
                      if (!out.dx.data) return;
                      for (std::size_t i = 0; i < part.groups.size(); ++i) {
                          const ExactPair total = sums.of_groups.total(i);
                          const double n = training ? std::max(count[part.groups[i]], 1.0) : 1.0;
                          stats.set_gradient(i, training && is_centred(scale.statistic) ? total.a.value() / n : 0.0,
                                             training ? total.b.value() / n : 0.0);
                      }
                      sweep<T>(part, affine, Step::masked_gradient, outgrows_caches(size, 3), bases, stats,
                               std::min(threads, threads_for(2 * size)));
                  });
        if (own) return;
        std::vector<ExactPair> totals(parameters);
        for (std::size_t number = 0; number < parts.count(); ++number) {
            const MaskedPart part = parts.part(number);
            for (std::size_t i = 0; i < part.parameters.size(); ++i) {
                totals[static_cast<std::size_t>(part.parameters[i])].add(shared[number][i]);
            }
        }
        for (std::size_t i = 0; i < parameters; ++i) add_parameter(static_cast<std::ptrdiff_t>(i), totals[i]);
    });
}

}  // namespace fastnorm

// Sums of gradients over what counts: dy and dy*xhat for the parameters, the same weighted for the groups.
#pragma once

#include <optional>

#include "drivers/backward_call.h"
#include "drivers/masked_sums.h"

namespace fastnorm {

template <class T>
class MaskedGradients {
public:
    using C = Compute<T>;

    struct Weights {
        const C* values;
        std::size_t count;
    };

    // The sums of `groups` groups, if wanted, and of as many parameters as there are weights.
    MaskedGradients(const Kernels<T>& kernels, const MaskedWalk& walk, const Coefficients<C>& stats, std::size_t groups,
                    Weights weights, bool wants_groups, bool wants_parameters)
        : kernels_(kernels),
          walk_(walk),
          stats_(stats),
          weights_(weights),
          wants_groups_(wants_groups),
          wants_parameters_(wants_parameters),
          number_of_groups_(groups),
          groups_(walk.stretches() * groups),
          parameters_(walk.stretches() * weights.count) {}

    void run(const Bases& bases, int threads) {
        const Axis &rows = walk_.rows(), &lanes = walk_.lanes();
        // Lanes that have sums of their own are summed down rows that share them.
        const bool down = lanes.stat != 0 || lanes.param != 0;
        const bool one = (lanes.stat != 0 && rows.stat != 0) || (lanes.param != 0 && rows.param != 0);
        walk_.planes(bases, threads,
                     one    ? 1
                     : down ? kRows
                            : kSpanRows,
                     down ? kColumnLanes : kBlock, [&](std::size_t stretch, const MaskedPlane& plane) {
                         plane.runs([&](std::size_t first, std::size_t n, Counting kind) {
                             if (kind == Counting::none) return;
                             const MaskedPlane p = plane.part(first, n);
                             const Side of_groups{groups_, stretch * number_of_groups_ + as_index(p.stat), rows.stat,
                                                  lanes.stat};
                             const Side of_parameters{parameters_, stretch * weights_.count + as_index(p.param),
                                                      rows.param, lanes.param};
                             if (stats_.any_extreme || !by_kernels(p, kind, of_groups, of_parameters)) {
                                 exactly(p, of_groups, of_parameters);
                             }
                         });
                     });
        for (std::size_t k = 1; k < walk_.stretches(); ++k) {
            for (std::size_t i = 0; i < number_of_groups_; ++i) groups_.add(i, groups_, k * number_of_groups_ + i);
            for (std::size_t i = 0; i < weights_.count; ++i) parameters_.add(i, parameters_, k * weights_.count + i);
        }
    }

    // The sums, from the front on.
    const ExactPairs& groups() const { return groups_; }
    ExactPairs&& parameters() { return std::move(parameters_); }

private:
    static constexpr std::size_t kColumnLanes = 256, kSpanRows = 16;

    static std::size_t as_index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

    // The sums of one side array: that of the plane's first element, and how rows and lanes step through it.
    struct Side {
        ExactPairs& to;
        std::size_t first;
        std::ptrdiff_t row, lane;

        std::size_t count(const MaskedPlane& p) const { return lane != 0 ? p.lanes : p.rows; }
        void add(std::size_t i, double u, double v) const { to.a.add(first + i, u), to.b.add(first + i, v); }
        // So many in a row, of lanes or of rows.
        void add(std::size_t n, const double* u, const double* v) const {
            const std::size_t step = as_index(lane != 0 ? lane : row);
            if (step == 1) {
                to.a.add(first, n, u), to.b.add(first, n, v);
            } else {
                for (std::size_t i = 0; i < n; ++i) add(i * step, u[i], v[i]);
            }
        }
    };

    // Down lanes or along rows: whichever the side array has values for.
    void sum(const Plane<T>& plane, const Side& side, double* s1, double* s2) const {
        if (side.lane != 0) {
            std::fill_n(s1, plane.lanes, 0.0);
            std::fill_n(s2, plane.lanes, 0.0);
            kernels_.column_gradients(plane, s1, s2);
            return;
        }
        GradSums sums[kRows];
        kernels_.span_gradients(plane, sums);
        for (std::size_t i = 0; i < plane.rows; ++i) s1[i] = sums[i].s1, s2[i] = sums[i].s2;
    }

    // False if a sum does not fit into the compute type; nothing is added then.
    bool by_kernels(const MaskedPlane& p, Counting kind, const Side& of_groups, const Side& of_parameters) const {
        static constexpr C one = 1;
        const RowsOf<T> x(p, kX), dy(p, kDy);
        std::optional<RowsOf<std::uint8_t>> mask;
        if (kind == Counting::some) mask.emplace(p, kExtra);
        Plane<T> plane{};
        plane.rows = p.rows, plane.lanes = p.lanes;
        plane.h = stats_.h + p.stat, plane.l = stats_.l + p.stat, plane.r = stats_.r + p.stat;
        plane.stat_row = p.row_axis.stat, plane.stat_lanes = p.lane_axis.stat != 0;
        plane.w = plane.b = &one;
        plane.x = x.from, plane.x_row = x.step;
        plane.dy = dy.from, plane.dy_row = dy.step;
        if (mask) plane.mask = mask->from, plane.mask_row = mask->step;
        const bool alike = (of_groups.lane != 0) == (of_parameters.lane != 0);
        const std::size_t n = std::max(p.rows, p.lanes);
        const Borrowed<double> own1(n), own2(n), group1(n), group2(n);
        if (wants_parameters_ || alike) {
            sum(plane, of_parameters, own1, own2);
            if (!fits(own1, own2, of_parameters.count(p))) return false;
        }
        if (wants_groups_) {
            const C* const w = weights_.values + p.param;
            if (alike) {
                const std::ptrdiff_t step = of_groups.lane != 0 ? p.lane_axis.param : p.row_axis.param;
                for (std::size_t i = 0; i < of_groups.count(p); ++i) {
                    const double weight = w[static_cast<std::ptrdiff_t>(i) * step];
                    group1[i] = own1[i] * weight, group2[i] = own2[i] * weight;
                }
            } else {
                plane.w = plane.b = w;
                plane.param_row = p.row_axis.param, plane.param_lanes = p.lane_axis.param != 0;
                sum(plane, of_groups, group1, group2);
                if (!fits(group1, group2, of_groups.count(p))) return false;
            }
            of_groups.add(of_groups.count(p), static_cast<const double*>(group1), group2);
        }
        if (wants_parameters_) of_parameters.add(of_parameters.count(p), static_cast<const double*>(own1), own2);
        return true;
    }

    static bool fits(const double* s1, const double* s2, std::size_t n) {
        return all_finite(s1, n) && all_finite(s2, n);
    }

    // The same in double, one element after the other.
    void exactly(const MaskedPlane& p, const Side& of_groups, const Side& of_parameters) const {
        for (std::size_t i = 0; i < p.rows; ++i) {
            for (std::size_t k = 0; k < p.lanes; ++k) {
                if (!p.counts(i, k)) continue;
                const auto row = static_cast<std::ptrdiff_t>(i), lane = static_cast<std::ptrdiff_t>(k);
                const std::ptrdiff_t group = row * of_groups.row + lane * of_groups.lane;
                const std::ptrdiff_t parameter = row * of_parameters.row + lane * of_parameters.lane;
                const double xhat =
                    stats_.xhat(static_cast<std::size_t>(p.stat + group), widen(p.element<T>(kX, i, k)));
                const double dy = widen(p.element<T>(kDy, i, k));
                const double weighted = dy * weights_.values[static_cast<std::size_t>(p.param + parameter)];
                of_groups.add(as_index(group), weighted, weighted * xhat);
                of_parameters.add(as_index(parameter), dy, dy * xhat);
            }
        }
    }

    const Kernels<T>& kernels_;
    const MaskedWalk& walk_;
    const Coefficients<C>& stats_;
    const Weights weights_;
    bool wants_groups_, wants_parameters_;
    std::size_t number_of_groups_;
    ExactPairs groups_, parameters_;
};

}  // namespace fastnorm

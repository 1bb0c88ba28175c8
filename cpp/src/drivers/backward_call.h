// One backward call: what its drivers share.
//
// A cell is one group restricted to one value of the parameters: all elements of a cell have one mean, one scale, one
// weight. db = sum dy and dh = sum dy*xhat over each cell give everything else:
//
//     s1 = sum over the group's cells of weight*db      dbias   = sum over the parameter's cells of db
//     s2 = sum over the group's cells of weight*dh      dweight = sum over the parameter's cells of dh
//
// In layer norm a cell would be a single element; there the two sums are taken directly, see span_rows.cpp.
#pragma once

#include <vector>

#include "drivers/driver_call.h"

namespace fastnorm {

struct Cell {
    double db, dh;
};

inline Cell merge(const Cell& a, const Cell& b) { return {a.db + b.db, a.dh + b.dh}; }

template <class T>
struct GradientCall {
    Call<T> call;
    const double* mean;  // nullptr is zero
    const double* rstd;
    Gradients out;
    const double* slope;  // of the scale, per group; nullptr is 1/n

    bool wants_dx() const { return out.dx.data != nullptr; }
    bool wants_parameters() const { return out.dweight || out.dbias; }

    // Statistics from index i on: of n groups that are `step` apart, each for `width` indices.
    void set_statistics(Coefficients<Compute<T>>& stats, std::size_t i, std::size_t n, std::ptrdiff_t group,
                        std::ptrdiff_t step, std::size_t width = 1) const {
        stats.set_strided(i, n, width, mean ? mean + group : nullptr, rstd + group, step);
    }
    // The sums of a group, for `width` indices from i on. `inverse` is 1/n, or 1 for a norm, which is a sum, no mean.
    void set_sums(Coefficients<Compute<T>>& stats, std::size_t i, std::ptrdiff_t group, const Cell& sums,
                  double inverse, std::size_t width = 1) const {
        const double mean_g = call.centred() ? sums.db * inverse : 0.0;
        const double mean_gx = has_slope(call.scale.statistic) ? sums.dh * (slope ? slope[group] : inverse) : 0.0;
        for (std::size_t k = i; k < i + width; ++k) stats.set_gradient(k, mean_g, mean_gx);
    }
    void add_parameter(std::ptrdiff_t i, const Cell& sums) const {
        if (out.dbias) out.dbias[i] = sums.db;
        if (out.dweight) out.dweight[i] = sums.dh;
    }
};

// Infinity and NaN times zero are NaN, and so is a sum that one of them is part of: no branch, eight at once.
template <class C>
bool all_finite(const C* values, std::size_t n) {
    constexpr std::size_t kLanes = 8;
    C sums[kLanes] = {};
    const std::size_t whole = n / kLanes * kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
        for (std::size_t k = 0; k < kLanes; ++k) sums[k] += values[i + k] * C(0);
    }
    for (std::size_t i = whole; i < n; ++i) sums[i - whole] += values[i] * C(0);
    bool finite = true;
    for (const C sum : sums) finite &= sum == 0;
    return finite;
}

// Sums of the compute type, or what `exact()` gives in double for one that is not finite: those of large gradients
// overflow in float.
template <class F>
Cell repaired(const Cell& sums, F&& exact) {
    const bool db = std::isfinite(sums.db), dh = std::isfinite(sums.dh);
    if (db && dh) return sums;
    const Cell other = exact();
    return {db ? sums.db : other.db, dh ? sums.dh : other.dh};
}

// The sums of `n` elements of group `stat` in double, where the compute type cannot have them. Steps in elements.
template <class T>
Cell exact_sums(const T* dy, const T* x, std::size_t n, const Coefficients<Compute<T>>& stats, std::size_t stat,
                const Compute<T>* weight, std::ptrdiff_t weight_step) {
    Cell sums{};
    for (std::size_t i = 0; i < n; ++i) {
        const double g = static_cast<double>(widen(dy[i])) * weight[static_cast<std::ptrdiff_t>(i) * weight_step];
        sums.db += g;
        sums.dh += g * stats.xhat(stat, widen(x[i]));
    }
    return sums;
}

// Adds up the cells of every parameter in the order of the groups, in place. Cells are indexed [statistic][cell of the
// group].
template <class T>
void sum_parameters(const GradientCall<T>& gradient, const Axes& axes, std::vector<Cell>& cells);

// Drivers. Spans with a cell for every value of the parameters; spans whose parameters vary element by element; columns
// with a cell for every lane; columns whose parameters vary row by row.
template <class T>
void span_cell_gradients(const GradientCall<T>& gradient);
template <class T>
void span_row_gradients(const GradientCall<T>& gradient);
template <class T>
void column_gradients(const GradientCall<T>& gradient);
template <class T>
void column_row_gradients(const GradientCall<T>& gradient);

}  // namespace fastnorm

// Moments of the groups of some lanes, over one superblock of rows. The lanes of a group share a pivot, so that their
// sums simply add up.
#pragma once

#include <numeric>

#include "columns.h"
#include "drivers/driver_call.h"

namespace fastnorm {

// Sums about pivots: of lanes, in the end of groups.
template <class C>
struct ColumnSums {
    explicit ColumnSums(std::size_t n) : pivots(n), s1(n), s2(n) {}
    std::vector<C> pivots;
    std::vector<double> s1, s2;
};

template <class T>
class ColumnMoments {
public:
    using C = Compute<T>;
    using Sums = ColumnSums<C>;

    // `x` is at row zero and the first lane.
    ColumnMoments(const Call<T>& call, const Columns& columns, const char* x, std::size_t part)
        : call_(call),
          columns_(columns),
          x_(x),
          first_(columns.first_row(part)),
          rows_(columns.rows_of(part)),
          width_(columns.width()) {}

    // Those of the groups of a number of lanes.
    Sums sums(std::size_t lanes) const {
        Sums sums(lanes);
        RowReader<T> reader(columns_, kX);
        if (call_.centred()) sample(reader, sums);
        accumulate(reader, sums);
        if (call_.centred() && move_pivots(sums)) accumulate(reader, sums);
        fold(sums);
        return sums;
    }

    // The moments of group g, from the sums or from its elements where those are of no use.
    Moments group(const Sums& sums, std::size_t g) const {
        const double pivot = sums.pivots[g], s1 = sums.s1[g], s2 = sums.s2[g];
        const bool safe = is_safe<C>(s2) || (s2 == 0 && is_constant(g, pivot));
        return safe ? from_sums(rows_ * width_, pivot, s1, s2, call_.centred()) : exact(g);
    }

private:
    // Pivots near the means of the groups: those of the first rows, fewer where a group is many lanes.
    void sample(RowReader<T>& reader, Sums& sums) const {
        constexpr std::size_t kLeast = 4;
        const std::size_t lanes = sums.pivots.size(), rows = std::min(rows_, std::max(kLeast, kRows / width_));
        const auto first = reader.read(x_, first_, rows, lanes);
        call_.kernels.column_pivots(first.data, first.step, rows, lanes, sums.pivots.data());
        for (std::size_t lane = 0; width_ > 1 && lane < lanes; lane += width_) {
            C* const own = sums.pivots.data() + lane;
            std::fill_n(own, width_,
                        static_cast<C>(std::accumulate(own, own + width_, 0.0) / static_cast<double>(width_)));
        }
    }

    void accumulate(RowReader<T>& reader, Sums& sums) const {
        const std::size_t lanes = sums.pivots.size(), wide = columns_.folds() * lanes;
        const Borrowed<C> pivots(wide);
        const Borrowed<double> s1(wide), s2(wide);
        repeat_folds(sums.pivots.data(), lanes, columns_.folds(), pivots);
        std::fill_n(static_cast<double*>(s1), wide, 0.0);
        std::fill_n(static_cast<double*>(s2), wide, 0.0);
        columns_.for_micro_blocks(rows_, [&](std::size_t row, std::size_t n, std::size_t folds) {
            const auto block = reader.read(x_, first_ + row, n, lanes, folds);
            call_.kernels.column_moments(block.data, block.step, n, folds * lanes, pivots, s1, s2);
        });
        add_folds(s1, lanes, columns_.folds(), sums.s1.data());
        add_folds(s2, lanes, columns_.folds(), sums.s2.data());
    }

    // Moves the pivots of groups whose sample was not typical, see moments-inl.h.
    bool move_pivots(Sums& sums) const {
        const auto count = static_cast<double>(rows_ * width_);
        bool moved = false;
        for (std::size_t lane = 0; lane < sums.pivots.size(); lane += width_) {
            double s1 = 0, s2 = 0;
            for (std::size_t i = lane; i < lane + width_; ++i) s1 += sums.s1[i], s2 += sums.s2[i];
            if (s1 * s1 <= 0.25 * count * s2) continue;
            std::fill_n(sums.pivots.data() + lane, width_, static_cast<C>(sums.pivots[lane] + s1 / count));
            moved = true;
        }
        return moved;
    }

    // From sums of lanes to sums of groups.
    void fold(Sums& sums) const {
        const std::size_t groups = sums.pivots.size() / width_;
        for (std::size_t g = 0; width_ > 1 && g < groups; ++g) {
            sums.pivots[g] = sums.pivots[g * width_];
            for (std::vector<double>* s : {&sums.s1, &sums.s2}) {
                const double* const own = s->data() + g * width_;
                (*s)[g] = std::accumulate(own, own + width_, 0.0);
            }
        }
        sums.pivots.resize(groups), sums.s1.resize(groups), sums.s2.resize(groups);
    }

    // Calls f(element) for the elements of group g, lane by lane, until it says false.
    template <class F>
    void for_elements(std::size_t g, F&& f) const {
        for (std::size_t lane = g * width_; lane < (g + 1) * width_; ++lane) {
            for (std::size_t row = first_; row < first_ + rows_; ++row) {
                if (!f(element<T>(columns_, kX, x_, row, lane))) return;
            }
        }
    }

    bool is_constant(std::size_t g, double value) const {
        bool constant = true;
        for_elements(g, [&](const T& each) { return constant = widen(each) == value; });
        return constant;
    }

    Moments exact(std::size_t g) const {
        std::vector<T> values;
        values.reserve(rows_ * width_);
        for_elements(g, [&](const T& each) {
            values.push_back(each);
            return true;
        });
        return exact_moments(values.data(), values.size(), call_.centred());
    }

    const Call<T>& call_;
    const Columns& columns_;
    const char* x_;
    std::size_t first_, rows_, width_;
};

}  // namespace fastnorm

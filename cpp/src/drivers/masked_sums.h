// Sums over what counts, one for every value of a side array. Every stretch of the data has its own; they are added up
// in order.
#pragma once

#include <utility>
#include <vector>

#include "drivers/counted_spans.h"
#include "drivers/double_fallback.h"
#include "drivers/exact_sum.h"
#include "drivers/masked_rows.h"

namespace fastnorm {

template <class Value>
class StretchSums {
public:
    StretchSums(std::size_t stretches, std::size_t n) : n_(n), sums_(stretches * n) {}

    Value* of(std::size_t stretch) { return sums_.data() + stretch * n_; }
    template <class Add>
    Value total(std::size_t i, Add&& add) const {
        Value total = sums_[i];
        for (std::size_t k = i + n_; k < sums_.size(); k += n_) add(total, sums_[k]);
        return total;
    }

private:
    std::size_t n_;
    std::vector<Value> sums_;
};

// The moments of the groups of a part.
template <class T>
class MaskedMoments {
public:
    using C = Compute<T>;

    MaskedMoments(const Kernels<T>& kernels, const MaskedWalk& walk, bool centred)
        : kernels_(kernels), walk_(walk), centred_(centred) {}

    std::vector<Moments> groups(const Bases& bases, std::size_t n, int threads) const {
        StretchSums<Moments> sums(walk_.stretches(), n);
        const bool columns = walk_.lanes().stat != 0, rows = walk_.rows().stat != 0;
        // A block of some short rows, rows of their own, rows that are summed down; one row where nothing is.
        const std::size_t lanes = columns ? kColumnLanes : kBlock;
        const std::size_t row = std::min(kBlock, walk_.lanes().n);
        const bool own = rows || row >= kLongRow;
        const std::size_t most = columns ? (rows ? 1 : kRows) : own ? kBatch : kBlock / row;
        // What counts of a block of rows, or of one.
        const std::size_t span = columns ? 0 : own ? row : row * most;
        walk_.stretches(bases, threads, most, lanes, [&](std::size_t stretch, auto&& planes) {
            CountedSpans<T> spans(kernels_, span, centred_);
            planes([&](const MaskedPlane& p) {
                Moments* const to = sums.of(stretch) + p.stat;
                columns ? down(p, to) : own ? along(p, spans, to) : block(p, spans, *to);
            });
            spans.flush();
        });
        std::vector<Moments> groups(n);
        for (std::size_t i = 0; i < n; ++i) {
            groups[i] = sums.total(i, [](Moments& total, const Moments& some) { total = merge(total, some); });
        }
        return groups;
    }

private:
    // Lanes of a tile of columns. Rows of at least so many lanes are not copied for what counts of them.
    static constexpr std::size_t kColumnLanes = 256, kLongRow = 128;

    // Rows of a block at the most, to one group.
    void block(const MaskedPlane& p, CountedSpans<T>& spans, Moments& to) const {
        const Borrowed<T> row(p.lanes);
        const Borrowed<std::uint8_t> mask(p.lanes);
        std::size_t n = 0;
        for (std::size_t i = 0; i < p.rows; ++i) n += counted(p, i, p.counting(i), row, mask, spans.next() + n);
        spans.add(n, to);
    }

    // Writes what counts of a row; returns how much that is.
    std::size_t counted(const MaskedPlane& p, std::size_t i, Counting kind, T* row, std::uint8_t* mask, T* to) const {
        if (kind == Counting::none) return 0;
        if (kind == Counting::some) return kernels_.compress(p.mask(i, mask), p.lanes, p.read<T>(kX, i, row), to);
        gather(p.row(kX, i), p.lane_axis.stride[kX], p.lanes, to);
        return p.lanes;
    }

    // Rows that are blocks: those that count whole where they are.
    void along(const MaskedPlane& p, CountedSpans<T>& spans, Moments* to) const {
        const Borrowed<T> row(p.lanes);
        const Borrowed<std::uint8_t> mask(p.lanes);
        p.runs([&](std::size_t first, std::size_t rows, Counting kind) {
            const bool some = kind == Counting::some;
            if (kind == Counting::none) return;
            if (some ? p.lanes >= kLongRow : p.in_place<T>(kX)) {
                spans.flush();  // in order
                some ? counted_rows(p.part(first, rows), spans, group(p, to, first))
                     : all_of_rows(p.part(first, rows), group(p, to, first));
                return;
            }
            for (std::size_t i = first; i < first + rows; ++i) {
                spans.add(counted(p, i, kind, row, mask, spans.next()), *group(p, to, i));
            }
        });
    }

    static Moments* group(const MaskedPlane& p, Moments* first, std::size_t row) {
        return first + static_cast<std::ptrdiff_t>(row) * p.row_axis.stat;
    }

    void all_of_rows(const MaskedPlane& p, Moments* to) const {
        const T* const x = reinterpret_cast<const T*>(p.at[kX]);
        const auto step = p.row_axis.stride[kX] / static_cast<std::ptrdiff_t>(sizeof(T));
        BlockSums sums;
        kernels_.span_moments(x, step, p.rows, p.lanes, nullptr, centred_, sums);
        for (std::size_t i = 0; i < p.rows; ++i) {
            const T* const values = x + static_cast<std::ptrdiff_t>(i) * step;
            Moments& own = *group(p, to, i);
            own = merge(own, block_moments(sums, i, values, p.lanes, centred_));
        }
    }

    // Of which some elements count.
    void counted_rows(const MaskedPlane& p, CountedSpans<T>& spans, Moments* to) const {
        const std::size_t most = std::min(kBatch, 4 * kBlock / p.lanes);
        const Borrowed<T> row(p.lanes);
        const Borrowed<std::uint8_t> mask_row(p.lanes);
        for (std::size_t first = 0; first < p.rows; first += most) {
            const MaskedPlane some = p.part(first, std::min(most, p.rows - first));
            const RowsOf<T> x(some, kX);
            const RowsOf<std::uint8_t> mask(some, kExtra);
            const CountedRows<T> rows{some.rows, some.lanes, x.from, x.step, mask.from, mask.step};
            BlockSums sums;
            double sizes[kBatch];
            kernels_.counted_moments(rows, centred_, sums, sizes);
            for (std::size_t i = 0; i < some.rows; ++i) {
                Moments& own = *group(p, to, first + i);
                if (std::isnan(sums.s2[i])) {
                    spans.add(counted(some, i, Counting::some, row, mask_row, spans.next()), own);
                    spans.flush();
                } else {
                    own = merge(own, from_sums(static_cast<std::size_t>(sizes[i]), sums.pivot[i], sums.s1[i],
                                               sums.s2[i], centred_));
                }
            }
        }
    }

    // Lanes that are groups.
    void down(const MaskedPlane& p, Moments* to) const {
        const Borrowed<C> pivots(kColumnLanes);
        const Borrowed<double> counts(kColumnLanes), s1(kColumnLanes), s2(kColumnLanes);
        std::fill_n(static_cast<C*>(pivots), p.lanes, C(0));
        std::fill_n(static_cast<double*>(s1), p.lanes, 0.0);
        std::fill_n(static_cast<double*>(s2), p.lanes, 0.0);
        bool mixed = false;
        p.runs([&](std::size_t, std::size_t, Counting kind) { mixed |= kind == Counting::some; });
        mixed ? mixed_rows(p, counts, pivots, s1, s2) : whole_rows(p, counts, pivots, s1, s2);
        for (std::size_t i = 0; i < p.lanes; ++i) {
            if (counts[i] > 0) to[i] = merge(to[i], lane(p, i, counts[i], pivots[i], s1[i], s2[i]));
        }
    }

    // Rows that count as a whole or not at all: where they are if they follow one another.
    void whole_rows(const MaskedPlane& p, double* counts, C* pivots, double* s1, double* s2) const {
        std::size_t n = 0, first = 0, last = 0;
        for (std::size_t i = 0; i < p.rows; ++i) {
            if (!p.counts(i, 0)) continue;
            if (n++ == 0) first = i;
            last = i;
        }
        std::fill_n(counts, p.lanes, static_cast<double>(n));
        if (n == 0) return;
        const bool as_is = last - first + 1 == n && p.in_place<T>(kX);
        const Borrowed<T> tile(as_is ? 1 : n * p.lanes);
        const T* x = tile;
        auto step = static_cast<std::ptrdiff_t>(p.lanes);
        if (as_is) {
            x = reinterpret_cast<const T*>(p.row(kX, first));
            step = p.row_axis.stride[kX] / static_cast<std::ptrdiff_t>(sizeof(T));
        }
        T* to = tile;
        for (std::size_t i = first; !as_is && i <= last; ++i) {
            if (p.counts(i, 0)) gather(p.row(kX, i), p.lane_axis.stride[kX], p.lanes, std::exchange(to, to + p.lanes));
        }
        if (centred_) kernels_.column_pivots(x, step, n, p.lanes, pivots);
        kernels_.column_moments(x, step, n, p.lanes, pivots, s1, s2);
    }

    // All rows, about the means of what counts.
    void mixed_rows(const MaskedPlane& p, double* counts, C* pivots, double* s1, double* s2) const {
        const RowsOf<T> x(p, kX);
        const RowsOf<std::uint8_t> mask(p, kExtra);
        const CountedRows<T> rows{p.rows, p.lanes, x.from, x.step, mask.from, mask.step};
        kernels_.column_counts(rows.mask, rows.mask_row, p.rows, p.lanes, counts);
        if (centred_) {
            kernels_.counted_column_moments(rows, pivots, s1, s2);
            for (std::size_t k = 0; k < p.lanes; ++k)
                pivots[k] = static_cast<C>(counts[k] > 0 ? s1[k] / counts[k] : 0.0);
            std::fill_n(s1, p.lanes, 0.0);
            std::fill_n(s2, p.lanes, 0.0);
        }
        kernels_.counted_column_moments(rows, pivots, s1, s2);
    }

    Moments lane(const MaskedPlane& p, std::size_t lane, double n, double pivot, double s1, double s2) const {
        const bool typical = !centred_ || s1 * s1 <= 0.25 * n * s2;
        if (typical && is_safe<C>(s2)) return from_sums(static_cast<std::size_t>(n), pivot, s1, s2, centred_);
        std::vector<T> values;
        for (std::size_t i = 0; i < p.rows; ++i) {
            if (p.counts(i, lane)) values.push_back(p.element<T>(kX, i, lane));
        }
        return exact_moments(values.data(), values.size(), centred_);
    }

    const Kernels<T>& kernels_;
    const MaskedWalk& walk_;
    bool centred_;
};

}  // namespace fastnorm

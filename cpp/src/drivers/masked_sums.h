// Sums over what counts, one for every value of a side array. Every stretch of the data has its own; they are added up
// in order.
#pragma once

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
        const std::size_t together = std::max<std::size_t>(1, kBlock / std::min(kBlock, walk_.lanes().n));
        const std::size_t most = columns ? (rows ? 1 : kRows) : (rows ? kBatch : together);
        // What counts of a block of rows, or of one.
        const std::size_t span = columns ? 0 : std::min(kBlock, walk_.lanes().n) * (rows ? 1 : most);
        walk_.stretches(bases, threads, most, lanes, [&](std::size_t stretch, auto&& planes) {
            CountedSpans<T> spans(kernels_, span, centred_);
            planes([&](const MaskedPlane& p) {
                Moments* const to = sums.of(stretch) + p.stat;
                columns ? down(p, to) : rows ? along(p, spans, to) : block(p, spans, *to);
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
    static constexpr std::size_t kColumnLanes = 256;  // of a tile

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

    // Rows that are groups: those that count whole where they are.
    void along(const MaskedPlane& p, CountedSpans<T>& spans, Moments* to) const {
        const std::ptrdiff_t step = p.row_axis.stat;
        const auto row_step = p.row_axis.stride[kX] / static_cast<std::ptrdiff_t>(sizeof(T));
        const Borrowed<T> row(p.lanes);
        const Borrowed<std::uint8_t> mask(p.lanes);
        p.runs([&](std::size_t first, std::size_t rows, Counting kind) {
            Moments* const own = to + static_cast<std::ptrdiff_t>(first) * step;
            if (kind != Counting::all || !p.in_place<T>(kX)) {
                for (std::size_t k = 0; k < rows; ++k) {
                    spans.add(counted(p, first + k, kind, row, mask, spans.next()),
                              own[static_cast<std::ptrdiff_t>(k) * step]);
                }
                return;
            }
            spans.flush();  // in order
            const T* const x = reinterpret_cast<const T*>(p.row(kX, first));
            BlockSums sums;
            kernels_.span_moments(x, row_step, rows, p.lanes, centred_, sums);
            for (std::size_t k = 0; k < rows; ++k) {
                const T* const values = x + static_cast<std::ptrdiff_t>(k) * row_step;
                Moments& group = own[static_cast<std::ptrdiff_t>(k) * step];
                group = merge(group, block_moments(sums, k, values, p.lanes, centred_));
            }
        });
    }

    // Lanes that are groups.
    void down(const MaskedPlane& p, Moments* to) const {
        const Borrowed<T> tile(kRows * kColumnLanes);
        const Borrowed<C> pivots(kColumnLanes);
        const Borrowed<double> counts(kColumnLanes), s1(kColumnLanes), s2(kColumnLanes);
        bool mixed = false;
        p.runs([&](std::size_t, std::size_t, Counting kind) { mixed |= kind == Counting::some; });
        const std::size_t rows = mixed ? mixed_rows(p, tile, counts, pivots) : whole_rows(p, tile, counts, pivots);
        if (rows == 0) return;
        std::fill_n(static_cast<double*>(s1), p.lanes, 0.0);
        std::fill_n(static_cast<double*>(s2), p.lanes, 0.0);
        kernels_.column_moments(tile, static_cast<std::ptrdiff_t>(p.lanes), rows, p.lanes, pivots, s1, s2);
        for (std::size_t i = 0; i < p.lanes; ++i) {
            if (counts[i] > 0) to[i] = merge(to[i], lane(p, i, counts[i], pivots[i], s1[i], s2[i]));
        }
    }

    // Rows that count, and their pivots.
    std::size_t whole_rows(const MaskedPlane& p, T* tile, double* counts, C* pivots) const {
        std::size_t n = 0;
        for (std::size_t i = 0; i < p.rows; ++i) {
            if (p.counts(i, 0)) gather(p.row(kX, i), p.lane_axis.stride[kX], p.lanes, tile + n++ * p.lanes);
        }
        std::fill_n(counts, p.lanes, static_cast<double>(n));
        std::fill_n(pivots, p.lanes, C(0));
        if (n > 0 && centred_) kernels_.column_pivots(tile, static_cast<std::ptrdiff_t>(p.lanes), n, p.lanes, pivots);
        return n;
    }

    // All rows, with the pivots in place of what does not count: that deviates by zero.
    std::size_t mixed_rows(const MaskedPlane& p, T* tile, double* counts, C* pivots) const {
        const Borrowed<double> sums(p.lanes), squares(p.lanes);
        const Borrowed<T> other(p.lanes);
        const Borrowed<std::uint8_t> masks(p.rows * p.lanes), counted(p.lanes);
        static_assert(kRows < 256);
        std::fill_n(static_cast<double*>(sums), p.lanes, 0.0);
        std::fill_n(static_cast<double*>(squares), p.lanes, 0.0);
        std::fill_n(static_cast<std::uint8_t*>(counted), p.lanes, std::uint8_t{0});
        std::fill_n(pivots, p.lanes, C(0));
        std::fill_n(static_cast<T*>(other), p.lanes, narrow<T>(0.0));
        for (std::size_t i = 0; i < p.rows; ++i) {
            T* const row = tile + i * p.lanes;
            const std::uint8_t* const mask = p.mask(i, masks + i * p.lanes);
            kernels_.select(mask, p.lanes, p.read<T>(kX, i, row), other, false, row, p.ahead<T>(kX));
            for (std::size_t k = 0; k < p.lanes; ++k) counted[k] += mask[k] != 0;
        }
        std::copy_n(static_cast<const std::uint8_t*>(counted), p.lanes, counts);
        if (!centred_) return p.rows;
        kernels_.column_moments(tile, static_cast<std::ptrdiff_t>(p.lanes), p.rows, p.lanes, pivots, sums, squares);
        for (std::size_t k = 0; k < p.lanes; ++k) {
            other[k] = narrow<T>(counts[k] > 0 ? sums[k] / counts[k] : 0.0);
            pivots[k] = static_cast<C>(widen(other[k]));
        }
        for (std::size_t i = 0; i < p.rows; ++i) {
            T* const row = tile + i * p.lanes;
            kernels_.select(p.mask(i, masks + i * p.lanes), p.lanes, row, other, false, row, 0);
        }
        return p.rows;
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

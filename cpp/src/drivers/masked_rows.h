// Planes of which only some elements count, and how their rows are read for kernels that know no masks.
#pragma once

#include <cstring>

#include "drivers/sweep.h"
#include "threads/parallel.h"

namespace fastnorm {

// Whether none, some or all elements of a row count.
enum class Counting { none, some, all };

inline Counting counting_of(const char* mask, std::ptrdiff_t step, std::size_t n) {
    if (step == 0 || n == 1) return *mask ? Counting::all : Counting::none;
    if (step == 1) {
        if (!std::memchr(mask, 0, n)) return Counting::all;
        return *mask == 0 && std::memcmp(mask, mask + 1, n - 1) == 0 ? Counting::none : Counting::some;
    }
    std::size_t count = 0;
    for (std::size_t i = 0; i < n; ++i) count += mask[static_cast<std::ptrdiff_t>(i) * step] != 0;
    return count == 0 ? Counting::none : count == n ? Counting::all : Counting::some;
}

// Some rows and lanes of masked data: the mask is the operand kExtra.
struct MaskedPlane {
    Bases at;
    std::ptrdiff_t stat, param;
    std::size_t rows, lanes;
    const Axis &row_axis, &lane_axis;

    const char* row(Operand k, std::size_t i) const {
        return at[k] + static_cast<std::ptrdiff_t>(i) * row_axis.stride[k];
    }
    bool counts(std::size_t row_index, std::size_t lane) const {
        return row(kExtra, row_index)[static_cast<std::ptrdiff_t>(lane) * lane_axis.stride[kExtra]] != 0;
    }
    Counting counting(std::size_t i) const { return counting_of(row(kExtra, i), lane_axis.stride[kExtra], lanes); }
    // Whether rows can be read where they are.
    template <class T>
    bool in_place(Operand k) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const bool contiguous = lanes == 1 || lane_axis.stride[k] == size;
        return contiguous && (rows == 1 || row_axis.stride[k] % size == 0) && aligned<T>(at[k]);
    }
    template <class T>
    T element(Operand k, std::size_t row_index, std::size_t lane) const {
        T value;
        std::memcpy(&value, row(k, row_index) + static_cast<std::ptrdiff_t>(lane) * lane_axis.stride[k], sizeof(T));
        return value;
    }
    // A row of lanes: in place where it is contiguous, else in the tile.
    template <class T>
    const T* read(Operand k, std::size_t i, T* tile) const {
        if (in_place<T>(k)) return reinterpret_cast<const T*>(row(k, i));
        gather(row(k, i), lane_axis.stride[k], lanes, tile);
        return tile;
    }
    const std::uint8_t* mask(std::size_t i, std::uint8_t* tile) const { return read<std::uint8_t>(kExtra, i, tile); }
    // Calls f(first row, n, kind) for runs of rows that are of one kind.
    template <class F>
    void runs(F&& f) const {
        for (std::size_t begin = 0, end; begin < rows; begin = end) {
            const Counting kind = counting(begin);
            for (end = begin + 1; end < rows && counting(end) == kind;) ++end;
            f(begin, end - begin, kind);
        }
    }
    // Some of the rows.
    MaskedPlane part(std::size_t first, std::size_t n) const {
        Offset offset;
        offset.advance(row_axis, first);
        return {fastnorm::at(at, offset), stat + offset.stat, param + offset.param, n, lanes, row_axis, lane_axis};
    }
};

// All rows of an operand of a plane, `step` apart: where they are, or else in a tile.
template <class V>
class RowsOf {
public:
    RowsOf(const MaskedPlane& p, Operand k)
        : tile_(p.in_place<V>(k) ? 1 : p.rows * p.lanes),
          from(reinterpret_cast<const V*>(p.at[k])),
          step(p.row_axis.stride[k] / static_cast<std::ptrdiff_t>(sizeof(V))) {
        if (p.in_place<V>(k)) return;
        for (std::size_t i = 0; i < p.rows; ++i) {
            gather(p.row(k, i), p.lane_axis.stride[k], p.lanes, tile_ + i * p.lanes);
        }
        from = tile_, step = static_cast<std::ptrdiff_t>(p.lanes);
    }

private:
    const Borrowed<V> tile_;

public:
    const V* from;
    std::ptrdiff_t step;
};

// Walks masked data plane by plane, in stretches that depend on the shape only.
class MaskedWalk {
public:
    // At most so many stretches.
    MaskedWalk(Axes axes, std::size_t most) {
        axes.merge(false);
        lanes_ = take(axes, [](const Axis& a, const Axis& best) { return is_closer(a, best); }, true);
        rows_ = take(
            axes,
            [](const Axis& a, const Axis& best) {
                return a.is_reduced() != best.is_reduced() ? a.is_reduced() : a.n > best.n;
            },
            false);
        outer_ = axes;
        stretches_ = std::min(most, first().n);
    }

    std::size_t stretches() const { return stretches_; }
    const Axis& rows() const { return rows_; }
    const Axis& lanes() const { return lanes_; }

    // Calls f(stretch, planes) for every stretch; planes(g) calls g(plane) for planes of at most so many rows and
    // lanes.
    template <class F>
    void stretches(const Bases& bases, int threads, std::size_t most_rows, std::size_t most_lanes, F&& f) const {
        parallel_for(stretches_, threads, [&](std::size_t k) {
            f(k, [&](auto&& g) {
                const std::size_t begin = first().n * k / stretches_, end = first().n * (k + 1) / stretches_;
                if (outer_.size() == 0) return rows_of(bases, Offset(), begin, end, most_rows, most_lanes, g);
                const std::size_t each = outer_.count() / first().n;
                for (std::size_t i = begin * each; i < end * each; ++i) {
                    rows_of(bases, outer_.offset(i), 0, rows_.n, most_rows, most_lanes, g);
                }
            });
        });
    }
    // Calls f(stretch, plane).
    template <class F>
    void planes(const Bases& bases, int threads, std::size_t most_rows, std::size_t most_lanes, F&& f) const {
        stretches(bases, threads, most_rows, most_lanes,
                  [&](std::size_t k, auto&& planes) { planes([&](const MaskedPlane& p) { f(k, p); }); });
    }

private:
    const Axis& first() const { return outer_.size() > 0 ? outer_[0] : rows_; }

    static bool is_closer(const Axis& a, const Axis& best) {
        const auto step = std::abs(a.stride[kX]);
        return step != 0 && (best.stride[kX] == 0 || step < std::abs(best.stride[kX]));
    }

    // Lanes must step through the side arrays by 0 or 1.
    template <class Better>
    static Axis take(Axes& axes, const Better& better, bool lanes) {
        std::size_t best = axes.size();
        for (std::size_t i = axes.size(); i-- > 0;) {
            if (lanes && (axes[i].stat > 1 || axes[i].param > 1)) continue;
            if (best == axes.size() || better(axes[i], axes[best])) best = i;
        }
        if (best == axes.size()) return kNoAxis;
        const Axis axis = axes[best];
        axes.erase(best);
        return axis;
    }

    template <class F>
    void rows_of(const Bases& bases, const Offset& outer, std::size_t begin, std::size_t end, std::size_t most_rows,
                 std::size_t most_lanes, F&& f) const {
        for (std::size_t row = begin; row < end; row += most_rows) {
            for (std::size_t lane = 0; lane < lanes_.n; lane += most_lanes) {
                Offset offset = outer;
                offset.advance(rows_, row);
                offset.advance(lanes_, lane);
                f({fastnorm::at(bases, offset), offset.stat, offset.param, std::min(most_rows, end - row),
                   std::min(most_lanes, lanes_.n - lane), rows_, lanes_});
            }
        }
    }

    Axes outer_;
    Axis lanes_ = kNoAxis, rows_ = kNoAxis;
    std::size_t stretches_ = 1;
};

}  // namespace fastnorm

// Forward down columns: sums of superblocks of lane tiles, merged per lane, then one sweep over the rows. Where all
// rows of a lane tile fit into the cache a task does all three, else each is a parallel phase of its own.
#include <algorithm>
#include <vector>

#include "call.h"
#include "columns.h"
#include "spans.h"

namespace fastnorm {
namespace {

constexpr std::size_t kCacheBytes = 256 * 1024;

// Squares whose sum lies outside may have lost bits in the compute type.
template <class C>
bool is_safe(double s2) {
    return sizeof(C) == 4 ? s2 >= 0x1p-80 && s2 <= 0x1p120 : s2 >= 0x1p-960 && s2 <= 0x1p1000;
}

template <class T>
class ColumnForward {
public:
    using C = Compute<T>;

    ColumnForward(const Call<T>& call, const Saved& saved, bool output)
        : call_(call),
          saved_(saved),
          output_(output),
          columns_(call.plan),
          outer_(call.plan.kept.count()),
          partial_(outer_ * columns_.parts() * columns_.lanes()),
          finished_(outer_ * columns_.tiles()),
          stats_(outer_ * columns_.lanes()) {}

    void run() {
        const std::size_t tiles = columns_.tiles(), parts = columns_.parts();
        const auto threads = static_cast<std::size_t>(call_.threads);
        if (call_.sum) SumSweep<T>(call_, call_.plan.axes).run_parallel(call_.bases, call_.threads);
        if (columns_.rows() * columns_.tile() * sizeof(T) <= kCacheBytes && outer_ * tiles >= threads) {
            parallel_for(outer_ * tiles, call_.threads, [&](std::size_t task) {
                const std::size_t outer = task / tiles, tile = task % tiles;
                for (std::size_t part = 0; part < parts; ++part) sum(outer, part, tile);
                finish(outer, tile);
                if (!output_) return;
                sweep(outer, tile);
            });
            return;
        }
        parallel_for(outer_ * parts * tiles, call_.threads,
                     [&](std::size_t task) { sum(task / tiles / parts, task / tiles % parts, task % tiles); });
        parallel_for(outer_ * tiles, outer_ * columns_.lanes() < 4096 ? 1 : call_.threads,
                     [&](std::size_t task) { finish(task / tiles, task % tiles); });
        if (!output_) return;
        plane_of(columns_.lanes()).run_groups(call_.bases, stats_, call_.plan.kept, columns_.lanes(), call_.threads);
    }

private:
    Moments& partial(std::size_t outer, std::size_t part, std::size_t lane) {
        return partial_[(outer * columns_.parts() + part) * columns_.lanes() + lane];
    }
    Bases bases(std::size_t outer, std::size_t lane) const {
        Offset offset = call_.plan.kept.offset(outer);
        offset.advance(columns_.lane_axis(), lane);
        return at(call_.bases, offset);
    }
    // Moments of one superblock of one tile of lanes.
    void sum(std::size_t outer, std::size_t part, std::size_t tile) {
        const std::size_t lanes = columns_.lanes_of(tile), rows = columns_.rows_of(part);
        const std::size_t first_lane = tile * columns_.tile(), first_row = columns_.first_row(part);
        const Bases first = bases(outer, first_lane);
        RowReader<T> reader(columns_, kX);
        std::vector<C> pivots(lanes, C(0));
        std::vector<double> s1(lanes), s2(lanes);
        if (call_.centred()) {
            const auto sample = reader.read(first[kX], first_row, std::min(rows, kRows), lanes);
            call_.kernels.column_pivots(sample.data, sample.step, rows, lanes, pivots.data());
        }
        const auto accumulate = [&] {
            std::fill(s1.begin(), s1.end(), 0.0);
            std::fill(s2.begin(), s2.end(), 0.0);
            for (std::size_t row = 0; row < rows; row += kRows) {
                const std::size_t some = std::min(kRows, rows - row);
                const auto block = reader.read(first[kX], first_row + row, some, lanes);
                call_.kernels.column_moments(block.data, block.step, some, lanes, pivots.data(), s1.data(), s2.data());
            }
        };
        accumulate();
        if (call_.centred() && move_pivots(rows, s1, s2, pivots)) accumulate();
        if (finish_at_once(outer, first_lane, rows, pivots, s1, s2)) {
            finished_[outer * columns_.tiles() + tile] = 1;
            return;
        }
        for (std::size_t i = 0; i < lanes; ++i) {
            const char* column = first[kX] + columns_.lane_bytes(kX, i);
            const bool safe = is_safe<C>(s2[i]) || (s2[i] == 0 && is_constant(column, first_row, rows, pivots[i]));
            partial(outer, part, first_lane + i) =
                safe ? from_sums(rows, pivots[i], s1[i], s2[i], call_.centred()) : exact(column, first_row, rows);
        }
    }

    // What `finish` does, in vectors, for lanes that are groups of one superblock each and have ordinary statistics.
    bool finish_at_once(std::size_t outer, std::size_t first_lane, std::size_t rows, const std::vector<C>& pivots,
                        const std::vector<double>& s1, const std::vector<double>& s2) {
        if (!is_mean_of_squares(call_.scale.statistic) || columns_.parts() > 1 || columns_.width() > 1) return false;
        if (!std::all_of(s2.begin(), s2.end(), is_safe<C>)) return false;
        const std::ptrdiff_t first = call_.plan.kept.offset(outer).stat;
        BlockSums sums;
        double mean[kBatch], scale[kBatch], m2[kBatch];
        C h[kBatch], l[kBatch], r[kBatch];
        for (std::size_t begin = 0; begin < pivots.size(); begin += kBatch) {
            const std::size_t n = std::min(kBatch, pivots.size() - begin), lane = first_lane + begin;
            std::copy_n(pivots.begin() + static_cast<std::ptrdiff_t>(begin), n, sums.pivot);
            std::copy_n(s1.begin() + static_cast<std::ptrdiff_t>(begin), n, sums.s1);
            std::copy_n(s2.begin() + static_cast<std::ptrdiff_t>(begin), n, sums.s2);
            if (!call_.kernels.group_statistics(sums, n, rows, call_.centred(), call_.scale.eps,
                                                {mean, scale, m2, h, l, r})) {
                return false;
            }
            stats_.copy(outer * columns_.lanes() + lane, n, mean, scale, h, l, r);
            for (std::size_t i = 0; saved_.any() && i < n; ++i) {
                save(saved_, first + static_cast<std::ptrdiff_t>(lane + i) * call_.plan.lane.stat, mean[i], scale[i],
                     m2[i]);
            }
        }
        return true;
    }

    // Moves the pivots of lanes whose sample was not typical, see moments-inl.h.
    static bool move_pivots(std::size_t rows, const std::vector<double>& s1, const std::vector<double>& s2,
                            std::vector<C>& pivots) {
        const auto n = static_cast<double>(rows);
        bool moved = false;
        for (std::size_t i = 0; i < pivots.size(); ++i) {
            if (s1[i] * s1[i] <= 0.25 * n * s2[i]) continue;
            pivots[i] = static_cast<C>(pivots[i] + s1[i] / n);
            moved = true;
        }
        return moved;
    }

    bool is_constant(const char* column, std::size_t first_row, std::size_t rows, double value) const {
        for (std::size_t i = 0; i < rows; ++i) {
            T each;
            std::memcpy(&each, column + columns_.row(first_row + i).at[kX], sizeof(T));
            if (widen(each) != value) return false;
        }
        return true;
    }

    Moments exact(const char* column, std::size_t first_row, std::size_t rows) const {
        std::vector<T> values(rows);
        for (std::size_t i = 0; i < rows; ++i) {
            std::memcpy(&values[i], column + columns_.row(first_row + i).at[kX], sizeof(T));
        }
        return exact_moments(values.data(), rows, call_.centred());
    }

    Planes<T> plane_of(std::size_t lanes) const {
        return Planes<T>(call_.kernels, columns_.box(lanes), call_.affine, Step::normalize, call_.stream);
    }
    void sweep(std::size_t outer, std::size_t tile) const {
        const std::size_t lane = tile * columns_.tile();
        const Planes<T> planes = plane_of(columns_.lanes_of(tile));
        Offset offset = call_.plan.kept.offset(outer);
        offset.advance(columns_.lane_axis(), lane);
        planes.run(at(call_.bases, offset), stats_, 0, planes.units(),
                   static_cast<std::ptrdiff_t>(outer * columns_.lanes() + lane), offset.param);
    }

    // Merges the superblocks of a tile's lanes, and the lanes of a group.
    void finish(std::size_t outer, std::size_t tile) {
        if (finished_[outer * columns_.tiles() + tile]) return;
        const std::size_t begin = tile * columns_.tile(), width = columns_.width();
        const std::ptrdiff_t first = call_.plan.kept.offset(outer).stat;
        for (std::size_t lane = begin; lane < begin + columns_.lanes_of(tile); lane += width) {
            Tree<Moments> group;
            for (std::size_t i = lane; i < lane + width; ++i) {
                Tree<Moments> column;
                for (std::size_t part = 0; part < columns_.parts(); ++part) column.add(partial(outer, part, i));
                group.add(column.result());
            }
            const Moments m = group.result();
            const double scale = rstd(call_.scale, m.m2, m.n);
            for (std::size_t i = lane; i < lane + width; ++i) {
                stats_.set(outer * columns_.lanes() + i, m.origin, m.rest, scale);
            }
            const std::ptrdiff_t stat = first + static_cast<std::ptrdiff_t>(lane / width) * call_.plan.lane.stat;
            save(saved_, stat, m.origin + m.rest, scale, m.m2);
        }
    }

    const Call<T>& call_;
    const Saved& saved_;
    bool output_;
    Columns columns_;
    std::size_t outer_;
    std::vector<Moments> partial_;
    std::vector<char> finished_;  // tiles; not bool, whose bits threads would share
    Coefficients<C> stats_;
};

}  // namespace

template <class T>
void column_forward(const Call<T>& call, const Saved& saved, bool output) {
    ColumnForward<T>(call, saved, output).run();
}

template void column_forward(const Call<float>&, const Saved&, bool);
template void column_forward(const Call<double>&, const Saved&, bool);
template void column_forward(const Call<BF16>&, const Saved&, bool);
template void column_forward(const Call<F16>&, const Saved&, bool);

}  // namespace fastnorm

// Forward down columns: sums of superblocks of lane tiles, merged per group, then one sweep over the rows. Where all
// rows of a lane tile fit into the cache a task does all three, else each is a parallel phase of its own.
#include <algorithm>
#include <vector>

#include "call.h"
#include "column_moments.h"
#include "spans.h"

namespace fastnorm {
namespace {

constexpr std::size_t kCacheBytes = 256 * 1024;

template <class T>
class ColumnForward {
public:
    using C = Compute<T>;

    ColumnForward(const Call<T>& call, const Saved& saved, bool output)
        : call_(call), saved_(saved), output_(output), columns_(call.plan), outer_(call.plan.kept.count()) {}

    void run() {
        const std::size_t tiles = columns_.tiles(), parts = columns_.parts();
        const auto threads = static_cast<std::size_t>(call_.threads);
        if (call_.sum) SumSweep<T>(call_, call_.plan.axes).run_parallel(call_.bases, call_.threads);
        if (columns_.rows() * columns_.tile() * sizeof(T) <= kCacheBytes && outer_ * tiles >= threads) {
            parallel_for(outer_ * tiles, call_.threads, [&](std::size_t task) {
                const std::size_t outer = task / tiles, tile = task % tiles, lane = tile * columns_.tile();
                Lanes own(columns_, {outer, 1, lane, columns_.lanes_of(tile)}, output_);
                bool finished = false;
                for (std::size_t part = 0; part < parts; ++part) finished = sum(own, outer, part, tile);
                if (!finished) finish(own, outer, tile);
                if (!output_) return;
                const Planes<T> planes = plane_of(columns_.lanes_of(tile));
                planes.run(bases(outer, lane), own.stats, 0, planes.units(), 0, offset(outer, lane).param);
            });
            return;
        }
        Lanes all(columns_, {0, outer_, 0, columns_.lanes()}, output_);
        std::vector<char> finished(outer_ * tiles);  // not bool, whose bits threads would share
        parallel_for(outer_ * parts * tiles, call_.threads, [&](std::size_t task) {
            const std::size_t outer = task / tiles / parts, tile = task % tiles;
            if (sum(all, outer, task / tiles % parts, tile)) finished[outer * tiles + tile] = 1;
        });
        parallel_for(outer_ * tiles, outer_ * columns_.lanes() < 4096 ? 1 : call_.threads, [&](std::size_t task) {
            if (!finished[task]) finish(all, task / tiles, task % tiles);
        });
        if (!output_) return;
        plane_of(columns_.lanes()).run_groups(call_.bases, all.stats, call_.plan.kept, columns_.lanes(), call_.threads);
    }

private:
    struct Range {
        std::size_t outer, outers, lane, lanes;
    };
    // What is known of a range of lanes: moments of superblocks, and with output the statistics that follow.
    struct Lanes {
        Lanes(const Columns& columns, const Range& range, bool output)
            : range(range),
              width(columns.width()),
              parts(columns.parts()),
              partial(range.outers * parts * range.lanes / width),
              stats(output ? range.outers * range.lanes : 0) {}

        Moments& moments(std::size_t outer, std::size_t part, std::size_t group) {
            return partial[((outer - range.outer) * parts + part) * (range.lanes / width) + group - range.lane / width];
        }
        std::size_t stat(std::size_t outer, std::size_t lane) const {
            return (outer - range.outer) * range.lanes + lane - range.lane;
        }

        Range range;
        std::size_t width, parts;
        std::vector<Moments> partial;
        Coefficients<C> stats;
    };

    Offset offset(std::size_t outer, std::size_t lane) const {
        Offset offset = call_.plan.kept.offset(outer);
        offset.advance(columns_.lane_axis(), lane);
        return offset;
    }
    Bases bases(std::size_t outer, std::size_t lane) const { return at(call_.bases, offset(outer, lane)); }

    // Moments of one superblock of one tile of lanes. True if the tile is finished with it.
    bool sum(Lanes& to, std::size_t outer, std::size_t part, std::size_t tile) {
        const std::size_t lanes = columns_.lanes_of(tile);
        const std::size_t width = columns_.width(), first_group = tile * columns_.tile() / width;
        const char* const x = bases(outer, tile * columns_.tile())[kX];
        const ColumnMoments<T> moments(call_, columns_, x, part);
        const auto sums = moments.sums(lanes);
        if (finish_at_once(to, outer, first_group, sums)) return true;
        for (std::size_t g = 0; g < lanes / width; ++g) {
            to.moments(outer, part, first_group + g) = moments.group(sums, g);
        }
        return false;
    }

    // What `finish` does, in vectors, for groups of one superblock each that have ordinary statistics.
    bool finish_at_once(Lanes& to, std::size_t outer, std::size_t first_group, const ColumnSums<C>& sums) {
        if (!is_mean_of_squares(call_.scale.statistic) || columns_.parts() > 1) return false;
        if (!std::all_of(sums.s2.begin(), sums.s2.end(), is_safe<C>)) return false;
        const std::size_t width = columns_.width(), elements = columns_.rows() * width;
        const std::ptrdiff_t first = call_.plan.kept.offset(outer).stat;
        BlockSums block;
        double mean[kBatch], scale[kBatch], m2[kBatch];
        C h[kBatch], l[kBatch], r[kBatch];
        for (std::size_t begin = 0; begin < sums.s2.size(); begin += kBatch) {
            const std::size_t n = std::min(kBatch, sums.s2.size() - begin), group = first_group + begin;
            std::copy_n(sums.pivots.data() + begin, n, block.pivot);
            std::copy_n(sums.s1.data() + begin, n, block.s1);
            std::copy_n(sums.s2.data() + begin, n, block.s2);
            if (!call_.kernels.group_statistics(block, n, elements, call_.centred(), call_.scale.eps,
                                                {mean, scale, m2, h, l, r})) {
                return false;
            }
            if (output_) to.stats.copy(to.stat(outer, group * width), n, width, {mean, scale, m2, h, l, r});
            for (std::size_t i = 0; saved_.any() && i < n; ++i) {
                save(saved_, first + static_cast<std::ptrdiff_t>(group + i) * call_.plan.lane.stat, mean[i], scale[i],
                     m2[i]);
            }
        }
        return true;
    }

    Planes<T> plane_of(std::size_t lanes) const {
        return Planes<T>(call_.kernels, columns_.box(lanes), call_.affine, Step::normalize, call_.stream);
    }

    // Merges the superblocks of a tile's groups.
    void finish(Lanes& of, std::size_t outer, std::size_t tile) {
        const std::size_t width = columns_.width(), begin = tile * columns_.tile() / width;
        const std::ptrdiff_t first = call_.plan.kept.offset(outer).stat;
        for (std::size_t group = begin; group < begin + columns_.lanes_of(tile) / width; ++group) {
            Tree<Moments> tree;
            for (std::size_t part = 0; part < columns_.parts(); ++part) tree.add(of.moments(outer, part, group));
            const Moments m = tree.result(), own = unscaled(m);
            const double scale = rstd(call_.scale, m);
            for (std::size_t lane = group * width; output_ && lane < (group + 1) * width; ++lane) {
                of.stats.set(of.stat(outer, lane), own.origin, own.rest, scale);
            }
            const std::ptrdiff_t stat = first + static_cast<std::ptrdiff_t>(group) * call_.plan.lane.stat;
            save(saved_, stat, own.origin + own.rest, scale, own.m2);
        }
    }

    const Call<T>& call_;
    const Saved& saved_;
    bool output_;
    Columns columns_;
    std::size_t outer_;
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

// Forward down columns: sums of superblocks of lane tiles, merged per group, then one sweep over the rows. Where all
// rows of a lane tile fit into the cache a task does all three, else each is a parallel phase of its own.
#include <algorithm>
#include <vector>

#include "column_driver.h"
#include "column_moments.h"
#include "drivers/driver_call.h"
#include "shape/limits.h"
#include "spans.h"

namespace fastnorm {
namespace {

template <class T>
class ColumnForward : ColumnDriver<T, Moments> {
    using Driver = ColumnDriver<T, Moments>;
    friend Driver;

public:
    using typename Driver::C;
    using typename Driver::Lanes;

    ColumnForward(const Call<T>& call, const Saved& saved, bool output)
        : Driver(call, Step::normalize, Columns(call.plan).width()), saved_(saved), output_(output) {}

    void run() {
        if (call_.sum) SumSweep<T>(call_, call_.plan.axes).run_parallel(call_.bases, call_.threads);
        const int finishing = outer_ * columns_.lanes() < 4096 ? 1 : call_.threads;
        this->run_columns(*this, this->tile_bytes() <= limits::kColumnForwardBytes, output_, output_, finishing);
    }

private:
    using Driver::call_;
    using Driver::columns_;
    using Driver::outer_;

    void prepare(Lanes&) const {}

    // Moments of one superblock of one tile of lanes. True if the tile is finished with it.
    bool sum(Lanes& to, std::size_t outer, std::size_t part, std::size_t tile) {
        const std::size_t lanes = columns_.lanes_of(tile);
        const std::size_t width = columns_.width(), first_group = tile * columns_.tile() / width;
        const char* const x = at(call_.bases, this->offset(outer, tile * columns_.tile()))[kX];
        const ColumnMoments<T> moments(call_, columns_, x, part);
        const auto sums = moments.sums(lanes);
        if (finish_at_once(to, outer, first_group, sums)) return true;
        for (std::size_t g = 0; g < lanes / width; ++g) {
            to.value(outer, part, first_group + g) = moments.group(sums, g);
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

    // Merges the superblocks of a tile's groups.
    void finish(Lanes& of, std::size_t outer, std::size_t tile) {
        const std::size_t width = columns_.width(), begin = tile * columns_.tile() / width;
        const std::ptrdiff_t first = call_.plan.kept.offset(outer).stat;
        for (std::size_t group = begin; group < begin + columns_.lanes_of(tile) / width; ++group) {
            const Moments m = of.total(outer, group), own = unscaled(m);
            const double scale = rstd(call_.scale, m);
            for (std::size_t lane = group * width; output_ && lane < (group + 1) * width; ++lane) {
                of.stats.set(of.stat(outer, lane), own.origin, own.rest, scale);
            }
            const std::ptrdiff_t stat = first + static_cast<std::ptrdiff_t>(group) * call_.plan.lane.stat;
            save(saved_, stat, own.origin + own.rest, scale, own.m2);
        }
    }

    const Saved& saved_;
    bool output_;
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

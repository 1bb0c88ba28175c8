// The skeleton of the drivers down columns: sums of superblocks of lane tiles, merged, then one sweep over the rows.
// Where all rows of a lane tile fit into the cache a task does all three, else each is a parallel phase of its own.
#pragma once

#include <vector>

#include "columns.h"
#include "driver_call.h"
#include "shape/limits.h"

namespace fastnorm {

// `Value` is what a superblock of one unit is summed to: a unit is a lane or, merged, `width` lanes of a group.
template <class T, class Value>
class ColumnDriver {
public:
    using C = Compute<T>;

    // What is known of a range of lanes, of some of the outer indices.
    struct Lanes {
        std::size_t outer, outers, lane, lanes, width, parts;
        std::vector<Value> partial;
        Coefficients<C> stats;

        Lanes(std::size_t first_outer, std::size_t outer_count, std::size_t first_lane, std::size_t lane_count,
              std::size_t lanes_of_unit, std::size_t part_count, bool has_stats)
            : outer(first_outer),
              outers(outer_count),
              lane(first_lane),
              lanes(lane_count),
              width(lanes_of_unit),
              parts(part_count),
              partial(outers * parts * lanes / width),
              stats(has_stats ? outers * lanes : 0) {}

        Value& value(std::size_t at_outer, std::size_t part, std::size_t unit) {
            return partial[((at_outer - outer) * parts + part) * (lanes / width) + unit - lane / width];
        }
        // The superblocks of a unit, merged.
        Value total(std::size_t at_outer, std::size_t unit) {
            if (parts == 1) return value(at_outer, 0, unit);
            Tree<Value> tree;
            for (std::size_t part = 0; part < parts; ++part) tree.add(value(at_outer, part, unit));
            return tree.result();
        }
        std::size_t stat(std::size_t at_outer, std::size_t at_lane) const {
            return (at_outer - outer) * lanes + at_lane - lane;
        }
    };

protected:
    // `unit`: lanes of a unit.
    ColumnDriver(const Call<T>& call, Step step, std::size_t unit)
        : call_(call), columns_(call.plan), outer_(call.plan.kept.count()), step_(step), unit_(unit) {}

    // Bytes of a lane tile with all of its rows.
    std::size_t tile_bytes() const { return columns_.rows() * columns_.tile() * sizeof(T); }
    Offset offset(std::size_t outer, std::size_t lane) const {
        Offset offset = call_.plan.kept.offset(outer);
        offset += columns_.lane(lane);
        return offset;
    }

    // The driver has prepare(lanes); sum(lanes, outer, part, tile), true if the tile is finished with it; and
    // finish(lanes, outer, tile). `fits`: whether a tile stays in the cache. `finishing`: threads for small merges.
    template <class Driver>
    void run_columns(Driver& driver, bool fits, bool sweeps, bool has_stats, int finishing) {
        const std::size_t tiles = columns_.tiles(), parts = columns_.parts();
        if (fits && outer_ * tiles >= static_cast<std::size_t>(call_.threads)) {
            // Small tiles of several outer indices share a task, whose own cost is that of some hundred elements.
            const std::size_t most = outer_ * tiles / (4 * static_cast<std::size_t>(call_.threads));
            const std::size_t together =
                std::clamp<std::size_t>(std::min(most, limits::kColumnTaskBytes / (tile_bytes() + 1)), 1, outer_);
            parallel_for((outer_ + together - 1) / together * tiles, call_.threads, [&](std::size_t task) {
                const std::size_t begin = task / tiles * together, end = std::min(begin + together, outer_);
                const std::size_t tile = task % tiles, lane = tile * columns_.tile();
                Lanes own(begin, end - begin, lane, columns_.lanes_of(tile), unit_, parts, has_stats);
                driver.prepare(own);
                for (std::size_t outer = begin; outer < end; ++outer) {
                    bool finished = false;
                    for (std::size_t part = 0; part < parts; ++part) finished = driver.sum(own, outer, part, tile);
                    if (!finished) driver.finish(own, outer, tile);
                }
                if (!sweeps) return;
                const Planes<T> planes = plane_of(columns_.lanes_of(tile));
                for (std::size_t outer = begin; outer < end; ++outer) {
                    const Offset first = offset(outer, lane);
                    const auto stat = static_cast<std::ptrdiff_t>(own.stat(outer, lane));
                    planes.run(at(call_.bases, first), own.stats, 0, planes.units(), stat, first.param);
                }
            });
            return;
        }
        Lanes all(0, outer_, 0, columns_.lanes(), unit_, parts, has_stats);
        driver.prepare(all);
        std::vector<char> finished(outer_ * tiles);  // not bool, whose bits threads would share
        parallel_for(outer_ * parts * tiles, call_.threads, [&](std::size_t task) {
            const std::size_t outer = task / tiles / parts, tile = task % tiles;
            if (driver.sum(all, outer, task / tiles % parts, tile)) finished[outer * tiles + tile] = 1;
        });
        parallel_for(outer_ * tiles, finishing, [&](std::size_t task) {
            if (!finished[task]) driver.finish(all, task / tiles, task % tiles);
        });
        if (!sweeps) return;
        plane_of(columns_.lanes()).run_groups(call_.bases, all.stats, call_.plan.kept, columns_.lanes(), call_.threads);
    }

    const Call<T>& call_;
    Columns columns_;
    std::size_t outer_;

private:
    Planes<T> plane_of(std::size_t lanes) const {
        return Planes<T>(call_.kernels, columns_.box(lanes), call_.affine, step_, call_.stream);
    }

    Step step_;
    std::size_t unit_;
};

}  // namespace fastnorm

// Backward down columns: every lane is a cell. Sums of superblocks of lane tiles, merged per lane and group, then one
// sweep over the rows; all three in one task where a lane tile fits into the cache.
#include "columns.h"
#include "gradient.h"

namespace fastnorm {
namespace {

constexpr std::size_t kCacheBytes = 512 * 1024;

template <class T>
class ColumnBackward {
public:
    using C = Compute<T>;

    explicit ColumnBackward(const GradientCall<T>& gradient)
        : gradient_(gradient),
          call_(gradient.call),
          columns_(call_.plan),
          outer_(call_.plan.kept.count()),
          cells_(outer_ * columns_.lanes()) {}

    void run() {
        const std::size_t tiles = columns_.tiles(), parts = columns_.parts();
        if (2 * columns_.rows() * columns_.tile() * sizeof(T) <= kCacheBytes &&
            outer_ * tiles >= static_cast<std::size_t>(call_.threads)) {
            parallel_for(outer_ * tiles, call_.threads, [&](std::size_t task) {
                const std::size_t outer = task / tiles, tile = task % tiles, lane = tile * columns_.tile();
                Lanes own(*this, {outer, 1, lane, columns_.lanes_of(tile)});
                for (std::size_t part = 0; part < parts; ++part) sum(own, outer, part, tile);
                finish(own, outer, tile);
                if (!gradient_.wants_dx()) return;
                const Planes<T> planes = plane_of(columns_.lanes_of(tile));
                const Offset first = offset(outer, lane);
                planes.run(at(call_.bases, first), own.stats, 0, planes.units(), 0, first.param);
            });
        } else {
            Lanes all(*this, {0, outer_, 0, columns_.lanes()});
            parallel_for(outer_ * parts * tiles, call_.threads,
                         [&](std::size_t task) { sum(all, task / tiles / parts, task / tiles % parts, task % tiles); });
            parallel_for(outer_ * tiles, threads_for(all.partial.size() * sizeof(Cell)),
                         [&](std::size_t task) { finish(all, task / tiles, task % tiles); });
            if (gradient_.wants_dx()) {
                plane_of(columns_.lanes())
                    .run_groups(call_.bases, all.stats, call_.plan.kept, columns_.lanes(), call_.threads);
            }
        }
        sum_parameters(gradient_, call_.plan.axes, cells_);
    }

private:
    struct Range {
        std::size_t outer, outers, lane, lanes;
    };
    // What is known of a range of lanes: their statistics, and the sums of superblocks.
    struct Lanes {
        Lanes(const ColumnBackward& driver, const Range& range)
            : range(range),
              parts(driver.columns_.parts()),
              partial(range.outers * parts * range.lanes),
              stats(range.outers * range.lanes) {
            const std::size_t width = driver.columns_.width();
            const std::ptrdiff_t step = driver.call_.plan.lane.stat;
            const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(range.lane / width) * step;
            for (std::size_t i = 0; i < range.outers; ++i) {
                driver.gradient_.set_statistics(stats, i * range.lanes, range.lanes / width,
                                                driver.call_.plan.kept.offset(range.outer + i).stat + first, step,
                                                width);
            }
        }
        Cell& cell(std::size_t outer, std::size_t part, std::size_t lane) {
            return partial[((outer - range.outer) * parts + part) * range.lanes + lane - range.lane];
        }
        std::size_t stat(std::size_t outer, std::size_t lane) const {
            return (outer - range.outer) * range.lanes + lane - range.lane;
        }

        Range range;
        std::size_t parts;
        std::vector<Cell> partial;
        Coefficients<C> stats;
    };

    Offset offset(std::size_t outer, std::size_t lane) const {
        Offset offset = call_.plan.kept.offset(outer);
        offset.advance(columns_.lane_axis(), lane);
        return offset;
    }

    void sum(Lanes& to, std::size_t outer, std::size_t part, std::size_t tile) {
        static constexpr C one = 1;
        const std::size_t lanes = columns_.lanes_of(tile), rows = columns_.rows_of(part);
        const std::size_t lane = tile * columns_.tile(), first_row = columns_.first_row(part);
        const Bases first = at(call_.bases, offset(outer, lane));
        const std::size_t stat = to.stat(outer, lane);
        RowReader<T> x(columns_, kX), dy(columns_, kDy);
        std::vector<double> s1(lanes), s2(lanes);
        Plane<T> p{};
        p.h = to.stats.h + stat, p.l = to.stats.l + stat, p.r = to.stats.r + stat;
        p.stat_lanes = true;
        p.w = p.b = &one;
        p.lanes = lanes;
        for (std::size_t row = 0; row < rows; row += kRows) {
            p.rows = std::min(kRows, rows - row);
            const Rows<T> x_rows = x.read(first[kX], first_row + row, p.rows, lanes);
            const Rows<T> dy_rows = dy.read(first[kDy], first_row + row, p.rows, lanes);
            p.x = x_rows.data, p.x_row = x_rows.step;
            p.dy = dy_rows.data, p.dy_row = dy_rows.step;
            call_.kernels.column_gradients(p, s1.data(), s2.data());
        }
        for (std::size_t i = 0; i < lanes; ++i) {
            const auto own = [&] { return exact(to.stats, first, i, first_row, rows, stat + i); };
            to.cell(outer, part, lane + i) = to.stats.extreme(stat + i) ? own() : repaired({s1[i], s2[i]}, own);
        }
    }

    Cell exact(const Coefficients<C>& stats, const Bases& first, std::size_t lane, std::size_t first_row,
               std::size_t rows, std::size_t stat) const {
        static constexpr C one = 1;
        Cell total{};
        for (std::size_t row = first_row; row < first_row + rows; ++row) {
            const T x = element<T>(columns_, kX, first[kX], row, lane);
            const T dy = element<T>(columns_, kDy, first[kDy], row, lane);
            total = merge(total, exact_sums(&dy, &x, 1, stats, stat, &one, 0));
        }
        return total;
    }

    // Merges the superblocks of a tile's lanes into cells, and the cells of a group into its sums.
    void finish(Lanes& of, std::size_t outer, std::size_t tile) {
        const std::size_t begin = tile * columns_.tile(), width = columns_.width();
        const Offset own = call_.plan.kept.offset(outer);
        const std::ptrdiff_t step = columns_.lane_axis().param;
        const double inverse = call_.inverse(columns_.rows() * width);
        std::ptrdiff_t stat = own.stat + static_cast<std::ptrdiff_t>(begin / width) * call_.plan.lane.stat;
        for (std::size_t lane = begin; lane < begin + columns_.lanes_of(tile); lane += width) {
            Cell* cell = cells_.data() + static_cast<std::size_t>(stat) * width;
            Cell total{};
            for (std::size_t j = 0; j < width; ++j) {
                cell[j] = merged(of, outer, lane + j);
                const double w = call_.affine.w[own.param + static_cast<std::ptrdiff_t>(lane + j) * step];
                total = merge(total, {w * cell[j].db, w * cell[j].dh});
            }
            gradient_.set_sums(of.stats, of.stat(outer, lane), stat, total, inverse, width);
            stat += call_.plan.lane.stat;
        }
    }
    Cell merged(Lanes& of, std::size_t outer, std::size_t lane) {
        if (columns_.parts() == 1) return of.cell(outer, 0, lane);
        Tree<Cell> tree;
        for (std::size_t part = 0; part < columns_.parts(); ++part) tree.add(of.cell(outer, part, lane));
        return tree.result();
    }

    Planes<T> plane_of(std::size_t lanes) const {
        return Planes<T>(call_.kernels, columns_.box(lanes), call_.affine, Step::input_gradient, call_.stream);
    }

    const GradientCall<T>& gradient_;
    const Call<T>& call_;
    Columns columns_;
    std::size_t outer_;
    std::vector<Cell> cells_;
};

}  // namespace

template <class T>
void column_gradients(const GradientCall<T>& gradient) {
    ColumnBackward<T>(gradient).run();
}

template void column_gradients(const GradientCall<float>&);
template void column_gradients(const GradientCall<double>&);
template void column_gradients(const GradientCall<BF16>&);
template void column_gradients(const GradientCall<F16>&);

}  // namespace fastnorm

// Backward down columns: every lane is a cell. Sums of superblocks of lane tiles, merged per lane and group, then one
// sweep over the rows; all three in one task where a lane tile fits into the cache.
#include "column_driver.h"
#include "drivers/backward_call.h"
#include "shape/limits.h"

namespace fastnorm {
namespace {

template <class T>
class ColumnBackward : ColumnDriver<T, Cell> {
    using Driver = ColumnDriver<T, Cell>;
    friend Driver;

public:
    using typename Driver::C;
    using typename Driver::Lanes;

    explicit ColumnBackward(const GradientCall<T>& gradient)
        : Driver(gradient.call, Step::input_gradient, 1),
          gradient_(gradient),
          shared_(columns_.width() / call_.plan.cells),
          cells_(outer_ * columns_.lanes() / shared_) {}

    void run() {
        const int finishing = threads_for(outer_ * columns_.parts() * columns_.lanes() * sizeof(Cell));
        this->run_columns(*this, 2 * this->tile_bytes() <= limits::kColumnBackwardBytes, gradient_.wants_dx(), true,
                          finishing);
        sum_parameters(gradient_, call_.plan.axes, cells_);
    }

private:
    using Driver::call_;
    using Driver::columns_;
    using Driver::outer_;

    // The statistics of the lanes.
    void prepare(Lanes& lanes) const {
        const std::size_t width = columns_.width();
        const std::ptrdiff_t step = call_.plan.lane.stat;
        const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(lanes.lane / width) * step;
        for (std::size_t i = 0; i < lanes.outers; ++i) {
            gradient_.set_statistics(lanes.stats, i * lanes.lanes, lanes.lanes / width,
                                     call_.plan.kept.offset(lanes.outer + i).stat + first, step, width);
        }
    }

    bool sum(Lanes& to, std::size_t outer, std::size_t part, std::size_t tile) {
        static constexpr C one = 1;
        const std::size_t lanes = columns_.lanes_of(tile), rows = columns_.rows_of(part);
        const std::size_t lane = tile * columns_.tile(), first_row = columns_.first_row(part);
        const Bases first = at(call_.bases, this->offset(outer, lane));
        const std::size_t stat = to.stat(outer, lane);
        const std::size_t all = columns_.folds(), wide = all * lanes;
        const Borrowed<double> wide1(wide), wide2(wide);
        std::fill_n(static_cast<double*>(wide1), wide, 0.0);
        std::fill_n(static_cast<double*>(wide2), wide, 0.0);
        const Borrowed<C> h(wide), l(wide), r(wide);
        repeat_folds(to.stats.h + stat, lanes, all, h);
        repeat_folds(to.stats.l + stat, lanes, all, l);
        repeat_folds(to.stats.r + stat, lanes, all, r);
        RowReader<T> x(columns_, kX), dy(columns_, kDy);
        Plane<T> p{};
        p.h = h, p.l = l, p.r = r;
        p.stat_lanes = true;
        p.w = p.b = &one;
        columns_.for_micro_blocks(rows, [&](std::size_t row, std::size_t n, std::size_t folds) {
            p.rows = n, p.lanes = folds * lanes;
            const Rows<T> x_rows = x.read(first[kX], first_row + row, n, lanes, folds);
            const Rows<T> dy_rows = dy.read(first[kDy], first_row + row, n, lanes, folds);
            p.x = x_rows.data, p.x_row = x_rows.step;
            p.dy = dy_rows.data, p.dy_row = dy_rows.step;
            call_.kernels.column_gradients(p, wide1, wide2);
        });
        std::vector<double> s1(lanes), s2(lanes);
        add_folds(wide1, lanes, all, s1.data());
        add_folds(wide2, lanes, all, s2.data());
        for (std::size_t i = 0; i < lanes; ++i) {
            const auto own = [&] { return exact(to.stats, first, i, first_row, rows, stat + i); };
            to.value(outer, part, lane + i) = to.stats.extreme(stat + i) ? own() : repaired({s1[i], s2[i]}, own);
        }
        return false;
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
        const double inverse = call_.inverse(columns_.rows() * width);
        std::ptrdiff_t stat = own.stat + static_cast<std::ptrdiff_t>(begin / width) * call_.plan.lane.stat;
        for (std::size_t lane = begin; lane < begin + columns_.lanes_of(tile); lane += width) {
            Cell* cell = cells_.data() + static_cast<std::size_t>(stat) * call_.plan.cells;
            Cell total{};
            for (std::size_t j = 0; j < width; ++j) {
                const Cell sums = of.total(outer, lane + j);
                Cell& to = cell[j / shared_];
                to = j % shared_ == 0 ? sums : merge(to, sums);
                const double w = call_.affine.w[own.param + columns_.lane(lane + j).param];
                total = merge(total, {w * sums.db, w * sums.dh});
            }
            gradient_.set_sums(of.stats, of.stat(outer, lane), stat, total, inverse, width);
            stat += call_.plan.lane.stat;
        }
    }
    const GradientCall<T>& gradient_;
    std::size_t shared_;  // lanes of a cell
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

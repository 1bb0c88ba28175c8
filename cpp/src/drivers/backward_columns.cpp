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
        : Driver(gradient.call, Step::input_gradient, 1), gradient_(gradient), cells_(outer_ * columns_.lanes()) {}

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
        const std::ptrdiff_t step = columns_.lane_axis().param;
        const double inverse = call_.inverse(columns_.rows() * width);
        std::ptrdiff_t stat = own.stat + static_cast<std::ptrdiff_t>(begin / width) * call_.plan.lane.stat;
        for (std::size_t lane = begin; lane < begin + columns_.lanes_of(tile); lane += width) {
            Cell* cell = cells_.data() + static_cast<std::size_t>(stat) * width;
            Cell total{};
            for (std::size_t j = 0; j < width; ++j) {
                cell[j] = of.total(outer, lane + j);
                const double w = call_.affine.w[own.param + static_cast<std::ptrdiff_t>(lane + j) * step];
                total = merge(total, {w * cell[j].db, w * cell[j].dh});
            }
            gradient_.set_sums(of.stats, of.stat(outer, lane), stat, total, inverse, width);
            stat += call_.plan.lane.stat;
        }
    }
    const GradientCall<T>& gradient_;
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

// Backward down columns whose parameters vary from row to row: layer and RMS norm over a channel axis that stands
// before the positions. A task takes all rows of a tile of lanes: the weighted sums of each lane, its dx, and the
// lanes' share of every row's parameter gradients.
#include "columns.h"
#include "drivers/backward_call.h"
#include "shape/limits.h"

namespace fastnorm {
namespace {

template <class T>
class ColumnRows {
public:
    using C = Compute<T>;

    explicit ColumnRows(const GradientCall<T>& gradient)
        : gradient_(gradient),
          call_(gradient.call),
          columns_(call_.plan),
          outer_(call_.plan.kept.count()),
          rows_(columns_.rows()) {
        // As many lanes as the cache holds of all rows, by shape only.
        const std::size_t fit = limits::kColumnBackwardBytes / (2 * rows_ * sizeof(T)) / kRows * kRows;
        tile_ = std::min(std::clamp<std::size_t>(fit, kRows, kLaneTile), columns_.lanes());
        tiles_ = (columns_.lanes() + tile_ - 1) / tile_;
    }

    void run() {
        std::vector<Cell> partial(gradient_.wants_parameters() ? outer_ * tiles_ * rows_ : 0);
        parallel_for(outer_ * tiles_, call_.threads, [&](std::size_t task) {
            const std::size_t lane = task % tiles_ * tile_, lanes = std::min(tile_, columns_.lanes() - lane);
            Offset offset = call_.plan.kept.offset(task / tiles_);
            const std::ptrdiff_t group = offset.stat + static_cast<std::ptrdiff_t>(lane) * call_.plan.lane.stat;
            offset += columns_.lane(lane);
            offset.stat = group;
            const Bases first = at(call_.bases, offset);
            Coefficients<C> stats(lanes);
            gradient_.set_statistics(stats, 0, lanes, offset.stat, call_.plan.lane.stat);
            if (gradient_.wants_parameters()) row_sums(first, stats, lanes, partial.data() + task * rows_);
            if (gradient_.wants_dx()) write_dx(first, offset, stats, lanes);
        });
        for (std::size_t row = 0; row < rows_ && gradient_.wants_parameters(); ++row) {
            Tree<Cell> tree;
            for (std::size_t task = 0; task < outer_ * tiles_; ++task) tree.add(partial[task * rows_ + row]);
            gradient_.add_parameter(columns_.row(row).param, tree.result());
        }
    }

private:
    // Calls f(plane of some rows, first row) for all rows of the tile.
    template <class F>
    void for_rows(const Bases& first, const Coefficients<C>& stats, std::size_t lanes, F&& f) const {
        static constexpr C one = 1;
        RowReader<T> x(columns_, kX), dy(columns_, kDy);
        Plane<T> p{};
        p.h = stats.h, p.l = stats.l, p.r = stats.r;
        p.stat_lanes = true;
        p.w = p.b = &one;
        p.lanes = lanes;
        for (std::size_t row = 0; row < rows_; row += kRows) {
            p.rows = std::min(kRows, rows_ - row);
            const Rows<T> x_rows = x.read(first[kX], row, p.rows, lanes);
            const Rows<T> dy_rows = dy.read(first[kDy], row, p.rows, lanes);
            p.x = x_rows.data, p.x_row = x_rows.step;
            p.dy = dy_rows.data, p.dy_row = dy_rows.step;
            f(p, row);
        }
    }

    void row_sums(const Bases& first, const Coefficients<C>& stats, std::size_t lanes, Cell* out) const {
        for_rows(first, stats, lanes, [&](const Plane<T>& p, std::size_t row) {
            GradSums sums[kRows];
            call_.kernels.span_gradients(p, sums);
            for (std::size_t i = 0; i < p.rows; ++i) {
                out[row + i] = repaired({sums[i].s1, sums[i].s2}, [&] {
                    Cell total{};
                    for (std::size_t lane = 0; lane < lanes; ++lane) {
                        total = merge(total, exact(first, stats, row + i, lane, C(1)));
                    }
                    return total;
                });
            }
        });
    }

    // The share of one element in double.
    Cell exact(const Bases& first, const Coefficients<C>& stats, std::size_t row, std::size_t lane, C weight) const {
        const T x = element<T>(columns_, kX, first[kX], row, lane),
                dy = element<T>(columns_, kDy, first[kDy], row, lane);
        return exact_sums(&dy, &x, 1, stats, lane, &weight, 0);
    }

    void write_dx(const Bases& first, const Offset& offset, Coefficients<C>& stats, std::size_t lanes) const {
        const auto weight_of = [&](std::size_t row) { return call_.affine.w[offset.param + columns_.row(row).param]; };
        std::vector<double> s1(lanes), s2(lanes);
        std::vector<C> weight(kRows);
        for_rows(first, stats, lanes, [&](Plane<T> p, std::size_t row) {
            for (std::size_t i = 0; i < p.rows; ++i) weight[i] = weight_of(row + i);
            p.w = weight.data(), p.param_row = 1;
            call_.kernels.column_gradients(p, s1.data(), s2.data());
        });
        for (std::size_t i = 0; i < lanes; ++i) {
            const std::ptrdiff_t group = offset.stat + static_cast<std::ptrdiff_t>(i) * call_.plan.lane.stat;
            const Cell sums = repaired({s1[i], s2[i]}, [&] {
                Cell total{};
                for (std::size_t row = 0; row < rows_; ++row) {
                    total = merge(total, exact(first, stats, row, i, weight_of(row)));
                }
                return total;
            });
            gradient_.set_sums(stats, i, group, sums, call_.inverse(rows_));
        }
        const Planes<T> planes(call_.kernels, columns_.box(lanes), call_.affine, Step::input_gradient, call_.stream);
        planes.run(first, stats, 0, planes.units(), 0, offset.param);
    }

    const GradientCall<T>& gradient_;
    const Call<T>& call_;
    Columns columns_;
    std::size_t outer_, rows_, tile_, tiles_;
};

}  // namespace

template <class T>
void column_row_gradients(const GradientCall<T>& gradient) {
    ColumnRows<T>(gradient).run();
}

template void column_row_gradients(const GradientCall<float>&);
template void column_row_gradients(const GradientCall<double>&);
template void column_row_gradients(const GradientCall<BF16>&);
template void column_row_gradients(const GradientCall<F16>&);

}  // namespace fastnorm

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
          partial_(outer_ * columns_.parts() * columns_.lanes()),
          cells_(outer_ * columns_.lanes()),
          stats_(outer_ * columns_.lanes()) {
        for (std::size_t outer = 0; outer < outer_; ++outer) {
            gradient_.set_statistics(stats_, outer * columns_.lanes(), columns_.lanes() / columns_.width(),
                                     call_.plan.kept.offset(outer).stat, call_.plan.lane.stat, columns_.width());
        }
    }

    void run() {
        const std::size_t tiles = columns_.tiles(), parts = columns_.parts();
        if (2 * columns_.rows() * columns_.tile() * sizeof(T) <= kCacheBytes &&
            outer_ * tiles >= static_cast<std::size_t>(call_.threads)) {
            parallel_for(outer_ * tiles, call_.threads, [&](std::size_t task) {
                for (std::size_t part = 0; part < parts; ++part) sum(task / tiles, part, task % tiles);
                finish(task / tiles, task % tiles);
                if (gradient_.wants_dx()) sweep(task / tiles, task % tiles);
            });
        } else {
            parallel_for(outer_ * parts * tiles, call_.threads,
                         [&](std::size_t task) { sum(task / tiles / parts, task / tiles % parts, task % tiles); });
            parallel_for(outer_ * tiles, threads_for(partial_.size() * sizeof(Cell)),
                         [&](std::size_t task) { finish(task / tiles, task % tiles); });
            if (gradient_.wants_dx()) {
                plane_of(columns_.lanes())
                    .run_groups(call_.bases, stats_, call_.plan.kept, columns_.lanes(), call_.threads);
            }
        }
        sum_parameters(gradient_, call_.plan.axes, cells_);
    }

private:
    Offset offset(std::size_t outer, std::size_t lane) const {
        Offset offset = call_.plan.kept.offset(outer);
        offset.advance(columns_.lane_axis(), lane);
        return offset;
    }
    Cell& partial(std::size_t outer, std::size_t part, std::size_t lane) {
        return partial_[(outer * columns_.parts() + part) * columns_.lanes() + lane];
    }

    void sum(std::size_t outer, std::size_t part, std::size_t tile) {
        static constexpr C one = 1;
        const std::size_t lanes = columns_.lanes_of(tile), rows = columns_.rows_of(part);
        const std::size_t lane = tile * columns_.tile(), first_row = columns_.first_row(part);
        const Bases first = at(call_.bases, offset(outer, lane));
        const std::size_t stat = outer * columns_.lanes() + lane;
        RowReader<T> x(columns_, kX), dy(columns_, kDy);
        std::vector<double> s1(lanes), s2(lanes);
        Plane<T> p{};
        p.h = stats_.h + stat, p.l = stats_.l + stat, p.r = stats_.r + stat;
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
            partial(outer, part, lane + i) =
                stats_.extreme(stat + i) ? exact(first, i, first_row, rows, stat + i) : Cell{s1[i], s2[i]};
        }
    }

    Cell exact(const Bases& first, std::size_t lane, std::size_t first_row, std::size_t rows, std::size_t stat) const {
        static constexpr C one = 1;
        Cell total{};
        for (std::size_t row = 0; row < rows; ++row) {
            const Bases place = at(first, columns_.row(first_row + row));
            T x, dy;
            std::memcpy(&x, place[kX] + columns_.lane_bytes(kX, lane), sizeof(T));
            std::memcpy(&dy, place[kDy] + columns_.lane_bytes(kDy, lane), sizeof(T));
            total = merge(total, exact_sums(&dy, &x, 1, stats_.mean[stat], stats_.rstd[stat], &one, 0));
        }
        return total;
    }

    // Merges the superblocks of a tile's lanes into cells, and the cells of a group into its sums.
    void finish(std::size_t outer, std::size_t tile) {
        const std::size_t begin = tile * columns_.tile(), width = columns_.width();
        const Offset own = call_.plan.kept.offset(outer);
        const std::ptrdiff_t step = columns_.lane_axis().param;
        const double inverse = call_.inverse(columns_.rows() * width);
        std::ptrdiff_t stat = own.stat + static_cast<std::ptrdiff_t>(begin / width) * call_.plan.lane.stat;
        for (std::size_t lane = begin; lane < begin + columns_.lanes_of(tile); lane += width) {
            Cell* cell = cells_.data() + static_cast<std::size_t>(stat) * width;
            Cell total{};
            for (std::size_t j = 0; j < width; ++j) {
                cell[j] = merged(outer, lane + j);
                const double w = call_.affine.w[own.param + static_cast<std::ptrdiff_t>(lane + j) * step];
                total = merge(total, {w * cell[j].db, w * cell[j].dh});
            }
            gradient_.set_sums(stats_, outer * columns_.lanes() + lane, stat, total, inverse, width);
            stat += call_.plan.lane.stat;
        }
    }
    Cell merged(std::size_t outer, std::size_t lane) {
        if (columns_.parts() == 1) return partial(outer, 0, lane);
        Tree<Cell> tree;
        for (std::size_t part = 0; part < columns_.parts(); ++part) tree.add(partial(outer, part, lane));
        return tree.result();
    }

    Planes<T> plane_of(std::size_t lanes) const {
        return Planes<T>(call_.kernels, columns_.box(lanes), call_.affine, Step::input_gradient, call_.stream);
    }
    void sweep(std::size_t outer, std::size_t tile) const {
        const std::size_t lane = tile * columns_.tile();
        const Planes<T> planes = plane_of(columns_.lanes_of(tile));
        planes.run(at(call_.bases, offset(outer, lane)), stats_, 0, planes.units(),
                   static_cast<std::ptrdiff_t>(outer * columns_.lanes() + lane), offset(outer, lane).param);
    }

    const GradientCall<T>& gradient_;
    const Call<T>& call_;
    Columns columns_;
    std::size_t outer_;
    std::vector<Cell> partial_, cells_;
    Coefficients<C> stats_;
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

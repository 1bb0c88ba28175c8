// Backward along spans whose parameters are constant over whole stretches: batch, group and instance norm with the
// channels first, and filters. A task sums the cells of a few groups and writes their dx while they are in the cache;
// few long groups are cut across tasks instead.
#include "drivers/backward_call.h"
#include "span_driver.h"

namespace fastnorm {
namespace {

// The plan in which every cell is a group of its own.
Plan cell_plan(const Plan& plan) {
    Axes axes = plan.axes;
    for (std::size_t i = 0; i < axes.size(); ++i) {
        if (axes[i].role == reduced_param) axes[i].role = Role::param;
    }
    return make_plan(axes, false);
}

Axes cells_of_group(const Plan& plan) {
    Axes cells;
    for (std::size_t i = 0; i < plan.reducing.size(); ++i) {
        if (plan.reducing[i].is_param()) cells.push(plan.reducing[i]);
    }
    cells.merge(false);
    return cells;
}

template <class T>
class SpanCells {
public:
    using C = Compute<T>;

    explicit SpanCells(const GradientCall<T>& gradient)
        : gradient_(gradient),
          call_(gradient.call),
          plan_(cell_plan(call_.plan)),
          blocks_(plan_),
          cell_axes_(cells_of_group(call_.plan)),
          width_(cell_axes_.count()),
          elements_(blocks_.elements() * width_),
          inverse_(call_.inverse(elements_)),
          tasks_(call_.plan, 2 * elements_ * sizeof(T), blocks_.by_runs()),
          sweep_(call_, tasks_, Step::input_gradient),
          cells_(call_.plan.kept.count() * width_) {
        cell_axes_.for_each([&](const Offset& cell) { cell_params_.push_back(cell.param); });
    }

    void run() {
        if (splits_groups(tasks_.count(), blocks_.count() * width_, call_.threads)) {
            run_split();
        } else {
            run_groups();
        }
        sum_parameters(gradient_, call_.plan.axes, cells_);
    }

private:
    Cell* cells(std::ptrdiff_t group) { return cells_.data() + static_cast<std::size_t>(group) * width_; }

    void run_groups() {
        parallel_for(tasks_.count(), call_.threads, [&](std::size_t task) {
            std::size_t n;
            const Offset offset = tasks_.offset(task, n);
            const Bases first = at(call_.bases, offset);
            Coefficients<C> stats(n);
            gradient_.set_statistics(stats, 0, n, offset.stat, tasks_.groups().stat);
            sums(first, offset, n, stats);
            if (!gradient_.wants_dx()) return;
            for (std::size_t i = 0; i < n; ++i) {
                finish(stats, i, group(offset, i), offset.param + tasks_.step(i).param);
            }
            sweep_.run(first, stats, n, offset.param);
        });
    }

    std::ptrdiff_t group(const Offset& first, std::size_t i) const { return first.stat + tasks_.step(i).stat; }

    // Cells of n neighbouring groups.
    void sums(const Bases& first, const Offset& offset, std::size_t n, const Coefficients<C>& stats) {
        const bool in_place = blocks_.by_runs()
                                  ? blocks_.run_step<T>(kX) != 0 && blocks_.run_step<T>(kDy) != 0
                                  : blocks_.count() == 1 && blocks_.contiguous<T>(kX) && blocks_.contiguous<T>(kDy);
        if (in_place && width_ == 1 && n > 1 && tasks_.groups().stat == 1 && !stats.any_extreme && tasks_.even(kX) &&
            tasks_.even(kDy) && rows_in_place(first, tasks_.groups())) {
            rows(first, tasks_.groups(), n, stats, 0, 1, cells(offset.stat));
            return;
        }
        for (std::size_t i = 0; i < n; ++i) {
            const Bases bases = at(first, tasks_.step(i));
            Cell* out = cells(group(offset, i));
            if (in_place && cell_axes_.size() == 1 && !stats.extreme(i) && rows_in_place(bases, cell_axes_[0])) {
                rows(bases, cell_axes_[0], width_, stats, i, 0, out);
                continue;
            }
            for (std::size_t j = 0; j < width_; ++j) {
                out[j] = sum(at(bases, cell_axes_.offset(j)), stats, i, 0, blocks_.count());
            }
        }
    }

    static bool rows_in_place(const Bases& bases, const Axis& axis) {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        return axis.stride[kX] % size == 0 && axis.stride[kDy] % size == 0 && aligned<T>(bases[kX]) &&
               aligned<T>(bases[kDy]);
    }

    Plane<T> plane(const Coefficients<C>& stats, std::size_t i) const {
        static constexpr C one = 1;
        Plane<T> p{};
        p.h = stats.h + i, p.l = stats.l + i, p.r = stats.r + i;
        p.w = &one, p.b = &one;
        return p;
    }

    // Cells that lie evenly along an axis, of one block each or of runs.
    void rows(const Bases& first, const Axis& axis, std::size_t n, const Coefficients<C>& stats, std::size_t i,
              std::ptrdiff_t stat_row, Cell* out) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        std::vector<GradSums> sums(blocks_.count() * GroupTasks::kMost);
        for (std::size_t done = 0; done < n; done += GroupTasks::kMost) {
            Plane<T> p = plane(stats, i + (stat_row ? done : 0));
            Offset step;
            step.advance(axis, done);
            const Bases bases = at(first, step);
            p.rows = std::min(GroupTasks::kMost, n - done);
            p.x_row = axis.stride[kX] / size, p.dy_row = axis.stride[kDy] / size;
            p.stat_row = stat_row;
            for (std::size_t block = 0; block < blocks_.count(); ++block) {
                read(p, bases, block, nullptr, nullptr);
                call_.kernels.span_gradients(p, sums.data() + block * GroupTasks::kMost);
            }
            for (std::size_t k = 0; k < p.rows; ++k) {
                Tree<Cell> tree;
                for (std::size_t block = 0; block < blocks_.count(); ++block) {
                    const GradSums& each = sums[block * GroupTasks::kMost + k];
                    const Cell cell = repaired({each.s1, each.s2}, [&] {
                        Offset own;
                        own.advance(axis, done + k);
                        return exact_sum(at(first, own), stats, i + (stat_row ? done + k : 0), block);
                    });
                    if (blocks_.count() == 1) {
                        out[done + k] = cell;
                    } else {
                        tree.add(cell);
                    }
                }
                if (blocks_.count() > 1) out[done + k] = tree.result();
            }
        }
    }

    void read(Plane<T>& p, const Bases& bases, std::size_t block, T* x_tile, T* dy_tile) const {
        const auto runs = blocks_.runs(block);
        p.lanes = runs.n, p.more_runs = runs.count - 1;
        p.x = blocks_.read_runs(kX, bases[kX], block, x_tile, p.x_run);
        p.dy = blocks_.read_runs(kDy, bases[kDy], block, dy_tile, p.dy_run);
    }

    // Blocks [begin, end) of the cell at `bases`.
    Cell sum(const Bases& bases, const Coefficients<C>& stats, std::size_t i, std::size_t begin,
             std::size_t end) const {
        const Borrowed<T> x_tile(kBlock), dy_tile(kBlock);
        Tree<Cell> tree;
        Plane<T> p = plane(stats, i);
        p.rows = 1;
        for (; begin < end; ++begin) {
            if (stats.extreme(i)) {
                tree.add(exact_sum(bases, stats, i, begin));
                continue;
            }
            read(p, bases, begin, x_tile, dy_tile);
            GradSums sums;
            call_.kernels.span_gradients(p, &sums);
            tree.add(repaired({sums.s1, sums.s2}, [&] { return exact_sum(bases, stats, i, begin); }));
        }
        return tree.result();
    }

    Cell exact_sum(const Bases& bases, const Coefficients<C>& stats, std::size_t i, std::size_t block) const {
        static constexpr C one = 1;
        T x_tile[kBlock], dy_tile[kBlock];
        const T *x = blocks_.read(kX, bases[kX], block, x_tile), *dy = blocks_.read(kDy, bases[kDy], block, dy_tile);
        return exact_sums(dy, x, blocks_.length(block), stats, i, &one, 0);
    }

    // Sums of a group, weighted over its cells.
    void finish(Coefficients<C>& stats, std::size_t i, std::ptrdiff_t group, std::ptrdiff_t param) {
        const Cell* cell = cells(group);
        Cell total{};
        for (std::size_t j = 0; j < width_; ++j) {
            const double w = call_.affine.w[param + cell_params_[j]];
            total = merge(total, {w * cell[j].db, w * cell[j].dh});
        }
        gradient_.set_sums(stats, i, group, total, inverse_);
    }

    void run_split() {
        const std::size_t groups = call_.plan.kept.count();
        Coefficients<C> stats(groups);
        for (std::size_t g = 0; g < groups; ++g) {
            gradient_.set_statistics(stats, g, 1, call_.plan.kept.offset(g).stat, 0);
        }
        const auto offset_of = [&](std::size_t cell) { return call_.plan.kept.offset(cell / width_); };
        split_sums<Cell>(
            groups * width_, blocks_.count(), call_.threads,
            [&](std::size_t cell, std::size_t begin, std::size_t end) {
                const Bases bases = at(at(call_.bases, offset_of(cell)), cell_axes_.offset(cell % width_));
                return sum(bases, stats, cell / width_, begin, end);
            },
            [&](std::size_t cell, const Cell& total) { cells(offset_of(cell).stat)[cell % width_] = total; });
        if (!gradient_.wants_dx()) return;
        for (std::size_t g = 0; g < groups; ++g) {
            const Offset offset = call_.plan.kept.offset(g);
            finish(stats, g, offset.stat, offset.param);
        }
        sweep_.run_split(stats);
    }

    const GradientCall<T>& gradient_;
    const Call<T>& call_;
    Plan plan_;
    SpanBlocks blocks_;
    Axes cell_axes_;
    std::vector<std::ptrdiff_t> cell_params_;
    std::size_t width_, elements_;
    double inverse_;
    GroupTasks tasks_;
    GroupSweep<T> sweep_;
    std::vector<Cell> cells_;
};

}  // namespace

template <class T>
void span_cell_gradients(const GradientCall<T>& gradient) {
    SpanCells<T>(gradient).run();
}

template void span_cell_gradients(const GradientCall<float>&);
template void span_cell_gradients(const GradientCall<double>&);
template void span_cell_gradients(const GradientCall<BF16>&);
template void span_cell_gradients(const GradientCall<F16>&);

}  // namespace fastnorm

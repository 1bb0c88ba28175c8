// Backward along spans whose parameters vary element by element: layer and RMS norm. The groups are the rows. A task
// takes a stretch of them, a few at a time: first the sums of each row, then, while the rows are in the cache, their dx
// in one sweep with their share of the parameters' gradients, summed down the columns.
#include <memory>

#include "gradient.h"
#include "spans.h"

namespace fastnorm {
namespace {

// Stretches of rows depend on the shape only: at least kRows, at most this many of them.
constexpr std::size_t kMostStretches = 64;
constexpr std::size_t kBatchBytes = 192 * 1024;

template <class T>
class SpanRows {
public:
    using C = Compute<T>;

    explicit SpanRows(const GradientCall<T>& gradient)
        : gradient_(gradient), call_(gradient.call), blocks_(call_.plan), n_(blocks_.elements()) {
        for (std::size_t i = 0; i < call_.plan.kept.size(); ++i) {
            (call_.plan.kept[i].is_param() ? owners_ : rows_).push(call_.plan.kept[i]);
        }
        rows_.merge(false);
        count_ = rows_.count();
        stretch_ = std::max<std::size_t>(kRows, (count_ + kMostStretches - 1) / kMostStretches);
        stretches_ = (count_ + stretch_ - 1) / stretch_;
        // The rows of a batch pass through the cache three times; quads of them are what column sums are made of.
        batch_ = std::clamp<std::size_t>(kBatchBytes / (2 * n_ * sizeof(T)) / 4 * 4, 4, kRows);
        // Rows of a batch lie along one axis, so that they make a plane.
        inner_ = rows_.size() ? rows_[rows_.size() - 1] : kNoAxis;
    }

    void run() {
        const std::size_t tasks = owners_.count() * stretches_;
        if (gradient_.wants_parameters()) parts_.reset(new double[tasks * 2 * n_]);
        parallel_for(tasks, call_.threads, [&](std::size_t task) {
            if (gradient_.wants_parameters()) std::fill_n(part(task), 2 * n_, 0.0);
            const Offset owner = owners_.offset(task / stretches_);
            const std::size_t begin = task % stretches_ * stretch_, end = std::min(begin + stretch_, count_);
            for (std::size_t row = begin; row < end;) {
                const std::size_t some = std::min({batch_, end - row, inner_.n - row % inner_.n});
                batch(owner, row, some, part(task));
                row += some;
            }
        });
        if (gradient_.wants_parameters()) reduce();
    }

private:
    // The column sums of a task: those of dy, then those of dy*xhat.
    double* part(std::size_t task) const { return parts_.get() + task * 2 * n_; }

    void batch(const Offset& owner, std::size_t row, std::size_t n, double* part) const {
        Offset offset = rows_.offset(row);
        const Bases first = at(at(call_.bases, owner), offset);
        offset.stat += owner.stat, offset.param += owner.param;
        Coefficients<C> stats(n);
        for (std::size_t i = 0; i < n; ++i) {
            gradient_.set_statistics(stats, i, offset.stat + static_cast<std::ptrdiff_t>(i) * inner_.stat);
        }
        if (gradient_.wants_dx()) sums(first, stats, n, offset);
        if (gradient_.wants_dx() && gradient_.wants_parameters() && !stats.any_extreme && in_place(first, kX) &&
            in_place(first, kDy) && in_place(first, kY)) {
            write_and_add(first, stats, n, offset, part);
            return;
        }
        if (gradient_.wants_parameters()) add_columns(first, stats, n, part, part + n_);
        if (gradient_.wants_dx()) {
            const Planes<T> planes(call_.kernels, box(n), call_.affine, true, call_.stream);
            planes.run(first, stats, 0, planes.units(), 0, offset.param);
        }
    }

    // dx of n rows and their column sums in one sweep.
    void write_and_add(const Bases& first, const Coefficients<C>& stats, std::size_t n, const Offset& offset,
                       double* part) const {
        constexpr std::size_t kLine = 64;
        Plane<T> p = plane(stats, 0);
        p.rows = n, p.lanes = n_;
        p.c1 = stats.c1, p.c2 = stats.c2;
        p.w = p.b = call_.affine.w + offset.param;
        place(p, first);
        p.y = reinterpret_cast<T*>(first[kY]), p.y_row = inner_.stride[kY] / static_cast<std::ptrdiff_t>(sizeof(T));
        const bool whole = reinterpret_cast<std::uintptr_t>(p.y) % kLine == 0 || n_ * sizeof(T) >= 16 * kLine;
        p.stream = call_.stream && whole && inner_.stride[kY] % static_cast<std::ptrdiff_t>(kLine) == 0 &&
                   first[kY] != first[kX] && first[kY] != first[kDy];
        call_.kernels.row_gradients(p, part, part + n_);
    }

    Offset step(std::size_t i) const {
        Offset step;
        step.advance(inner_, i);
        return step;
    }

    Axes box(std::size_t n) const {
        Axes axes;
        Axis rows = inner_;
        rows.n = n, rows.stat = 1;
        if (n > 1) axes.push(rows);
        for (std::size_t i = 0; i < call_.plan.reducing.size(); ++i) axes.push(call_.plan.reducing[i]);
        return axes;
    }

    Plane<T> plane(const Coefficients<C>& stats, std::size_t i) const {
        Plane<T> p{};
        p.rows = 1, p.stat_row = 1;
        p.h = stats.h + i, p.l = stats.l + i, p.r = stats.r + i;
        p.param_lanes = true;
        return p;
    }

    // Weighted sums of n rows: rows that are one block each, in place, all at once.
    void sums(const Bases& first, Coefficients<C>& stats, std::size_t n, const Offset& offset) const {
        GradSums rows[kRows];
        const bool together = blocks_.count() == 1 && in_place(first, kX) && in_place(first, kDy) && !stats.any_extreme;
        if (together) {
            Plane<T> p = plane(stats, 0);
            p.rows = n, p.lanes = n_;
            p.w = p.b = call_.affine.w + offset.param;
            place(p, first);
            call_.kernels.span_gradients(p, rows);
        }
        for (std::size_t i = 0; i < n; ++i) {
            const Cell total =
                together ? Cell{rows[i].s1, rows[i].s2} : sum(at(first, step(i)), stats, i, offset.param);
            gradient_.set_sums(stats, i, offset.stat + step(i).stat, total, n_);
        }
    }

    // Whether a batch of rows can be reached where it is.
    bool in_place(const Bases& first, Operand operand) const {
        return inner_.stride[operand] % static_cast<std::ptrdiff_t>(sizeof(T)) == 0 && blocks_.contiguous<T>(operand) &&
               aligned<T>(first[operand]);
    }
    void place(Plane<T>& p, const Bases& first) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        p.x = reinterpret_cast<const T*>(first[kX]), p.x_row = inner_.stride[kX] / size;
        p.dy = reinterpret_cast<const T*>(first[kDy]), p.dy_row = inner_.stride[kDy] / size;
    }

    // Weighted sums of row i. Blocks follow the order of the parameters.
    Cell sum(const Bases& bases, const Coefficients<C>& stats, std::size_t i, std::ptrdiff_t param) const {
        T x_tile[kBlock], dy_tile[kBlock];
        Tree<Cell> tree;
        Plane<T> p = plane(stats, i);
        for (std::size_t block = 0; block < blocks_.count(); ++block) {
            p.lanes = blocks_.length(block);
            p.x = blocks_.read(kX, bases[kX], block, x_tile);
            p.dy = blocks_.read(kDy, bases[kDy], block, dy_tile);
            p.w = p.b = call_.affine.w + param + blocks_.first(block);
            if (stats.extreme(i)) {
                tree.add(exact_sums(p.dy, p.x, p.lanes, stats.mean[i], stats.rstd[i], p.w, 1));
                continue;
            }
            GradSums sums;
            call_.kernels.span_gradients(p, &sums);
            tree.add({sums.s1, sums.s2});
        }
        return tree.result();
    }

    // Adds dy and dy*xhat of n rows to the sums of every element.
    void add_columns(const Bases& first, const Coefficients<C>& stats, std::size_t n, double* db, double* dw) const {
        static constexpr C one = 1;
        Plane<T> p = plane(stats, 0);
        p.param_lanes = false;
        p.w = p.b = &one;
        if (in_place(first, kX) && in_place(first, kDy) && !stats.any_extreme) {
            p.rows = n, p.lanes = n_;
            place(p, first);
            call_.kernels.column_gradients(p, db, dw);
            return;
        }
        // Gathered block by block: the rows of a batch side by side.
        std::vector<T> x(n * kBlock), dy(n * kBlock);
        for (std::size_t at_element = 0; at_element < n_; at_element += kBlock) {
            p.rows = n, p.lanes = std::min(kBlock, n_ - at_element);
            p.x = x.data(), p.dy = dy.data();
            p.x_row = p.dy_row = static_cast<std::ptrdiff_t>(p.lanes);
            for (std::size_t i = 0; i < n; ++i) {
                const Bases row = at(first, step(i));
                T *to_x = x.data() + i * p.lanes, *to_dy = dy.data() + i * p.lanes;
                gather_range(blocks_.axes(), kX, row[kX], at_element, p.lanes, to_x);
                gather_range(blocks_.axes(), kDy, row[kDy], at_element, p.lanes, to_dy);
            }
            if (stats.any_extreme) {
                exact_columns(p, stats, db + at_element, dw + at_element);
            } else {
                call_.kernels.column_gradients(p, db + at_element, dw + at_element);
            }
        }
    }

    static void exact_columns(const Plane<T>& p, const Coefficients<C>& stats, double* db, double* dw) {
        for (std::size_t i = 0; i < p.rows; ++i) {
            for (std::size_t j = 0; j < p.lanes; ++j) {
                const Cell sums =
                    exact_sums(p.dy + i * p.lanes + j, p.x + i * p.lanes + j, 1, stats.mean[i], stats.rstd[i], p.w, 0);
                db[j] += sums.db;
                dw[j] += sums.dh;
            }
        }
    }

    // Adds up the tasks of every owner in the tree of statistics.h, all elements side by side.
    void reduce() const {
        constexpr std::size_t kPiece = 512;
        const std::size_t pieces = (n_ + kPiece - 1) / kPiece;
        const std::size_t work = owners_.count() * stretches_ * 2 * n_ * sizeof(double);
        parallel_for(owners_.count() * pieces, threads_for(work), [&](std::size_t task) {
            const std::size_t owner = task / pieces, begin = task % pieces * kPiece;
            const std::size_t some = std::min(kPiece, n_ - begin);
            double *db = part(owner * stretches_) + begin, *dw = db + n_;
            for (std::size_t step = 1; step < stretches_; step *= 2) {
                for (std::size_t s = 0; s + step < stretches_; s += 2 * step) {
                    double *to = db + s * 2 * n_, *from = to + step * 2 * n_;
                    for (std::size_t j = 0; j < some; ++j) to[j] += from[j];
                    for (std::size_t j = 0; j < some; ++j) to[n_ + j] += from[n_ + j];
                }
            }
            const std::ptrdiff_t param = owners_.offset(owner).param + static_cast<std::ptrdiff_t>(begin);
            for (std::size_t j = 0; j < some; ++j) {
                gradient_.add_parameter(param + static_cast<std::ptrdiff_t>(j), {db[j], dw[j]});
            }
        });
    }

    const GradientCall<T>& gradient_;
    const Call<T>& call_;
    SpanBlocks blocks_;
    std::size_t n_, count_, stretch_, stretches_, batch_;
    Axes rows_, owners_;
    Axis inner_;
    std::unique_ptr<double[]> parts_;
};

}  // namespace

template <class T>
void span_row_gradients(const GradientCall<T>& gradient) {
    SpanRows<T>(gradient).run();
}

template void span_row_gradients(const GradientCall<float>&);
template void span_row_gradients(const GradientCall<double>&);
template void span_row_gradients(const GradientCall<BF16>&);
template void span_row_gradients(const GradientCall<F16>&);

}  // namespace fastnorm

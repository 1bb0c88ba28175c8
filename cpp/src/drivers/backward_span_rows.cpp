// Backward along spans whose parameters vary element by element: layer and RMS norm. The groups are the rows. A task
// takes a stretch of them: the sums of a few rows, then, while the rows are in the cache, their dx in one sweep with
// their share of the parameters' gradients, summed down the columns in micro-blocks of kRows.
#include <memory>

#include "drivers/backward_call.h"
#include "shape/limits.h"
#include "spans.h"

namespace fastnorm {
namespace {

// Stretches of rows depend on the shape only: at least kRows, at most this many of them.
constexpr std::size_t kMostStretches = 64;

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
        // The kernel sums rows of one block itself; longer ones pass through the cache a few at a time.
        one_block_ = blocks_.count() == 1 && !gradient_.slope;
        batch_ = one_block_ ? kRows
                            : std::clamp<std::size_t>(limits::kRowBatchBytes / (2 * n_ * sizeof(T)) / 4 * 4, 4, kRows);
        far_ = comes_from_afar(2 * owners_.count() * count_ * n_ * sizeof(T));
        inner_ = rows_.size() ? rows_[rows_.size() - 1] : kNoAxis;
        const Bases& bases = call_.bases;
        overwrites_ = gradient_.wants_dx() && (bases[kY] == bases[kDy] || bases[kY] == bases[kX]);
    }

    void run() {
        const std::size_t tasks = owners_.count() * stretches_;
        if (gradient_.wants_parameters()) parts_.reset(new double[tasks * 2 * n_]);
        parallel_for(tasks, call_.threads, [&](std::size_t task) {
            // The sums of dy, then those of dy*xhat.
            std::vector<C> sums(2 * n_);
            double* part = parts_.get() + (parts_ ? task * 2 * n_ : 0);
            if (parts_) std::fill_n(part, 2 * n_, 0.0);
            const Offset owner = owners_.offset(task / stretches_);
            const std::size_t begin = task % stretches_ * stretch_, end = std::min(begin + stretch_, count_);
            for (std::size_t row = begin; row < end; row += kRows) {
                micro_block(owner, row, std::min(kRows, end - row), sums.data(), part);
            }
        });
        if (parts_) reduce();
    }

private:
    struct Row {
        Bases at;
        std::ptrdiff_t group, param;
    };
    Row row_at(const Offset& owner, std::size_t row) const {
        const Offset offset = rows_.offset(row);
        return {at(at(call_.bases, owner), offset), owner.stat + offset.stat, owner.param + offset.param};
    }

    void micro_block(const Offset& owner, std::size_t row, std::size_t n, C* sums, double* part) const {
        Coefficients<C> stats(n);
        set_statistics(stats, owner, row, n);
        const std::size_t done = stats.any_extreme ? 0 : ordinary_rows(owner, row, n, stats, sums);
        for (std::size_t i = done; i < n; ++i) exact_row(row_at(owner, row + i), stats, i, part);
        if (!parts_ || done == 0) return;
        if (all_finite(sums, 2 * n_) || overwrites_ || !any_large(owner, row, done)) {
            for (std::size_t j = 0; j < 2 * n_; ++j) part[j] += static_cast<double>(sums[j]);
        } else {
            for (std::size_t i = 0; i < done; ++i) exact_columns(row_at(owner, row + i), stats, i, part);
        }
        std::fill_n(sums, 2 * n_, C(0));
    }

    // Rows from the first on whose sums fit into the compute type; returns how many.
    std::size_t ordinary_rows(const Offset& owner, std::size_t row, std::size_t n, Coefficients<C>& stats,
                              C* sums) const {
        for (std::size_t i = 0, some; i < n; i += some) {
            // Quads of rows stay together, for they are what column sums are made of.
            const std::size_t together = inner_.n - (row + i) % inner_.n;
            some = std::min(batch_, n - i);
            if (some > together) some = std::max<std::size_t>(together / 4 * 4, std::min<std::size_t>(4, n - i));
            if (some <= together && in_place(row_at(owner, row + i).at)) {
                const std::size_t done = direct(row_at(owner, row + i), stats, i, some, true, sums);
                if (done == some) continue;
                if (any_large(owner, row + i + done, some - done)) return i + done;
                // No sum overflows: there are elements that are not finite.
                direct(row_at(owner, row + i + done), stats, i + done, some - done, false, sums);
                continue;
            }
            for (std::size_t k = 0; k < some; k += 4) {
                const std::size_t rows = std::min<std::size_t>(4, some - k);
                if (!through_tiles(owner, row + i + k, stats, i + k, rows, sums)) return i + k;
            }
        }
        return n;
    }

    // Of n rows.
    void set_statistics(Coefficients<C>& stats, const Offset& owner, std::size_t row, std::size_t n) const {
        if (row % inner_.n + n <= inner_.n) {
            gradient_.set_statistics(stats, 0, n, row_at(owner, row).group, inner_.stat);
        } else {
            for (std::size_t i = 0; i < n; ++i) {
                gradient_.set_statistics(stats, i, 1, row_at(owner, row + i).group, 0);
            }
        }
        std::fill_n(stats.c1, n, C(0));
        std::fill_n(stats.c2, n, C(0));
    }

    // Whether rows can be reached where they are.
    bool in_place(const Bases& first) const {
        const auto reached = [&](Operand operand) {
            return inner_.stride[operand] % static_cast<std::ptrdiff_t>(sizeof(T)) == 0 &&
                   blocks_.contiguous<T>(operand) && aligned<T>(first[operand]);
        };
        return reached(kX) && reached(kDy) &&
               (!gradient_.wants_dx() || (reached(kY) && (!first[kExtra] || reached(kExtra))));
    }

    Plane<T> plane(const Coefficients<C>& stats, std::size_t i, std::size_t rows, std::size_t lanes,
                   std::ptrdiff_t param) const {
        Plane<T> p{};
        p.rows = rows, p.lanes = lanes;
        p.h = stats.h + i, p.l = stats.l + i, p.r = stats.r + i, p.c1 = stats.c1 + i, p.c2 = stats.c2 + i;
        p.stat_row = 1;
        p.w = p.b = call_.affine.w + param;
        p.param_lanes = true;
        return p;
    }

    // n rows from row i of the statistics, along the innermost axis. If `checked`, it stops before one whose sums do
    // not fit. Returns how many were done.
    std::size_t direct(const Row& first, Coefficients<C>& stats, std::size_t i, std::size_t n, bool checked,
                       C* sums) const {
        constexpr std::ptrdiff_t size = sizeof(T), kLine = 64;
        Plane<T> p = plane(stats, i, n, n_, first.param);
        p.far = far_;
        p.x = reinterpret_cast<const T*>(first.at[kX]), p.x_row = inner_.stride[kX] / size;
        p.dy = reinterpret_cast<const T*>(first.at[kDy]), p.dy_row = inner_.stride[kDy] / size;
        std::vector<T> unwanted(gradient_.wants_dx() ? 0 : n_);
        p.y = unwanted.data();
        if (gradient_.wants_dx()) {
            p.y = reinterpret_cast<T*>(first.at[kY]), p.y_row = inner_.stride[kY] / size;
            if (first.at[kExtra]) {
                p.added = reinterpret_cast<const T*>(first.at[kExtra]), p.added_row = inner_.stride[kExtra] / size;
            }
            const bool lines = reinterpret_cast<std::uintptr_t>(p.y) % kLine == 0 || n_ * sizeof(T) >= 16 * kLine;
            p.stream = call_.stream && lines && inner_.stride[kY] % kLine == 0 && first.at[kY] != first.at[kX] &&
                       first.at[kY] != first.at[kDy];
        }
        const bool by_kernel = one_block_ && checked;
        for (std::size_t k = 0; gradient_.wants_dx() && !by_kernel && k < n; ++k) {
            Offset step;
            step.advance(inner_, k);
            set_sums({at(first.at, step), first.group + step.stat, first.param}, stats, i + k);
            if (checked && stats.large_gradient(i + k)) return 0;
        }
        const double inverse = gradient_.wants_dx() && by_kernel ? call_.inverse(n_) : 0.0;
        return call_.kernels.row_gradients(p, inverse, call_.centred(), checked && overwrites_, sums, sums + n_);
    }

    // The same for up to four rows anywhere, all of them or none.
    bool through_tiles(const Offset& owner, std::size_t row, Coefficients<C>& stats, std::size_t i, std::size_t n,
                       C* sums) const {
        const Borrowed<T> x(4 * kBlock), dy(4 * kBlock), added(4 * kBlock), y(4 * kBlock);
        const bool adds = gradient_.wants_dx() && call_.bases[kExtra];
        Row rows[4];
        for (std::size_t k = 0; k < n; ++k) rows[k] = row_at(owner, row + k);
        for (std::size_t k = 0; gradient_.wants_dx() && k < n; ++k) {
            set_sums(rows[k], stats, i + k);
            if (stats.large_gradient(i + k) || (overwrites_ && any_large(owner, row + k, 1))) return false;
        }
        for (std::size_t begin = 0; begin < n_; begin += kBlock) {
            const std::size_t lanes = std::min(kBlock, n_ - begin);
            for (std::size_t k = 0; k < n; ++k) {
                gather_range(blocks_.axes(), kX, rows[k].at[kX], begin, lanes, x + k * kBlock);
                gather_range(blocks_.axes(), kDy, rows[k].at[kDy], begin, lanes, dy + k * kBlock);
                if (!adds) continue;
                gather_range(blocks_.axes(), kExtra, rows[k].at[kExtra], begin, lanes, added + k * kBlock);
            }
            Plane<T> p = plane(stats, i, n, lanes, rows[0].param + static_cast<std::ptrdiff_t>(begin));
            p.x = x, p.dy = dy, p.y = y;
            p.x_row = p.dy_row = p.y_row = kBlock;
            if (adds) p.added = added, p.added_row = kBlock;
            call_.kernels.row_gradients(p, 0.0, true, false, sums + begin, sums + n_ + begin);
            for (std::size_t k = 0; gradient_.wants_dx() && k < n; ++k) {
                scatter_range(y + k * kBlock, lanes, blocks_.axes(), kY, rows[k].at[kY], begin);
            }
        }
        return true;
    }

    void set_sums(const Row& row, Coefficients<C>& stats, std::size_t i) const {
        gradient_.set_sums(stats, i, row.group, sum(row, stats, i), call_.inverse(n_));
    }

    // Weighted sums of row i. Blocks follow the order of the parameters.
    Cell sum(const Row& row, const Coefficients<C>& stats, std::size_t i) const {
        const Borrowed<T> x_tile(kBlock), dy_tile(kBlock);
        Tree<Cell> tree;
        Plane<T> p = plane(stats, i, 1, 0, row.param);
        for (std::size_t block = 0; block < blocks_.count(); ++block) {
            p.lanes = blocks_.length(block);
            p.x = blocks_.read<T>(kX, row.at[kX], block, x_tile);
            p.dy = blocks_.read<T>(kDy, row.at[kDy], block, dy_tile);
            p.w = p.b = call_.affine.w + row.param + blocks_.first(block);
            const auto exact = [&] { return exact_sums(p.dy, p.x, p.lanes, stats, i, p.w, 1); };
            if (stats.extreme(i)) {
                tree.add(exact());
                continue;
            }
            GradSums sums;
            call_.kernels.span_gradients(p, &sums);
            tree.add(repaired({sums.s1, sums.s2}, exact));
        }
        return tree.result();
    }

    // Whether gradients of some rows may overflow in sums.
    bool any_large(const Offset& owner, std::size_t first, std::size_t rows) const {
        T dy[kBlock];
        bool any = false;
        for (std::size_t k = first; k < first + rows && !any; ++k) {
            const Row row = row_at(owner, k);
            const C* const w = call_.affine.w + row.param;
            for (std::size_t begin = 0; begin < n_; begin += kBlock) {
                const std::size_t lanes = std::min(kBlock, n_ - begin);
                gather_range(blocks_.axes(), kDy, row.at[kDy], begin, lanes, dy);
                for (std::size_t j = 0; j < lanes; ++j) {
                    const double g = std::fabs(static_cast<double>(widen(dy[j])));
                    any |= std::isfinite(g) && std::max(g, std::fabs(g * w[begin + j])) > kLargeGradient;
                }
            }
        }
        return any;
    }

    // A row of a micro-block in which some are beyond the compute type: column sums in double, then dx.
    void exact_row(const Row& row, Coefficients<C>& stats, std::size_t i, double* part) const {
        exact_columns(row, stats, i, part);
        if (!gradient_.wants_dx()) return;
        set_sums(row, stats, i);
        const Planes<T> planes(call_.kernels, call_.plan.reducing, call_.affine, Step::input_gradient, call_.stream);
        planes.run(row.at, stats, 0, planes.units(), static_cast<std::ptrdiff_t>(i), row.param);
    }

    void exact_columns(const Row& row, const Coefficients<C>& stats, std::size_t i, double* part) const {
        static constexpr C one = 1;
        const Borrowed<T> x(kBlock), dy(kBlock);
        for (std::size_t begin = 0; parts_ && begin < n_; begin += kBlock) {
            const std::size_t lanes = std::min(kBlock, n_ - begin);
            gather_range<T>(blocks_.axes(), kX, row.at[kX], begin, lanes, x);
            gather_range<T>(blocks_.axes(), kDy, row.at[kDy], begin, lanes, dy);
            for (std::size_t j = 0; j < lanes; ++j) {
                const Cell sums = exact_sums(dy + j, x + j, 1, stats, i, &one, 0);
                part[begin + j] += sums.db;
                part[n_ + begin + j] += sums.dh;
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
            double *db = parts_.get() + owner * stretches_ * 2 * n_ + begin, *dw = db + n_;
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
    bool one_block_, far_, overwrites_;
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

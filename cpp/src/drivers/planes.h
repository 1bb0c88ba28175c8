// Sweeps an elementwise step over a box of any layout: picks the lanes and rows of the plane, and walks the other axes.
#pragma once

#include "shape/limits.h"
#include "sweep.h"
#include "threads/parallel.h"

namespace fastnorm {

template <class T>
class Planes {
    using C = Compute<T>;

public:
    // `axes` is the box that one sweep covers. `stream`: the output is written past the caches.
    Planes(const Kernels<T>& kernels, Axes axes, const Affine<C>& affine, Step step, bool stream)
        : sweep_(kernels, affine, step, stream) {
        axes.merge(false);
        lanes_ = take(axes, true);
        rows_ = take(axes, false);
        sweep_.set_axes(lanes_, rows_);
        outer_ = axes;
        pieces_ = (lanes_.n + kPiece - 1) / kPiece;
    }

    void set_ahead(std::ptrdiff_t elements) { sweep_.set_ahead(elements); }

    // Units of work: rows, or pieces of very long rows. Any partition of them gives the same result.
    std::size_t units() const { return outer_.count() * rows_.n * pieces_; }
    // Sweeps units [begin, end). `bases` and `stat`, `param` are those of the box's first element.
    void run(const Bases& bases, const Coefficients<C>& stats, std::size_t begin, std::size_t end,
             std::ptrdiff_t stat = 0, std::ptrdiff_t param = 0) const {
        while (begin < end) {
            std::size_t row = begin / pieces_;
            const std::size_t piece = begin % pieces_;
            Offset offset = outer_.offset(row / rows_.n);
            row %= rows_.n;
            // Whole rows go together; a long row goes piece by piece.
            const std::size_t rows = pieces_ == 1 ? std::min(rows_.n - row, end - begin) : 1;
            offset.advance(rows_, row);
            offset.advance(lanes_, piece * kPiece);
            offset.stat += stat, offset.param += param;
            sweep_.run(at(bases, offset), stats, offset, rows, std::min(kPiece, lanes_.n - piece * kPiece));
            begin += rows;
        }
    }

    // Sweeps the box once for every index of `groups`, whose statistics stand `stat_step` apart in their order.
    void run_groups(const Bases& bases, const Coefficients<C>& stats, const Axes& groups, std::size_t stat_step,
                    int threads) const {
        const std::size_t some = units_per_task();
        const std::size_t tasks = (units() + some - 1) / some;
        parallel_for(groups.count() * tasks, threads, [&](std::size_t task) {
            const Offset offset = groups.offset(task / tasks);
            const std::size_t begin = task % tasks * some;
            run(at(bases, offset), stats, begin, std::min(begin + some, units()),
                static_cast<std::ptrdiff_t>(task / tasks * stat_step), offset.param);
        });
    }

    // Sweeps the whole box.
    void run_parallel(const Bases& bases, const Coefficients<C>& stats, int threads) const {
        run_groups(bases, stats, Axes(), 0, threads);
    }

private:
    std::size_t units_per_task() const {
        return std::max<std::size_t>(1, limits::kSweepTaskBytes / (std::min(lanes_.n, kPiece) * sizeof(T)));
    }

    static constexpr std::size_t kPiece = Sweep<T>::kMostLanes;

    // The plane's next axis: lanes must step through the side arrays by 0 or 1, and through x as closely as possible;
    // the longest of the others makes the rows.
    static Axis take(Axes& axes, bool lanes) {
        std::size_t best = axes.size();
        for (std::size_t i = axes.size(); i-- > 0;) {
            const Axis& axis = axes[i];
            if (lanes && (axis.stat > 1 || axis.param > 1)) continue;
            const bool better =
                best == axes.size() ||
                (lanes ? std::abs(axis.stride[kX]) < std::abs(axes[best].stride[kX]) : axis.n > axes[best].n);
            if (better) best = i;
        }
        if (best == axes.size()) return kNoAxis;
        const Axis axis = axes[best];
        axes.erase(best);
        return axis;
    }

    Sweep<T> sweep_;
    Axis lanes_, rows_;
    Axes outer_;
    std::size_t pieces_;
};

}  // namespace fastnorm

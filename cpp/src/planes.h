// Sweeps the elementwise kernels over any layout: picks the lanes and rows of the plane, walks the other axes, reaches
// strided memory through tiles, and takes groups with extreme statistics through double arithmetic.
#pragma once

#include "coefficients.h"
#include "kernels/table.h"
#include "parallel.h"
#include "tile.h"

namespace fastnorm {

// Outputs from this size on are written past the caches: nobody finds them there again, and a store that does not have
// to read its line first saves a third of the traffic of a forward pass. Measured: layer norm of 12 MB 0.72 of a copy
// with ordinary stores, 1.05 with these; below 8 MB they lose.
inline bool outgrows_caches(std::size_t bytes) { return bytes >= 8 << 20; }

// Base addresses of the operands.
using Bases = std::array<char*, kOperands>;

inline Bases at(Bases bases, const Offset& offset) {
    for (std::size_t k = 0; k < kOperands; ++k) {
        if (bases[k]) bases[k] += offset.at[k];
    }
    return bases;
}

template <class T>
class Planes {
    using C = Compute<T>;
    using Kernel = void (*)(const Plane<T>&);

public:
    // `axes` is the box that one sweep covers. `gradient`: dx from dy and x, else y from x. `stream`: the output is
    // written past the caches.
    Planes(const Kernels<T>& kernels, Axes axes, const Affine<C>& affine, bool gradient, bool stream)
        : kernel_(gradient ? kernels.input_gradient : kernels.normalize),
          affine_(affine),
          gradient_(gradient),
          stream_(stream) {
        axes.merge(false);
        lanes_ = take(axes, true);
        rows_ = take(axes, false);
        outer_ = axes;
        pieces_ = (lanes_.n + kPiece - 1) / kPiece;
    }

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
            sweep(at(bases, offset), stats, offset, rows, std::min(kPiece, lanes_.n - piece * kPiece));
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
        constexpr std::size_t kTaskBytes = 64 * 1024;
        return std::max<std::size_t>(1, kTaskBytes / (std::min(lanes_.n, kPiece) * sizeof(T)));
    }

    static constexpr std::size_t kPiece = 16 * kBlock;

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

    bool direct(const Bases& bases, Operand k) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        return (lanes_.stride[k] == size || lanes_.n == 1) && rows_.stride[k] % size == 0 && aligned<T>(bases[k]);
    }

    bool whole_lines(const char* y) const {
        constexpr std::size_t kLine = 64;
        const auto step = static_cast<std::size_t>(rows_.stride[kY]);
        return lanes_.n * sizeof(T) >= 16 * kLine ||
               (step % kLine == 0 && reinterpret_cast<std::uintptr_t>(y) % kLine == 0);
    }

    void sweep(const Bases& bases, const Coefficients<C>& stats, const Offset& offset, std::size_t rows,
               std::size_t lanes) const {
        if (stats.any_extreme) {
            for (std::size_t row = 0; row < rows; ++row) {
                Offset at_row = offset, step;
                at_row.advance(rows_, row);
                step.advance(rows_, row);
                sweep_extreme(at(bases, step), stats, at_row, lanes);
            }
        } else {
            sweep_plain(bases, stats, offset, rows, lanes);
        }
    }

    Plane<T> plane(const Coefficients<C>& s, const Offset& offset, std::size_t rows, std::size_t lanes) const {
        Plane<T> p{};
        p.rows = rows, p.lanes = lanes;
        p.h = s.h + offset.stat, p.l = s.l + offset.stat, p.r = s.r + offset.stat;
        p.c1 = s.c1 + offset.stat, p.c2 = s.c2 + offset.stat;
        p.stat_row = rows_.stat, p.stat_lanes = lanes_.stat != 0;
        p.w = affine_.w + offset.param, p.b = affine_.b + offset.param;
        p.param_row = rows_.param, p.param_lanes = lanes_.param != 0;
        return p;
    }

    void sweep_plain(const Bases& bases, const Coefficients<C>& s, const Offset& offset, std::size_t rows,
                     std::size_t lanes) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const bool dx = direct(bases, kX), dy = direct(bases, kY), dd = !gradient_ || direct(bases, kDy);
        if (dx && dy && dd) {
            Plane<T> p = plane(s, offset, rows, lanes);
            p.x = reinterpret_cast<const T*>(bases[kX]), p.x_row = rows_.stride[kX] / size;
            p.y = reinterpret_cast<T*>(bases[kY]), p.y_row = rows_.stride[kY] / size;
            // In place the lines are in the cache already; short rows would leave most of them half written.
            p.stream = stream_ && bases[kY] != bases[kX] && whole_lines(bases[kY]);
            p.dy = reinterpret_cast<const T*>(bases[kDy]), p.dy_row = rows_.stride[kDy] / size;
            kernel_(p);
            return;
        }
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t lane = 0; lane < lanes; lane += kBlock) {
                Offset step;
                step.advance(rows_, row);
                step.advance(lanes_, lane);
                Offset here = offset;
                here.stat += step.stat, here.param += step.param;
                sweep_tile(at(bases, step), plane(s, here, 1, std::min(kBlock, lanes - lane)));
            }
        }
    }

    void sweep_tile(const Bases& bases, Plane<T> p) const {
        T x[kBlock], dy[kBlock], y[kBlock];
        gather(bases[kX], lanes_.stride[kX], p.lanes, x);
        if (gradient_) gather(bases[kDy], lanes_.stride[kDy], p.lanes, dy);
        p.x = x, p.dy = dy, p.y = y;
        kernel_(p);
        scatter(y, p.lanes, bases[kY], lanes_.stride[kY]);
    }

    // One row in which some groups are extreme. Their inputs are kept first, since y may lie on x, and their lanes
    // written over last.
    void sweep_extreme(const Bases& bases, const Coefficients<C>& s, const Offset& offset, std::size_t lanes) const {
        std::vector<std::pair<std::size_t, T>> fixed;
        for (std::size_t i = 0; i < lanes; ++i) {
            const auto lane = static_cast<std::ptrdiff_t>(i);
            const auto stat = static_cast<std::size_t>(offset.stat + lane * lanes_.stat);
            if (s.extreme(stat)) fixed.emplace_back(i, exact(bases, s, stat, offset.param + lane * lanes_.param, lane));
        }
        if (fixed.size() < lanes) sweep_plain(bases, s, offset, 1, lanes);
        for (const auto& [i, value] : fixed) {
            std::memcpy(bases[kY] + static_cast<std::ptrdiff_t>(i) * lanes_.stride[kY], &value, sizeof(T));
        }
    }

    double read(const Bases& bases, Operand k, std::ptrdiff_t lane) const {
        T value;
        std::memcpy(&value, bases[k] + lane * lanes_.stride[k], sizeof(T));
        return widen(value);
    }

    T exact(const Bases& bases, const Coefficients<C>& s, std::size_t stat, std::ptrdiff_t param,
            std::ptrdiff_t lane) const {
        const double xhat = (read(bases, kX, lane) - s.mean[stat]) * s.rstd[stat];
        const double w = affine_.w[param];
        if (!gradient_) return narrow<T>(xhat * w + affine_.b[param]);
        return narrow<T>(s.rstd[stat] * ((read(bases, kDy, lane) * w - s.d1[stat]) - xhat * s.d2[stat]));
    }

    Kernel kernel_;
    const Affine<C>& affine_;
    bool gradient_, stream_;
    Axis lanes_, rows_;
    Axes outer_;
    std::size_t pieces_;
};

}  // namespace fastnorm

// Elementwise steps over rows of any layout: reaches strided memory through tiles, takes groups with extreme statistics
// through double arithmetic, rounds to bytes.
#pragma once

#include <array>
#include <cstring>
#include <utility>

#include "activation.h"
#include "coefficients.h"
#include "kernels/table.h"
#include "memory/thread_memory.h"
#include "plane_writer.h"
#include "shape/tile.h"

namespace fastnorm {

// Base addresses of the operands.
using Bases = std::array<char*, kOperands>;

inline Bases at(Bases bases, const Offset& offset) {
    for (std::size_t k = 0; k < kOperands; ++k) {
        if (bases[k]) bases[k] += offset.at[k];
    }
    return bases;
}

// What is written to kY: of x; of dy and x; the same with a mask in kExtra, the dx of an element outside being that of
// constant statistics; dy through the activation; x + dy.
enum class Step { normalize, input_gradient, masked_gradient, activation_gradient, add };

template <class T>
class Sweep {
    using C = Compute<T>;
    using Kernel = PlaneKernel<T>;

public:
    static constexpr std::size_t kMostLanes = 16 * kBlock;  // of a sweep

    Sweep(const Kernels<T>& kernels, const Affine<C>& affine, Step step, bool stream)
        : kernels_(kernels), kernel_(kernel_of(kernels, step)), affine_(affine), step_(step), stream_(stream) {}

    // Along which axes `run` goes.
    void set_axes(const Axis& lanes, const Axis& rows) { lanes_ = lanes, rows_ = rows; }
    // Elements from x to what is read next, which is fetched meanwhile: reading and writing by turns would use half of
    // the memory's rate each.
    void set_ahead(std::ptrdiff_t ahead) { ahead_ = ahead; }

    void run(const Bases& bases, const Coefficients<C>& stats, const Offset& offset, std::size_t rows,
             std::size_t lanes) const {
        if (!reads_mask() || !counts_by_rows()) return run_alike(bases, stats, offset, rows, lanes);
        const auto counts = [&](std::size_t row) { return *row_of(bases, kExtra, row) != 0; };
        for (std::size_t row = 0, end; row < rows; row = end) {
            for (end = row + 1; end < rows && counts(end) == counts(row);) ++end;
            Offset step, here = offset;
            step.advance(rows_, row);
            here.stat += step.stat, here.param += step.param;
            run_alike(at(bases, step), stats, here, end - row, lanes);
        }
    }

private:
    static constexpr std::size_t kLine = PlaneWriter<T>::kLine;
    static constexpr std::size_t kRoom = 4 * kBlock;  // of all tiles
    static Kernel kernel_of(const Kernels<T>& kernels, Step step) {
        switch (step) {
            case Step::normalize:
                return kernels.normalize;
            case Step::activation_gradient:
                return kernels.activation_gradient;
            case Step::add:
                return kernels.add;
            default:
                return kernels.input_gradient;
        }
    }

    bool direct(const Bases& bases, Operand k) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        return (lanes_.stride[k] == size || lanes_.n == 1) && rows_.stride[k] % size == 0 && aligned<T>(bases[k]);
    }

    bool whole_lines(const char* y) const {
        const auto step = static_cast<std::size_t>(rows_.stride[kY]);
        return lanes_.n * sizeof(T) >= 16 * kLine ||
               (step % kLine == 0 && reinterpret_cast<std::uintptr_t>(y) % kLine == 0);
    }

    bool reads_dy() const { return step_ != Step::normalize; }
    bool reads_added(const Bases& bases) const { return step_ == Step::input_gradient && bases[kExtra]; }
    bool reads_mask() const { return step_ == Step::masked_gradient; }
    bool counts_by_rows() const { return lanes_.stride[kExtra] == 0 && lanes_.n > 1; }
    bool mask_in_place() const { return counts_by_rows() || lanes_.stride[kExtra] == 1 || lanes_.n == 1; }
    // The mask of rows where it is; nothing for rows that count as a whole.
    void set_mask(const Bases& bases, Plane<T>& p) const {
        static constexpr std::array<std::uint8_t, kMostLanes> kNone{};
        if (!counts_by_rows()) {
            p.mask = reinterpret_cast<const std::uint8_t*>(bases[kExtra]), p.mask_row = rows_.stride[kExtra];
        } else if (*bases[kExtra] == 0) {
            p.mask = kNone.data();
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
        p.no_bias = !affine_.has_bias();
        p.activation = affine_.activation;
        return p;
    }

    // If rows count as a whole, all of these or none.
    void run_alike(const Bases& bases, const Coefficients<C>& stats, const Offset& offset, std::size_t rows,
                   std::size_t lanes) const {
        if (!stats.any_extreme) return plain(bases, stats, offset, rows, lanes);
        for_blocks(bases, offset, rows, lanes,
                   [&](const Bases& block, const Offset& here, std::size_t n) { extreme(block, stats, here, n); });
    }

    // Rows without an extreme group.
    void plain(const Bases& bases, const Coefficients<C>& s, const Offset& offset, std::size_t rows,
               std::size_t lanes) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const bool added = reads_added(bases);
        if (writes_in_place(bases) && direct(bases, kX) && (!reads_dy() || direct(bases, kDy)) &&
            (!added || direct(bases, kExtra)) && (!reads_mask() || mask_in_place())) {
            Plane<T> p = plane(s, offset, rows, lanes);
            p.x = reinterpret_cast<const T*>(bases[kX]), p.x_row = rows_.stride[kX] / size;
            p.y = reinterpret_cast<T*>(bases[kY]), p.y_row = rows_.stride[kY] / size;
            p.ahead = ahead_;
            if (reads_dy()) p.dy = reinterpret_cast<const T*>(bases[kDy]), p.dy_row = rows_.stride[kDy] / size;
            if (added) p.added = reinterpret_cast<const T*>(bases[kExtra]), p.added_row = rows_.stride[kExtra] / size;
            if (reads_mask()) set_mask(bases, p);
            // In place the lines are in the cache already.
            const bool stream = stream_ && bases[kY] != bases[kX] && bases[kY] != bases[kDy];
            p.stream = stream && whole_lines(bases[kY]);
            PlaneWriter<T>(kernels_, kernel_).run(p, stream);
            return;
        }
        tiles(bases, s, offset, rows, lanes);
    }

    // Calls f(bases, offset, lanes) for pieces of rows of at most kBlock lanes.
    template <class F>
    void for_blocks(const Bases& bases, const Offset& offset, std::size_t rows, std::size_t lanes, F&& f) const {
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t lane = 0; lane < lanes; lane += kBlock) {
                Offset step, here = offset;
                step.advance(rows_, row);
                step.advance(lanes_, lane);
                here.stat += step.stat, here.param += step.param;
                f(at(bases, step), here, std::min(kBlock, lanes - lane));
            }
        }
    }

    // By way of tiles: what is not in place, or becomes bytes.
    void tiles(const Bases& bases, const Coefficients<C>& s, const Offset& offset, std::size_t rows,
               std::size_t lanes) const {
        const Borrowed<T> room(kRoom);
        if (lanes > kBlock) {
            for_blocks(bases, offset, rows, lanes, [&](const Bases& block, const Offset& here, std::size_t n) {
                tile(block, plane(s, here, 1, n), here.param, room);
            });
            return;
        }
        // Every operand that is not in place has a tile.
        std::size_t number = !writes_in_place(bases) + !direct(bases, kX);
        if (reads_dy()) number += !direct(bases, kDy);
        if (reads_added(bases)) number += !direct(bases, kExtra);
        const std::size_t most = kRoom / std::max<std::size_t>(1, number) / std::max<std::size_t>(1, lanes);
        for (std::size_t row = 0; row < rows; row += most) {
            Offset step, here = offset;
            step.advance(rows_, row);
            here.stat += step.stat, here.param += step.param;
            tile(at(bases, step), plane(s, here, std::min(most, rows - row), lanes), here.param, room);
        }
    }

    void tile(const Bases& bases, Plane<T> p, std::ptrdiff_t param, T* room) const {
        const std::size_t size = p.rows * p.lanes;
        if (writes_in_place(bases)) {
            p.y = reinterpret_cast<T*>(bases[kY]), p.y_row = rows_.stride[kY] / static_cast<std::ptrdiff_t>(sizeof(T));
        } else {
            p.y = std::exchange(room, room + size), p.y_row = static_cast<std::ptrdiff_t>(p.lanes);
        }
        read(bases, kX, p, room, p.x, p.x_row);
        if (reads_dy()) read(bases, kDy, p, room, p.dy, p.dy_row);
        if (reads_added(bases)) read(bases, kExtra, p, room, p.added, p.added_row);
        const Borrowed<std::uint8_t> mask(reads_mask() ? size : 1);
        if (reads_mask()) {
            for (std::size_t i = 0; i < p.rows; ++i) {
                gather(row_of(bases, kExtra, i), lanes_.stride[kExtra], p.lanes, mask + i * p.lanes);
            }
            p.mask = mask, p.mask_row = static_cast<std::ptrdiff_t>(p.lanes);
        }
        kernel_(p);
        if (affine_.quantization) return write_bytes(p.y, p.rows, p.lanes, param, bases[kY]);
        if (writes_in_place(bases)) return;
        for (std::size_t i = 0; i < p.rows; ++i) {
            scatter(static_cast<const T*>(p.y + i * p.lanes), p.lanes, row_of(bases, kY, i), lanes_.stride[kY]);
        }
    }

    bool writes_in_place(const Bases& bases) const { return !affine_.quantization && direct(bases, kY); }

    char* row_of(const Bases& bases, Operand k, std::size_t i) const {
        return bases[k] + static_cast<std::ptrdiff_t>(i) * rows_.stride[k];
    }

    // Where the rows of an operand are, and how far apart. If not in place, they are copied to `room`, of which less is
    // left then.
    void read(const Bases& bases, Operand k, const Plane<T>& p, T*& room, const T*& from, std::ptrdiff_t& step) const {
        if (direct(bases, k)) {
            from = reinterpret_cast<const T*>(bases[k]);
            step = rows_.stride[k] / static_cast<std::ptrdiff_t>(sizeof(T));
            return;
        }
        T* const tile = std::exchange(room, room + p.rows * p.lanes);
        for (std::size_t i = 0; i < p.rows; ++i) {
            gather(row_of(bases, k, i), lanes_.stride[k], p.lanes, tile + i * p.lanes);
        }
        from = tile, step = static_cast<std::ptrdiff_t>(p.lanes);
    }

    // Rows that lie in one piece as one, if they have one scale.
    void write_bytes(const T* y, std::size_t rows, std::size_t lanes, std::ptrdiff_t param, char* to) const {
        const Quantization& q = *affine_.quantization;
        const bool per_lane = q.per_parameter && lanes_.param != 0;
        const std::ptrdiff_t row_param = q.per_parameter ? rows_.param : 0;
        const std::ptrdiff_t step = lanes == 1 ? rows_.stride[kY] : lanes_.stride[kY];
        const bool one_piece = lanes == 1 || rows_.stride[kY] == static_cast<std::ptrdiff_t>(lanes) * step;
        if (one_piece && !per_lane && row_param == 0) lanes *= std::exchange(rows, 1);
        const bool in_place = step == 1 || lanes == 1;
        const Borrowed<std::uint8_t> bytes(in_place ? 1 : lanes);
        for (std::size_t i = 0; i < rows; ++i, y += lanes, to += rows_.stride[kY]) {
            const std::ptrdiff_t first = q.per_parameter ? param + static_cast<std::ptrdiff_t>(i) * row_param : 0;
            const Quantizer<C> by{static_cast<const C*>(q.scale) + first, static_cast<const C*>(q.zero_point) + first,
                                  per_lane, C(q.is_signed ? -128 : 0), C(q.is_signed ? 127 : 255)};
            kernels_.quantize(y, lanes, by, in_place ? reinterpret_cast<std::uint8_t*>(to) : bytes);
            if (!in_place) scatter<std::uint8_t>(bytes, lanes, to, step);
        }
    }

    void write(T y, std::ptrdiff_t param, char* to) const {
        if (affine_.quantization) {
            write_bytes(&y, 1, 1, param, to);
        } else {
            std::memcpy(to, &y, sizeof y);
        }
    }

    bool is_exact(const Coefficients<C>& s, std::size_t stat) const {
        const bool gradient = step_ == Step::input_gradient || step_ == Step::masked_gradient;
        return s.extreme(stat) || (gradient && s.large_gradient(stat));
    }

    // The same with lanes of groups that take double arithmetic.
    void extreme(const Bases& bases, const Coefficients<C>& s, const Offset& offset, std::size_t lanes) const {
        std::vector<std::pair<std::ptrdiff_t, T>> fixed;
        for (std::size_t i = 0; s.any_extreme && i < lanes; ++i) {
            const auto lane = static_cast<std::ptrdiff_t>(i);
            const auto stat = static_cast<std::size_t>(offset.stat + lane * lanes_.stat);
            if (is_exact(s, stat)) {
                fixed.emplace_back(lane, exact(bases, s, stat, offset.param + lane * lanes_.param, lane));
            }
        }
        if (fixed.size() < lanes) plain(bases, s, offset, 1, lanes);
        for (const auto& [lane, y] : fixed) {
            write(y, offset.param + lane * lanes_.param, bases[kY] + lane * lanes_.stride[kY]);
        }
    }

    double value(const Bases& bases, Operand k, std::ptrdiff_t lane) const {
        T value;
        std::memcpy(&value, bases[k] + lane * lanes_.stride[k], sizeof(T));
        return widen(value);
    }

    T exact(const Bases& bases, const Coefficients<C>& s, std::size_t stat, std::ptrdiff_t param,
            std::ptrdiff_t lane) const {
        const double xhat = s.xhat(stat, value(bases, kX, lane));
        const double w = affine_.w[param], z = xhat * w + affine_.b[param];
        if (step_ == Step::normalize) return narrow<T>(activate(affine_.activation, z));
        const double dy = value(bases, kDy, lane);
        if (step_ == Step::activation_gradient) return narrow<T>(dy * activation_slope(affine_.activation, z));
        if (reads_mask() && !bases[kExtra][lane * lanes_.stride[kExtra]]) return narrow<T>(dy * w * s.rstd[stat]);
        const double added = reads_added(bases) ? value(bases, kExtra, lane) : 0.0;
        return narrow<T>(s.rstd[stat] * ((dy * w - s.d1[stat]) - xhat * s.d2[stat]) + added);
    }

    const Kernels<T>& kernels_;
    Kernel kernel_;
    const Affine<C>& affine_;
    Step step_;
    bool stream_;
    std::ptrdiff_t ahead_ = 0;
    Axis lanes_, rows_;
};

}  // namespace fastnorm

// Planes of data in place: rows that are too short for whole vectors or for whole lines of the cache are taken
// together.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/table.h"
#include "memory/thread_memory.h"
#include "shape/folds.h"

namespace fastnorm {

template <class T>
using PlaneKernel = void (*)(const Plane<T>&);

template <class T>
class PlaneWriter {
    using C = Compute<T>;

public:
    static constexpr std::size_t kLine = 64;  // of the cache

    PlaneWriter(const Kernels<T>& kernels, PlaneKernel<T> kernel) : kernels_(kernels), kernel_(kernel) {}

    // `stream`: past the caches. Planes of rows that begin and end with a line have it set already. Uses the plane up.
    void run(Plane<T>& p, bool stream) const {
        if (few_lanes(p)) {
            p.stream = stream;
            wide_rows(p);
        } else if (stream && !p.stream && flat(p)) {
            stream_flat(p);
        } else if (stream && !p.stream && p.y_row == static_cast<std::ptrdiff_t>(p.lanes)) {
            stream_rows(p);
        } else {
            kernel_(p);
        }
    }

private:
    // Lanes of rows whose values are copied behind themselves; longer ones have whole lines enough.
    static constexpr std::size_t kWrapped = 16 * kLine / sizeof(T);

    // Whether rows follow one another, and are of a length that is better streamed as one long row.
    static bool flat(const Plane<T>& p) {
        const bool forms = !p.stat_lanes || p.param_lanes;
        return forms && p.lanes * sizeof(C) >= kLine && p.lanes <= kWrapped && consecutive(p);
    }

    static bool consecutive(const Plane<T>& p) {
        const auto lanes = static_cast<std::ptrdiff_t>(p.lanes);
        return p.x_row == lanes && p.y_row == lanes && (!p.dy || p.dy_row == lanes) &&
               (!p.added || p.added_row == lanes) && (!p.mask || p.mask_row == lanes);
    }

    // Whether rows are better taken together: they are short, follow one another, and have the same values.
    static bool few_lanes(const Plane<T>& p) {
        return p.lanes < kFewLanes && p.rows > 1 && p.stat_row == 0 && p.param_row == 0 && consecutive(p);
    }

    // Rows of few lanes as wide ones of whole lines.
    void wide_rows(Plane<T>& p) const {
        const std::size_t lanes = p.lanes, total = p.rows;
        // Few of few rows: what they share has to be repeated for each.
        const std::size_t most = kFewLanes * std::max<std::size_t>(1, 8 / lanes);
        const std::size_t folds = std::clamp<std::size_t>(total / 4, std::min(total, kFewLanes / lanes + 1), most);
        const std::size_t wide = folds * lanes;
        const Borrowed<C> all(7 * wide);
        C* next = all;
        const auto widen = [&](const C*& values) {
            repeat_folds(values, lanes, folds, next);
            values = std::exchange(next, next + wide);
        };
        if (p.stat_lanes) widen(p.h), widen(p.l), widen(p.r);
        if (p.stat_lanes && p.dy) widen(p.c1), widen(p.c2);
        if (p.param_lanes) widen(p.w), widen(p.b);
        const auto step = static_cast<std::ptrdiff_t>(wide);
        p.period = lanes;
        p.lanes = wide, p.rows = total / folds;
        p.x_row = p.y_row = step;
        if (p.dy) p.dy_row = step;
        if (p.added) p.added_row = step;
        if (p.mask) p.mask_row = step;
        kernel_(p);
        const std::size_t done = p.rows * folds;
        if (done == total) return;
        const auto at = static_cast<std::ptrdiff_t>(done * lanes);
        p.rows = 1, p.lanes = (total - done) * lanes;
        p.x += at, p.y += at;
        if (p.dy) p.dy += at;
        if (p.added) p.added += at;
        if (p.mask) p.mask += at;
        kernel_(p);
    }

    // Short rows one after the other, which would leave most lines half written: past the caches as one long row.
    void stream_flat(Plane<T>& p) const {
        constexpr std::size_t kVector = kLine / sizeof(C);
        const Borrowed<C> all(7 * (kWrapped + kVector));
        C* next = all;
        const auto wrap = [&](const C*& values) {
            std::copy_n(values, kVector, std::copy_n(values, p.lanes, next));
            values = std::exchange(next, next + kWrapped + kVector);
        };
        if (p.stat_lanes) wrap(p.h), wrap(p.l), wrap(p.r);
        if (p.stat_lanes && p.dy) wrap(p.c1), wrap(p.c2);
        if (p.param_lanes) wrap(p.w), wrap(p.b);
        p.flat = p.stream = true;
        kernel_(p);
    }

    // The same for rows that are shorter than a vector: by way of a tile.
    void stream_rows(Plane<T>& p) const {
        constexpr std::size_t kTile = 16 * 1024 / sizeof(T);
        const Borrowed<T> tile(kTile);
        T* y = p.y;
        const std::size_t rows = p.rows, most = std::max<std::size_t>(1, kTile / p.lanes);
        p.y = tile;
        for (std::size_t first = 0; first < rows; first += p.rows) {
            p.rows = std::min(most, rows - first);
            kernel_(p);
            kernels_.stream(tile, p.rows * p.lanes, y + first * p.lanes);
            const auto n = static_cast<std::ptrdiff_t>(p.rows), stat = n * p.stat_row, param = n * p.param_row;
            p.x += n * p.x_row, p.dy += n * p.dy_row, p.added += n * p.added_row;
            p.mask += n * p.mask_row;
            p.h += stat, p.l += stat, p.r += stat, p.c1 += stat, p.c2 += stat;
            p.w += param, p.b += param;
        }
    }

    const Kernels<T>& kernels_;
    PlaneKernel<T> kernel_;
};

}  // namespace fastnorm

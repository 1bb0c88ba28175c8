// Linear maps of the features of every sample: y = matrix (x - centre) + shift, and the same of two inputs at once.
//
// The samples are cut into panels. If features are neighbours in memory a panel is the left factor and the matrix comes
// in strips, else the panel is the strip; either way each value is the same chain of products in the order of the
// features, so that the result depends on the layout no more than on the threads.
#include "transform.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/dispatch.h"
#include "memory/thread_memory.h"
#include "samples.h"
#include "shape/limits.h"
#include "threads/once.h"
#include "threads/parallel.h"

namespace fastnorm {
namespace {

constexpr std::size_t kPanel = 128;  // samples that share a pass over the matrix, at most
// Of so few features panels are shorter: reading the next one does not wait until all of the last one is in memory.
constexpr std::size_t kNarrowPanel = 32;
constexpr std::size_t kNarrowBytes = 1 << 8;
constexpr std::size_t kDepth = 128;           // features of one chain
constexpr std::size_t kLanesBytes = 1 << 18;  // of a panel: it fits the second cache
constexpr std::size_t kLeastCache = 1 << 19;
constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kTaskElements = 1 << 17;

// Of a panel whose features are neighbours: three quarters of the second cache.
std::size_t rows_bytes() {
    static std::atomic<std::size_t> bytes{0};
    once(bytes, [] { return std::max<std::size_t>(cache_sizes().l2, kLeastCache) / 4 * 3; });
    return bytes.load(std::memory_order_relaxed);
}

std::size_t round_up(std::size_t a, std::size_t b) { return (a + b - 1) / b * b; }

// The matrices of all groups, in the type of the arithmetic: strips of their transposes, or rows.
template <class C>
class Matrices {
public:
    Matrices(const double* matrix, std::size_t groups, std::size_t rows, std::size_t depth, bool strips, int threads)
        : strips_(strips), depth_(depth), padded_(round_up(rows, strips ? kStrip<C> : kTileRows)) {
        values_.resize(groups * padded_ * depth);
        const std::size_t lines = strips ? kStrip<C> : rows, count = (rows + lines - 1) / lines;
        parallel_for(groups * count, threads, [&](std::size_t task) {
            const std::size_t first = task % count * lines, some = std::min(lines, rows - first);
            const double* const from = matrix + (task / count * rows + first) * depth;
            C* const to = values_.data() + at(task / count, first, 0);
            if (strips) {
                transpose(from, some, depth, to);
            } else {
                std::transform(from, from + some * depth, to, [](double v) { return static_cast<C>(v); });
            }
        });
    }
    const C* data(std::size_t group, std::size_t row, std::size_t k) const {
        return values_.data() + at(group, row, k);
    }

private:
    // One strip, a line of the cache of every row at a time.
    static void transpose(const double* from, std::size_t rows, std::size_t depth, C* to) {
        constexpr std::size_t kLine = kLineBytes / sizeof(double);
        for (std::size_t k = 0; k < depth; k += kLine) {
            const std::size_t end = std::min(depth, k + kLine);
            for (std::size_t i = 0; i < rows; ++i) {
                for (std::size_t j = k; j < end; ++j) to[j * kStrip<C> + i] = static_cast<C>(from[i * depth + j]);
            }
        }
    }

    std::size_t at(std::size_t group, std::size_t i, std::size_t k) const {
        const std::size_t begin = group * padded_ * depth_;
        if (!strips_) return begin + i * depth_ + k;
        return begin + (i / kStrip<C> * depth_ + k) * kStrip<C> + i % kStrip<C>;
    }

    bool strips_;
    std::size_t depth_, padded_;
    std::vector<C> values_;
};

template <class T, class C>
struct Transform {
    using Reader = FeatureReader<T, C>;

    const Features& features;
    const Reader& x;
    const Reader* dy;
    const FeatureWriter<T, C>& y;
    std::size_t rows, depth;  // of a matrix
    const Matrices<C>& matrices;
    void (*product)(const Product<C>&);

    void run(bool along, int threads) const {
        const std::size_t groups = features.groups.count(), samples = features.samples.count();
        const std::size_t panel = along ? panel_rows() : panel_lanes();
        const std::size_t task = std::max(panel, kTaskElements / depth / panel * panel);
        parallel_for((samples + task - 1) / task * groups, threads, [&](std::size_t i) {
            const std::size_t first = i / groups * task, end = std::min(samples, first + task);
            along ? by_rows(i % groups, first, end) : by_lanes(i % groups, first, end);
        });
    }

private:
    // Samples of a panel whose features are neighbours.
    std::size_t panel_rows() const {
        if (depth * sizeof(C) <= kNarrowBytes) return kNarrowPanel;
        return std::clamp<std::size_t>(rows_bytes() / (depth * sizeof(C)) / kTileRows * kTileRows, 2 * kTileRows,
                                       kPanel);
    }

    // Samples of a panel whose features lie apart: many, since memory is read and written in runs of so many.
    std::size_t panel_lanes() const {
        return std::clamp<std::size_t>(kLanesBytes / (depth * sizeof(C) * kStrip<C>), 1, 8) * kStrip<C>;
    }

    void read(std::size_t group, std::size_t first, std::size_t count, C* to, std::ptrdiff_t sample,
              std::ptrdiff_t feature) const {
        x.read(group, first, count, 0, features.n, to, sample, feature);
        if (dy) dy->read(group, first, count, 0, features.n, to + features.n * feature, sample, feature);
    }

    void by_rows(std::size_t group, std::size_t first, std::size_t end) const {
        constexpr auto strip = static_cast<std::ptrdiff_t>(kStrip<C>);
        // One line of memory more than the features: rows that were a power of two apart would meet in a few sets of
        // the cache.
        const std::size_t apart = depth + kLineBytes / sizeof(C), most = panel_rows();
        const auto step = static_cast<std::ptrdiff_t>(apart);
        C* const panel = scratch<C>(most * (apart + kStrip<C>));
        C* const tile = panel + most * apart;
        for (; first < end; first += most) {
            const std::size_t count = std::min(most, end - first);
            read(group, first, count, panel, step, 1);
            std::fill_n(panel + count * apart, (round_up(count, kTileRows) - count) * apart, C{0});
            for (std::size_t i = 0; i < rows; i += kStrip<C>) {
                const std::size_t lanes = std::min(kStrip<C>, rows - i);
                for (std::size_t k = 0; k < depth; k += kDepth) {
                    product({round_up(count, kTileRows), std::min(kDepth, depth - k), lanes, panel + k, step, 1,
                             matrices.data(group, i, k), strip, tile, strip, k > 0});
                }
                y.write(group, first, count, i, lanes, tile, strip, true);
            }
        }
    }

    void by_lanes(std::size_t group, std::size_t first, std::size_t end) const {
        const std::size_t lanes = panel_lanes(), padded = round_up(rows, kTileRows);
        // As in by_rows.
        const std::size_t apart = lanes + kLineBytes / sizeof(C);
        const auto step = static_cast<std::ptrdiff_t>(apart);
        C* const panel = scratch<C>(apart * (depth + padded));
        C* const tile = panel + apart * depth;
        for (; first < end; first += lanes) {
            const std::size_t count = std::min(lanes, end - first);
            read(group, first, count, panel, 1, step);
            for (std::size_t k = 0; count < lanes && k < depth; ++k) {
                std::fill_n(panel + k * apart + count, round_up(count, kStrip<C>) - count, C{0});
            }
            for (std::size_t k = 0; k < depth; k += kDepth) {
                product({padded, std::min(kDepth, depth - k), count, matrices.data(group, 0, k),
                         static_cast<std::ptrdiff_t>(depth), 1, panel + k * apart, step, tile, step, k > 0});
            }
            y.write(group, first, count, 0, rows, tile, step, false);
        }
    }
};

// Whether float can hold the matrices and what they are applied to: every column has a moderate size, or is zero.
bool moderate(const LinearMap& map, std::size_t groups, std::size_t depth) {
    const double* row = map.matrix;
    std::vector<double> most(depth);
    for (std::size_t g = 0; g < groups; ++g) {
        std::fill(most.begin(), most.end(), 0.0);
        for (std::size_t i = 0; i < map.rows; ++i, row += depth) {
            for (std::size_t k = 0; k < depth; ++k) most[k] = std::max(most[k], std::abs(row[k]));
        }
        for (const double size : most) {
            if (size > 0x1p100 || (size > 0 && size < 0x1p-100)) return false;
        }
    }
    return true;
}

bool moderate(const double* centre, std::size_t n) {
    return !centre || std::all_of(centre, centre + n, [](double c) { return !(std::abs(c) > 0x1p126); });
}

}  // namespace

void transform(const Space& space, const LinearMap& map, Input x, const double* centre_x, Input dy,
               const double* centre_dy, Output y) {
    transform(space, map, x, centre_x, dy, centre_dy, y, false);
}

void transform(const Space& space, const LinearMap& map, Input x, const double* centre_x, Input dy,
               const double* centre_dy, Output y, bool wide) {
    const Features features(space, {x.strides, y.strides, dy.data ? dy.strides : x.strides});
    const std::size_t groups = features.groups.count(), samples = features.samples.count();
    if (groups * samples * features.n * map.rows == 0) return;
    const std::size_t depth = features.n * (dy.data ? 2 : 1);
    const bool single = !wide && moderate(map, groups, depth) && moderate(centre_x, groups * features.n) &&
                        moderate(centre_dy, groups * features.n);
    const auto run = [&](auto type, auto compute) {
        using T = decltype(type);
        using C = decltype(compute);
        const MatrixKernels& table = *kernels().matrices;
        const BlockKernels<T, C>& blocks = table.of<T, C>();
        const bool along = features.along_features(kX);
        const FeatureReader<T, C> left(features, kX, x.data, centre_x, blocks);
        const FeatureReader<T, C> right(features, kDy, dy.data, centre_dy, blocks);
        const FeatureWriter<T, C> writer(features, kY, y.data, map.rows, map.shift, blocks);
        const int threads = threads_for(groups * samples * depth * (sizeof(T) + map.rows / 8));
        const Matrices<C> matrices(map.matrix, groups, map.rows, depth, along, threads);
        Transform<T, C>{features, left,     dy.data ? &right : nullptr, writer, map.rows,
                        depth,    matrices, table.product<C>()}
            .run(along, threads);
    };
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        if (single) {
            run(type, Compute<T>{});
        } else {
            run(type, double{});
        }
    });
}

}  // namespace fastnorm

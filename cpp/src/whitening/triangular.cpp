// Blocked Householder factorization of samples that are read panel by panel.
//
// A chunk of the samples has its own triangular factor, and the factors merge in a fixed tree: the cuts depend on the
// shape alone. Within a chunk a panel of samples is reflected into the factor, kReflections columns at a time; the
// columns behind them follow by products.
#include "triangular.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/dispatch.h"
#include "kernels/orthogonal.h"
#include "samples.h"
#include "threads/parallel.h"

namespace fastnorm {
namespace {

constexpr std::size_t kPanel = 192;  // samples
constexpr std::size_t kStripLanes = kStrip<double>;
constexpr std::size_t kMostChunks = 8;
constexpr std::size_t kChunkPerFeature = 8;  // samples of a chunk per feature: merging factors must not matter

std::size_t round_up(std::size_t a, std::size_t b) { return (a + b - 1) / b * b; }

// Reflects panels of rows into a triangular factor; both have rows of `width` doubles, a multiple of kReflections.
class Reflector {
public:
    Reflector(std::size_t width, const OrthogonalKernels& kernels) : width_(width), kernels_(kernels) {}

    // `count` rows, a multiple of kTileRows, whose columns before `first` are zero. Overwrites them.
    void run(double* upper, double* rows, std::size_t count, std::size_t first) const {
        const auto step = static_cast<std::ptrdiff_t>(width_);
        double t[kReflections * kReflections];
        double transposed[kReflections * kReflections];
        for (std::size_t k = first / kReflections * kReflections; k < width_; k += kReflections) {
            double* const block = upper + k * width_;
            kernels_.reflect({block + k, step, rows + k, step, count, t});
            for (std::size_t i = 0; i < kReflections; ++i) {
                for (std::size_t j = 0; j < kReflections; ++j) {
                    transposed[i * kReflections + j] = -t[j * kReflections + i];
                }
            }
            for (std::size_t c = k + kReflections; c < width_; c += kStripLanes) {
                follow(block + c, rows + k, rows + c, count, std::min(kStripLanes, width_ - c), transposed);
            }
        }
    }

private:
    // y = -T' (upper + V' rows), upper += y, rows += V y for one strip of columns.
    void follow(double* upper, const double* v, double* rows, std::size_t count, std::size_t lanes,
                const double* transposed) const {
        constexpr auto strip = static_cast<std::ptrdiff_t>(kStripLanes);
        constexpr auto n = static_cast<std::ptrdiff_t>(kReflections);
        const auto step = static_cast<std::ptrdiff_t>(width_);
        double products[kReflections * kStripLanes], y[kReflections * kStripLanes];
        kernels_.product_f64({kReflections, count, lanes, v, 1, step, rows, step, products, strip, false});
        for (std::size_t i = 0; i < kReflections; ++i) {
            for (std::size_t c = 0; c < lanes; ++c) products[i * kStripLanes + c] += upper[i * width_ + c];
        }
        kernels_.product_f64({kReflections, kReflections, lanes, transposed, n, 1, products, strip, y, strip, false});
        for (std::size_t i = 0; i < kReflections; ++i) {
            for (std::size_t c = 0; c < lanes; ++c) upper[i * width_ + c] += y[i * kStripLanes + c];
        }
        kernels_.product_f64({count, kReflections, lanes, v, step, 1, y, strip, rows, step, true});
    }

    std::size_t width_;
    const OrthogonalKernels& kernels_;
};

// Columns before the first one that is not zero.
std::size_t leading_zeros(const double* rows, std::size_t count, std::size_t width) {
    std::size_t first = width;
    for (std::size_t r = 0; r < count; ++r, rows += width) {
        first = static_cast<std::size_t>(std::find_if(rows, rows + first, [](double v) { return v != 0.0; }) - rows);
    }
    return first;
}

// Reflects all rows of `other`, a factor of the same width, into `upper`.
void merge(const Reflector& reflector, double* upper, double* other, std::size_t n, std::size_t width) {
    for (std::size_t i = 0; i < width; i += kPanel) {
        double* const rows = other + i * width;
        if (i < n) reflector.run(upper, rows, std::min(kPanel, width - i), i);
    }
}

}  // namespace

void triangular_factor(const Space& space, Input x, const double* centre, double* upper) {
    const Features features(space, {x.strides, x.strides, x.strides});
    const std::size_t samples = features.samples.count(), n = features.n;
    if (samples * n == 0) return;
    const std::size_t width = round_up(n, kReflections);
    const std::size_t chunks = std::clamp<std::size_t>(samples / (kChunkPerFeature * n), 1, kMostChunks);
    const std::size_t chunk = round_up((samples + chunks - 1) / chunks, kPanel);
    std::vector<double> factors(chunks * width * width);
    for (std::size_t i = 0; i < n; ++i) std::copy_n(upper + i * n, n, factors.data() + i * width);
    const OrthogonalKernels& table = orthogonal_kernels(kernels());
    const Reflector reflector(width, table);
    const int threads = threads_for(samples * n * n);
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        const FeatureReader<T, double> reader(features, kX, x.data, centre, table.of<T, double>());
        parallel_for(chunks, threads, [&](std::size_t c) {
            double* const rows = scratch<double>(kPanel * width);
            const std::size_t end = std::min(samples, (c + 1) * chunk);
            for (std::size_t s = c * chunk; s < end; s += kPanel) {
                const std::size_t count = std::min(kPanel, end - s);
                std::fill_n(rows, kPanel * width, 0.0);
                reader.read(0, s, count, 0, n, rows, static_cast<std::ptrdiff_t>(width), 1);
                const std::size_t first = leading_zeros(rows, count, width);
                reflector.run(factors.data() + c * width * width, rows, round_up(count, kTileRows), first);
            }
        });
    });
    for (std::size_t step = 1; step < chunks; step *= 2) {
        parallel_for((chunks + step - 1) / (2 * step), threads, [&](std::size_t pair) {
            double* const into = factors.data() + 2 * step * pair * width * width;
            merge(reflector, into, into + step * width * width, n, width);
        });
    }
    for (std::size_t i = 0; i < n; ++i) {
        const double* const row = factors.data() + i * width;
        const double sign = row[i] < 0.0 ? -1.0 : 1.0;
        for (std::size_t j = 0; j < n; ++j) upper[i * n + j] = j < i ? 0.0 : sign * row[j];
    }
}

void orthogonal_rows(double* matrix, std::size_t rows, std::size_t columns, std::size_t step) {
    constexpr int kSweeps = 40;
    if (rows < 2) return;
    const OrthogonalKernels& table = orthogonal_kernels(kernels());
    const std::size_t width = round_up(columns, kReflections);
    // Relative to what the products add up from: of rows of very different sizes nothing is lost.
    const double tolerance = (4.0 + std::sqrt(static_cast<double>(columns))) * 0x1p-52;
    const int threads = threads_for(rows * width / 2);
    // Every sweep meets every pair once, in rounds of pairs that have no row in common: one player of a tournament
    // keeps his seat, the others move on.
    const std::size_t players = round_up(rows, 2);
    std::vector<std::uint8_t> rotated(players / 2);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
        std::fill(rotated.begin(), rotated.end(), std::uint8_t{0});
        for (std::size_t round = 0; round + 1 < players; ++round) {
            const auto seat = [&](std::size_t k) { return k == 0 ? 0 : 1 + (k - 1 + round) % (players - 1); };
            parallel_for(players / 2, threads, [&](std::size_t k) {
                const auto [i, j] = std::minmax({seat(k), seat(players - 1 - k)});
                if (j >= rows) return;
                double *const a = matrix + i * step, *const b = matrix + j * step;
                double products[4];
                table.pair_products(a, b, width, products);
                const auto [aa, bb, ab, size] = products;
                if (!(std::abs(ab) > tolerance * size)) return;
                const double zeta = (bb - aa) / (2.0 * ab);
                const double tangent = (zeta < 0.0 ? -1.0 : 1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
                const double cosine = 1.0 / std::sqrt(1.0 + tangent * tangent);
                table.rotate(a, b, width, cosine, cosine * tangent);
                rotated[k] = 1;
            });
        }
        if (std::find(rotated.begin(), rotated.end(), 1) == rotated.end()) return;
    }
}

}  // namespace fastnorm

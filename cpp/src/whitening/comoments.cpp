// Sums over samples of the products of all pairs of features.
//
// The matrix is cut into blocks of features and the samples into chunks. A task sums one block over one chunk, panel by
// panel, and the chunks of a block merge in a fixed tree. The cuts depend on the shape alone.
#include "fastnorm/fastnorm.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "kernels/dispatch.h"
#include "kernels/sums.h"
#include "memory/thread_memory.h"
#include "samples.h"
#include "threads/parallel.h"

namespace fastnorm {
namespace {

constexpr std::size_t kRun = 512;           // samples that are read at a time where they are neighbours
constexpr std::size_t kPanel = 128;         // samples: two strips of a panel fit the first cache
constexpr std::size_t kChunk = 1024;        // samples, at least
constexpr std::size_t kMostFeatures = 256;  // of a block: a panel of them fits the second cache
constexpr std::size_t kMostChunks = 64;
constexpr std::size_t kPartBytes = 1 << 23;  // of all partial sums, unless there is one chunk only

std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// With strips of so many features.
struct Cuts {
    Cuts(const Features& features, bool symmetric, std::size_t strip) : groups(features.groups.count()), n(features.n) {
        const std::size_t number = divide_up(n, kMostFeatures);
        width = divide_up(divide_up(n, number), strip) * strip;
        for (std::size_t i = 0; i * width < n; ++i) {
            for (std::size_t j = symmetric ? i : 0; j * width < n; ++j) pairs.emplace_back(i * width, j * width);
        }
        samples = features.samples.count();
        const std::size_t affordable = kPartBytes / (blocks() * width * width * sizeof(double));
        const std::size_t most = std::clamp<std::size_t>(affordable, 1, kMostChunks);
        chunk = divide_up(divide_up(samples, std::min(most, divide_up(samples, kChunk))), kPanel) * kPanel;
        chunks = divide_up(samples, chunk);
    }
    std::size_t features_of(std::size_t begin) const { return std::min(width, n - begin); }
    std::size_t blocks() const { return groups * pairs.size(); }

    std::size_t groups, n, samples, width, chunk, chunks;
    std::vector<std::pair<std::size_t, std::size_t>> pairs;  // first rows and columns
};

template <class T>
class Comoments {
    using C = double;
    using Reader = FeatureReader<T, C>;
    static constexpr std::size_t strip = kStrip<C>;

public:
    Comoments(const Features& features, const Reader& left, const Reader* right)
        : cuts_(features, !right, strip),
          left_(left),
          right_(right),
          read_(left.along_features() ? kPanel : kRun),
          lanes_(std::min(strip, divide_up(features.n, kTileRows) * kTileRows)),
          apart_(read_ * lanes_),
          kernels_(sum_kernels(kernels())) {}

    // `totals` may be nullptr.
    void run(int threads, double* sums, double* totals) {
        const std::size_t size = cuts_.width * cuts_.width;
        parts_.reset(new double[cuts_.chunks * cuts_.blocks() * size]);
        if (totals) totals_.resize(cuts_.chunks * cuts_.groups * cuts_.n);
        parallel_for(cuts_.chunks * cuts_.blocks(), threads,
                     [&](std::size_t i) { sum(i % cuts_.blocks(), i / cuts_.blocks(), parts_.get() + i * size); });
        const std::size_t strips = cuts_.width / strip;
        parallel_for(cuts_.blocks() * strips, threads,
                     [&](std::size_t i) { merge(i / strips, i % strips * strip, sums); });
        const std::size_t n = cuts_.groups * cuts_.n;
        if (totals) std::copy_n(add_chunks(totals_.data(), n, 0, n), n, totals);
    }

private:
    // One block over one chunk.
    void sum(std::size_t block, std::size_t chunk, double* part) {
        const auto [row, column] = cuts_.pairs[block % cuts_.pairs.size()];
        const std::size_t group = block / cuts_.pairs.size();
        const bool diagonal = !right_ && row == column;
        // Only one of the blocks of these rows adds them up.
        const bool adds = !totals_.empty() && (right_ ? column == 0 : diagonal);
        double* const totals = adds ? totals_.data() + (chunk * cuts_.groups + group) * cuts_.n + row : nullptr;
        C* const a = scratch<C>(cuts_.width / strip * apart_ * (diagonal ? 1 : 2));
        C* const b = diagonal ? a : a + cuts_.width / strip * apart_;
        clear_padding(cuts_.features_of(row), a);
        if (!diagonal) clear_padding(cuts_.features_of(column), b);
        const std::size_t begin = chunk * cuts_.chunk, end = std::min(begin + cuts_.chunk, cuts_.samples);
        for (std::size_t first = begin; first < end; first += read_) {
            const std::size_t count = std::min(read_, end - first);
            pack(left_, group, first, count, row, a);
            pad(count, cuts_.features_of(row), a);
            if (!diagonal) pack(right_ ? *right_ : left_, group, first, count, column, b);
            for (std::size_t s = 0; s < count; s += kPanel) {
                const std::size_t some = std::min(kPanel, count - s), at = s * lanes_;
                if (totals) add_up(a + at, some, row, totals);
                multiply(a + at, b + at, some, cuts_.features_of(row), cuts_.features_of(column), diagonal,
                         first + s > begin, part);
            }
        }
    }

    // Of the last strip of a panel with `n` features.
    void clear_padding(std::size_t n, C* panel) const {
        const std::size_t strips = n / strip;
        if (n % strip) std::fill_n(panel + strips * apart_, apart_, C{0});
    }

    // Rows behind the last sample, so that sums can take several at a time.
    void pad(std::size_t count, std::size_t n, C* panel) const {
        const std::size_t rows = divide_up(count, kRowsApart) * kRowsApart - count;
        for (std::size_t i = 0; rows && i < n; i += strip)
            std::fill_n(panel + i / strip * apart_ + count * lanes_, rows * lanes_, C{0});
    }

    void pack(const Reader& reader, std::size_t group, std::size_t first, std::size_t count, std::size_t begin,
              C* to) const {
        const auto step = static_cast<std::ptrdiff_t>(lanes_), apart = static_cast<std::ptrdiff_t>(apart_);
        const std::size_t n = cuts_.features_of(begin);
        if (reader.along_features() && lanes_ == strip &&
            reader.strips(group, first, count, begin, n, to, apart, kernels_.pack<T>())) {
            return;
        }
        // Where features are neighbours a few samples at a time, so that memory is read through.
        const std::size_t most = reader.along_features() && n > strip ? kTileLines : count;
        for (std::size_t s = 0; s < count; s += most) {
            const std::size_t some = std::min(most, count - s);
            for (std::size_t i = 0; i < n; i += strip) {
                C* const at = to + i / strip * apart_ + s * lanes_;
                reader.read(group, first + s, some, begin + i, std::min(strip, n - i), at, step, 1);
            }
        }
    }

    // Adds the samples of a panel, which is padded with rows of zeros.
    void add_up(const C* panel, std::size_t count, std::size_t begin, double* totals) const {
        const std::size_t n = cuts_.features_of(begin);
        for (std::size_t i = 0; i < n; i += strip, panel += apart_) {
            kernels_.column_sums({divide_up(count, kRowsApart) * kRowsApart, std::min(strip, n - i), panel,
                                  static_cast<std::ptrdiff_t>(lanes_), totals + i});
        }
    }

    void multiply(const C* a, const C* b, std::size_t count, std::size_t rows, std::size_t columns, bool upper,
                  bool add, double* part) const {
        for (std::size_t j = 0; j < columns; j += strip) {
            const std::size_t lanes = std::min(strip, columns - j);
            const C* const right = b + j / strip * apart_;
            for (std::size_t i = 0; i < (upper ? j : rows); i += strip) {
                const std::size_t some = divide_up(std::min(strip, rows - i), kTileRows) * kTileRows;
                const C* const left = a + i / strip * apart_;
                multiply_tile(some, count, lanes, left, right, add, part + i * cuts_.width + j);
            }
            for (std::size_t i = 0; upper && i < lanes; i += kTileRows) {
                multiply_tile(kTileRows, count, lanes - i, right + i, right + i, add,
                              part + (j + i) * cuts_.width + j + i);
            }
        }
    }

    void multiply_tile(std::size_t rows, std::size_t count, std::size_t lanes, const C* a, const C* b, bool add,
                       double* part) const {
        const auto step = static_cast<std::ptrdiff_t>(lanes_);
        const auto width = static_cast<std::ptrdiff_t>(cuts_.width);
        kernels_.product_f64({rows, count, lanes, a, 1, step, b, step, part, width, add});
    }

    // Adds up what the chunks have at [begin, end) of their parts, which are `size` apart: pairs of neighbours, then
    // pairs of those. The result stands in the first part.
    double* add_chunks(double* parts, std::size_t size, std::size_t begin, std::size_t end) const {
        for (std::size_t step = 1; step < cuts_.chunks; step *= 2) {
            for (std::size_t chunk = 0; chunk + step < cuts_.chunks; chunk += 2 * step) {
                double* const into = parts + chunk * size;
                const double* const other = into + step * size;
                for (std::size_t i = begin; i < end; ++i) into[i] += other[i];
            }
        }
        return parts;
    }

    // Some rows of one block: all its chunks become one, which goes to its place, mirrored if it is symmetric.
    void merge(std::size_t block, std::size_t row, double* sums) const {
        const auto [first_row, first_column] = cuts_.pairs[block % cuts_.pairs.size()];
        const std::size_t n = cuts_.n, width = cuts_.width, rows = cuts_.features_of(first_row);
        const std::size_t columns = cuts_.features_of(first_column);
        double* const to = sums + block / cuts_.pairs.size() * n * n;
        const std::size_t last = std::min(rows, row + strip);
        for (std::size_t i = row; i < last; ++i) {
            const std::size_t begin = !right_ && first_row == first_column ? i : 0;
            const double* const total =
                add_chunks(parts_.get() + (block * width + i) * width, cuts_.blocks() * width * width, begin, columns);
            std::copy(total + begin, total + columns, to + (first_row + i) * n + first_column + begin);
        }
        if (right_) return;
        // Rows of the mirror image, so that memory is written in runs.
        for (std::size_t j = first_row == first_column ? row : 0; j < columns; ++j) {
            const std::size_t end = first_row == first_column ? std::min(last, j) : last;
            const double* from = to + (first_row + row) * n + first_column + j;
            double* const mirrored = to + (first_column + j) * n + first_row;
            for (std::size_t i = row; i < end; ++i, from += n) mirrored[i] = *from;
        }
    }

    Cuts cuts_;
    const Reader& left_;
    const Reader* right_;
    std::size_t read_;   // samples at a time
    std::size_t lanes_;  // of a sample in a strip: of few features not more than they fill, for the first cache
    std::size_t apart_;  // elements from strip to strip
    const SumKernels& kernels_;
    std::unique_ptr<double[]> parts_;  // of every chunk the blocks
    std::vector<double> totals_;       // of every chunk the features
};

}  // namespace

void comoments(const Space& space, Input a, const double* centre_a, Input b, const double* centre_b, double* sums,
               double* totals) {
    const Features features(space, {a.strides, a.strides, b.data ? b.strides : a.strides});
    const std::size_t groups = features.groups.count(), samples = features.samples.count();
    if (groups * samples * features.n == 0) {
        std::fill_n(sums, groups * features.n * features.n, 0.0);
        if (totals) std::fill_n(totals, groups * features.n, 0.0);
        return;
    }
    with_type(space.dtype, [&](auto type) {
        using T = decltype(type);
        const BlockKernels<T, double>& blocks = kernels().matrices->of<T, double>();
        const FeatureReader<T, double> left(features, kX, a.data, centre_a, blocks);
        const FeatureReader<T, double> right(features, kDy, b.data, centre_b, blocks);
        const int threads = threads_for(groups * samples * features.n * (sizeof(T) + features.n / 8));
        Comoments<T>(features, left, b.data ? &right : nullptr).run(threads, sums, totals);
    });
}

}  // namespace fastnorm

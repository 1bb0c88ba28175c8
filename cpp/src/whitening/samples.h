// Samples of features: the space of the operations that mix features with each other, and how its data come into the
// packed blocks of the matrix kernels and out again.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/sums.h"
#include "memory/thread_memory.h"
#include "shape/axes.h"
#include "shape/tile.h"

namespace fastnorm {

// One axis of features, groups that each have their own matrices, and the samples.
struct Features {
    Features(const Space& space, const std::array<const std::ptrdiff_t*, kOperands>& strides);

    // Whether neighbours in memory are features of one sample rather than samples of one feature.
    bool along_features(Operand operand) const;

    std::size_t n = 1;
    std::array<std::ptrdiff_t, kOperands> stride{};  // bytes
    Axes groups, samples;

    // Calls body(address of the first sample, its number, count, bytes between samples) for every evenly spaced run
    // among the samples [first, first + count).
    template <class F>
    void for_runs(Operand operand, char* base, std::size_t group, std::size_t first, std::size_t count,
                  F&& body) const {
        base += groups.offset(group).at[operand];
        if (samples.size() == 0) return body(base, std::size_t{0}, count, std::ptrdiff_t{0});
        const Axis& inner = samples[samples.size() - 1];
        for (std::size_t done = 0; done < count;) {
            const std::size_t at = first + done;
            const std::size_t run = std::min(count - done, inner.n - at % inner.n);
            body(base + samples.offset(at).at[operand], done, run, inner.stride[operand]);
            done += run;
        }
    }
};

// What is subtracted from every feature, in two parts as the arithmetic wants it.
template <class C>
struct Centre {
    Centre(const double* values, std::size_t n) : h(n), l(n) {
        for (std::size_t i = 0; values && i < n; ++i) {
            h[i] = static_cast<C>(values[i]);
            l[i] = std::is_same_v<C, double> ? C{0} : static_cast<C>(values[i] - static_cast<double>(h[i]));
        }
    }
    std::vector<C> h, l;
};

inline constexpr std::size_t kTileLines = 8, kTileLanes = 128;

// Reads blocks of one operand, centred and in the type of the matrices.
template <class T, class C>
class FeatureReader {
public:
    FeatureReader(const Features& features, Operand operand, const void* data, const double* centre,
                  const BlockKernels<T, C>& kernels)
        : features_(features),
          operand_(operand),
          base_(static_cast<char*>(const_cast<void*>(data))),
          centre_(centre, features.groups.count() * features.n),
          kernels_(kernels),
          transpose_(sum_kernels(fastnorm::kernels()).template transpose<C>()) {}

    bool along_features() const { return features_.along_features(operand_); }

    // Samples [first, first + count) times features [begin, begin + n): sample s and feature f go to
    // to[s * sample_step + f * feature_step], where one of the steps is 1.
    void read(std::size_t group, std::size_t first, std::size_t count, std::size_t begin, std::size_t n, C* to,
              std::ptrdiff_t sample_step, std::ptrdiff_t feature_step) const {
        const std::ptrdiff_t feature = features_.stride[operand_];
        const bool along = along_features();
        const std::size_t shift = group * features_.n + begin;
        features_.for_runs(operand_, base_, group, first, count,
                           [&](const char* from, std::size_t done, std::size_t run, std::ptrdiff_t sample) {
                               from += static_cast<std::ptrdiff_t>(begin) * feature;
                               C* const at = to + static_cast<std::ptrdiff_t>(done) * sample_step;
                               if (along) {
                                   lines(from, sample, feature, run, n, at, sample_step, feature_step, shift, true);
                               } else {
                                   lines(from, feature, sample, n, run, at, feature_step, sample_step, shift, false);
                               }
                           });
    }

    // The same to strips of features that are `apart` elements from each other, if the features lie so that `pack`
    // reads them.
    bool strips(std::size_t group, std::size_t first, std::size_t count, std::size_t begin, std::size_t n, C* to,
                std::ptrdiff_t apart, PackStrips<T, C> pack) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        if (features_.stride[operand_] != size) return false;
        const std::size_t shift = group * features_.n + begin;
        bool fits = true;
        features_.for_runs(operand_, base_, group, first, count,
                           [&](const char* from, std::size_t done, std::size_t run, std::ptrdiff_t sample) {
                               from += static_cast<std::ptrdiff_t>(begin) * size;
                               fits = fits && sample % size == 0 && aligned<T>(from);
                               if (!fits) return;
                               pack({run, n, reinterpret_cast<const T*>(from), sample / size, to + done * kStrip<C>,
                                     apart, centre_.h.data() + shift, centre_.l.data() + shift});
                           });
        return fits;
    }

private:
    void lines(const char* from, std::ptrdiff_t line, std::ptrdiff_t lane, std::size_t rows, std::size_t lanes, C* to,
               std::ptrdiff_t to_line, std::ptrdiff_t to_lane, std::size_t shift, bool shift_lanes) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const bool in_place = lane == size && line % size == 0 && aligned<T>(from);
        const C *h = centre_.h.data() + shift, *l = centre_.l.data() + shift;
        if (in_place && to_lane == 1) {
            kernels_.read({rows, lanes, reinterpret_cast<const T*>(from), line / size, to, to_line, h, l, shift_lanes});
            return;
        }
        const Borrowed<T> strided(kTileLines * kTileLanes);
        const Borrowed<C> tile(kTileLines * kTileLanes);
        for (std::size_t i = 0; i < rows; i += kTileLines) {
            const std::size_t some = std::min(kTileLines, rows - i);
            for (std::size_t j = 0; j < lanes; j += kTileLanes) {
                const std::size_t n = std::min(kTileLanes, lanes - j);
                const char* corner =
                    from + static_cast<std::ptrdiff_t>(i) * line + static_cast<std::ptrdiff_t>(j) * lane;
                const T* block = in_place ? reinterpret_cast<const T*>(corner) : strided;
                for (std::size_t r = 0; !in_place && r < some; ++r) {
                    gather(corner + static_cast<std::ptrdiff_t>(r) * line, lane, n, strided + r * kTileLanes);
                }
                const std::size_t at = shift_lanes ? j : i;
                kernels_.read({some, n, block, in_place ? line / size : std::ptrdiff_t{kTileLanes}, tile,
                               std::ptrdiff_t{kTileLanes}, h + at, l + at, shift_lanes});
                C* corner_to = to + static_cast<std::ptrdiff_t>(i) * to_line + static_cast<std::ptrdiff_t>(j) * to_lane;
                if (to_line == 1) {
                    transpose_({some, n, tile, std::ptrdiff_t{kTileLanes}, corner_to, to_lane});
                    continue;
                }
                for (std::size_t c = 0; c < n; ++c, corner_to += to_lane) {
                    for (std::size_t r = 0; r < some; ++r) {
                        corner_to[static_cast<std::ptrdiff_t>(r) * to_line] = tile[r * kTileLanes + c];
                    }
                }
            }
        }
    }

    const Features& features_;
    Operand operand_;
    char* base_;
    Centre<C> centre_;
    const BlockKernels<T, C>& kernels_;
    void (*transpose_)(const Transpose<C>&);
};

// Writes blocks of results, plus a shift per feature, rounded to the type of the data.
template <class T, class C>
class FeatureWriter {
public:
    // `n` features; `shift` is nullptr or has one value for each of them in every group.
    FeatureWriter(const Features& features, Operand operand, void* data, std::size_t n, const double* shift,
                  const BlockKernels<T, C>& kernels)
        : features_(features),
          operand_(operand),
          base_(static_cast<char*>(data)),
          n_(n),
          shift_(shift, features.groups.count() * n),
          kernels_(kernels) {}

    // The other way round than FeatureReader::read; `from` has lanes of features or of samples.
    void write(std::size_t group, std::size_t first, std::size_t count, std::size_t begin, std::size_t n, const C* from,
               std::ptrdiff_t step, bool feature_lanes) const {
        const std::ptrdiff_t feature = features_.stride[operand_];
        const C* const shift = shift_.h.data() + group * n_ + begin;
        features_.for_runs(operand_, base_, group, first, count,
                           [&](char* to, std::size_t done, std::size_t run, std::ptrdiff_t sample) {
                               to += static_cast<std::ptrdiff_t>(begin) * feature;
                               if (feature_lanes) {
                                   lines(from + static_cast<std::ptrdiff_t>(done) * step, step, run, n, to, sample,
                                         feature, shift, true);
                               } else {
                                   lines(from + done, step, n, run, to, feature, sample, shift, false);
                               }
                           });
    }

private:
    void lines(const C* from, std::ptrdiff_t step, std::size_t rows, std::size_t lanes, char* to, std::ptrdiff_t line,
               std::ptrdiff_t lane, const C* shift, bool shift_lanes) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        if (lane == size && line % size == 0 && aligned<T>(to)) {
            kernels_.write({rows, lanes, from, step, reinterpret_cast<T*>(to), line / size, shift, shift, shift_lanes});
            return;
        }
        const Borrowed<T> tile(kTileLanes);
        for (std::size_t i = 0; i < rows; ++i, from += step, to += line) {
            for (std::size_t j = 0; j < lanes; j += kTileLanes) {
                const std::size_t n = std::min(kTileLanes, lanes - j);
                const C* const at = shift + (shift_lanes ? j : i);
                kernels_.write({1, n, from + j, step, tile, std::ptrdiff_t{kTileLanes}, at, at, shift_lanes});
                scatter<T>(tile, n, to + static_cast<std::ptrdiff_t>(j) * lane, lane);
            }
        }
    }

    const Features& features_;
    Operand operand_;
    char* base_;
    std::size_t n_;
    Centre<C> shift_;
    const BlockKernels<T, C>& kernels_;
};

}  // namespace fastnorm

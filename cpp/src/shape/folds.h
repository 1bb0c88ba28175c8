// Rows of few lanes leave most of a vector empty, so that some of them, its folds, are taken as one wide row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace fastnorm {

inline constexpr std::size_t kFewLanes = 32, kWideLanes = 128;

// How many rows of so many lanes make a wide one; a power of two.
inline std::size_t folds_of(std::size_t lanes) {
    std::size_t folds = 1;
    while (lanes < kFewLanes && 2 * folds * lanes <= kWideLanes) folds *= 2;
    return folds;
}
// The same values for every fold.
template <class C>
void repeat_folds(const C* values, std::size_t lanes, std::size_t folds, std::common_type_t<C>* to) {
    std::copy_n(values, lanes, to);
    for (std::size_t done = 1, more; done < folds; done += more) {
        more = std::min(done, folds - done);
        std::copy_n(to, more * lanes, to + done * lanes);
    }
}
// Sums of every fold of a lane, added up in order.
inline void add_folds(const double* sums, std::size_t lanes, std::size_t folds, double* to) {
    std::copy_n(sums, lanes, to);
    for (std::size_t i = 1; i < folds; ++i) {
        for (std::size_t lane = 0; lane < lanes; ++lane) to[lane] += sums[i * lanes + lane];
    }
}

}  // namespace fastnorm

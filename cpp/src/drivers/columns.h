// Groups whose elements lie down columns: lanes are neighbours in memory, rows are summed.
//
// Rows are cut into superblocks of about a thousand, of equal length as far as possible, and these into micro-blocks of
// kRows. Lanes never mix, unless a group is `width` neighbouring lanes: then their moments merge in order.
//
// Few lanes would leave most of a vector empty. Then `folds` rows make one wide row, and blocks have kRows of these; in
// the end the folds of a lane add up in order.
#pragma once

#include <vector>

#include "drivers/double_fallback.h"
#include "shape/folds.h"
#include "shape/plan.h"
#include "shape/tile.h"
#include "statistics.h"

namespace fastnorm {

inline constexpr std::size_t kSuperRows = 16 * kRows;
inline constexpr std::size_t kLaneTile = 512;  // lanes of one task

class Columns {
public:
    explicit Columns(const Plan& plan)
        : rows_(plan.reducing), lanes_(plan.lanes), width_(plan.width), folds_(plan.folds), all_(lanes_.count()) {
        rows_.merge(false);
        count_ = rows_.count();
        const std::size_t super_rows = kSuperRows * folds_, micro = kRows * folds_;
        parts_ = std::max<std::size_t>(1, (count_ + super_rows - 1) / super_rows);
        const std::size_t even = (count_ + parts_ - 1) / parts_;
        part_ = std::max<std::size_t>(1, (even + micro - 1) / micro * micro);
        parts_ = (count_ + part_ - 1) / part_;
        tile_ = std::max<std::size_t>(1, kLaneTile / width_) * width_;
        tile_ = std::min(tile_, all_);
    }

    std::size_t rows() const { return count_; }
    std::size_t lanes() const { return all_; }
    std::size_t width() const { return width_; }
    std::size_t folds() const { return folds_; }
    std::size_t groups() const { return all_ / width_; }
    std::size_t parts() const { return parts_; }  // superblocks
    std::size_t first_row(std::size_t part) const { return part * part_; }
    std::size_t rows_of(std::size_t part) const { return std::min(part_, count_ - part * part_); }
    std::size_t tile() const { return tile_; }
    std::size_t tiles() const { return (all_ + tile_ - 1) / tile_; }
    std::size_t lanes_of(std::size_t tile) const { return std::min(tile_, all_ - tile * tile_); }
    const Axes& row_axes() const { return rows_; }
    const Axes& lane_axes() const { return lanes_; }

    Offset row(std::size_t i) const { return rows_.offset(i); }
    // Calls f(row, n, folds) for the micro-blocks of some rows, n wide rows each; those at the end that do not make one
    // of all folds are one of fewer.
    template <class F>
    void for_micro_blocks(std::size_t rows, F&& f) const {
        const std::size_t wide = rows / folds_;
        for (std::size_t row = 0; row < wide; row += kRows) f(row * folds_, std::min(kRows, wide - row), folds_);
        if (rows % folds_ > 0) f(wide * folds_, std::size_t{1}, rows % folds_);
    }
    Offset lane(std::size_t i) const { return lanes_.offset(i); }

    // All rows of some neighbouring lanes, the first of a group's, whose statistics stand side by side.
    Axes box(std::size_t lanes) const {
        Axes axes = rows_;
        for (std::size_t i = 0; i < lanes_.size(); ++i) {
            Axis axis = lanes_[i];
            if (i == 0) axis.n = lanes / static_cast<std::size_t>(axis.stat);
            axes.push(axis);
        }
        return axes;
    }

private:
    Axes rows_, lanes_;
    std::size_t width_, folds_, all_, count_, parts_, part_, tile_;
};

// One element of some operand, `base` being at row zero and lane zero.
template <class T>
T element(const Columns& columns, Operand operand, const char* base, std::size_t row, std::size_t lane) {
    T value;
    std::memcpy(&value, base + columns.row(row).at[operand] + columns.lane(lane).at[operand], sizeof(T));
    return value;
}

// Some rows of contiguous lanes.
template <class T>
struct Rows {
    const T* data;
    std::ptrdiff_t step;
};

// Reads rows of one operand: in place where they are evenly spaced and contiguous, else gathered into a tile.
template <class T>
class RowReader {
public:
    RowReader(const Columns& columns, Operand operand) : columns_(columns), operand_(operand) {}

    // `n` <= kRows wide rows of `folds` rows each, from row `first` on; `base` is at row zero and the first of `lanes`
    // <= tile lanes.
    Rows<T> read(const char* base, std::size_t first, std::size_t n, std::size_t lanes, std::size_t folds = 1) {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const Axes& axes = columns_.row_axes();
        const std::ptrdiff_t step = axes.size() == 1 ? axes[0].stride[operand_] : 0;
        const Axes& lane_axes = columns_.lane_axes();
        const bool contiguous = lanes == 1 || (lane_axes.size() == 1 && lane_axes[0].stride[operand_] == size);
        const auto wide = static_cast<std::ptrdiff_t>(folds * lanes);
        const bool folded = folds == 1 || step == static_cast<std::ptrdiff_t>(lanes) * size;
        if (axes.size() <= 1 && step % size == 0 && folded && contiguous && aligned<T>(base)) {
            const auto* data = reinterpret_cast<const T*>(base + static_cast<std::ptrdiff_t>(first) * step);
            return {data, folds == 1 ? step / size : wide};
        }
        tile_.resize(kRows * folds * columns_.tile());
        for (std::size_t i = 0; i < n * folds; ++i) {
            gather_range(lane_axes, operand_, base + columns_.row(first + i).at[operand_], 0, lanes,
                         tile_.data() + i * lanes);
        }
        return {tile_.data(), wide};
    }

private:
    const Columns& columns_;
    Operand operand_;
    std::vector<T> tile_;
};

}  // namespace fastnorm

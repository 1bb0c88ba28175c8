// Groups whose elements lie down columns: lanes are neighbours in memory, rows are summed.
//
// Rows are cut into superblocks of about a thousand, of equal length as far as possible, and these into micro-blocks of
// kRows. Lanes never mix, unless a group is `width` neighbouring lanes: then their moments merge in order.
#pragma once

#include <vector>

#include "drivers/double_fallback.h"
#include "shape/plan.h"
#include "shape/tile.h"
#include "statistics.h"

namespace fastnorm {

inline constexpr std::size_t kSuperRows = 16 * kRows;
inline constexpr std::size_t kLaneTile = 512;  // lanes of one task

class Columns {
public:
    explicit Columns(const Plan& plan) : rows_(plan.reducing), lanes_(plan.lanes), width_(plan.width) {
        rows_.merge(false);
        count_ = rows_.count();
        parts_ = std::max<std::size_t>(1, (count_ + kSuperRows - 1) / kSuperRows);
        const std::size_t even = (count_ + parts_ - 1) / parts_;
        part_ = std::max<std::size_t>(1, (even + kRows - 1) / kRows * kRows);
        parts_ = (count_ + part_ - 1) / part_;
        tile_ = std::max<std::size_t>(1, kLaneTile / width_) * width_;
        tile_ = std::min(tile_, lanes_.n);
    }

    std::size_t rows() const { return count_; }
    std::size_t lanes() const { return lanes_.n; }
    std::size_t width() const { return width_; }
    std::size_t groups() const { return lanes_.n / width_; }
    std::size_t parts() const { return parts_; }  // superblocks
    std::size_t first_row(std::size_t part) const { return part * part_; }
    std::size_t rows_of(std::size_t part) const { return std::min(part_, count_ - part * part_); }
    std::size_t tile() const { return tile_; }
    std::size_t tiles() const { return (lanes_.n + tile_ - 1) / tile_; }
    std::size_t lanes_of(std::size_t tile) const { return std::min(tile_, lanes_.n - tile * tile_); }
    const Axes& row_axes() const { return rows_; }
    const Axis& lane_axis() const { return lanes_; }

    Offset row(std::size_t i) const { return rows_.offset(i); }
    std::ptrdiff_t lane_bytes(Operand operand, std::size_t lane) const {
        return static_cast<std::ptrdiff_t>(lane) * lanes_.stride[operand];
    }

    // All rows of some neighbouring lanes, whose statistics stand side by side.
    Axes box(std::size_t lanes) const {
        Axes axes = rows_;
        Axis axis = lanes_;
        axis.n = lanes;
        axis.stat = 1;
        axes.push(axis);
        return axes;
    }

private:
    Axes rows_;
    Axis lanes_;
    std::size_t width_, count_, parts_, part_, tile_;
};

// One element of some operand, `base` being at row zero and lane zero.
template <class T>
T element(const Columns& columns, Operand operand, const char* base, std::size_t row, std::size_t lane) {
    T value;
    std::memcpy(&value, base + columns.row(row).at[operand] + columns.lane_bytes(operand, lane), sizeof(T));
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

    // `n` <= kRows rows from `first`; `base` is at row zero and the first of `lanes` <= tile lanes.
    Rows<T> read(const char* base, std::size_t first, std::size_t n, std::size_t lanes) {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        const Axes& axes = columns_.row_axes();
        const std::ptrdiff_t step = axes.size() == 1 ? axes[0].stride[operand_] : 0;
        const std::ptrdiff_t lane = columns_.lane_axis().stride[operand_];
        if (axes.size() <= 1 && step % size == 0 && (lane == size || lanes == 1) && aligned<T>(base)) {
            return {reinterpret_cast<const T*>(base + static_cast<std::ptrdiff_t>(first) * step), step / size};
        }
        tile_.resize(kRows * columns_.tile());
        for (std::size_t i = 0; i < n; ++i) {
            gather(base + columns_.row(first + i).at[operand_], lane, lanes, tile_.data() + i * lanes);
        }
        return {tile_.data(), static_cast<std::ptrdiff_t>(lanes)};
    }

private:
    const Columns& columns_;
    Operand operand_;
    std::vector<T> tile_;
};

}  // namespace fastnorm

// The axes of a call: what they mean, how far a step along them goes in every operand.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

#include "fastnorm/fastnorm.h"

namespace fastnorm {

// The data operands of a call. The output (y or dx) is one of them; the last is what an operation has besides: a mask
// (bytes), or an array that is added.
enum Operand { kX, kY, kDy, kExtra, kOperands };

struct Axis {
    std::size_t n;
    std::uint8_t role;
    std::array<std::ptrdiff_t, kOperands> stride;  // bytes
    std::ptrdiff_t stat, param;                    // steps in the side arrays
    bool cut = false;                              // a reduced one that a kept axis of length one stood before
    std::uint8_t planned = Role::kept;             // the role that plans go by

    bool is_reduced() const { return role & Role::reduced; }
    bool is_param() const { return role & Role::param; }
};

// Added to a role where plans go by the other choice of `param`: parameters per sample sum as others do.
inline constexpr std::uint8_t kPlannedOtherwise = 4;

inline constexpr Axis kNoAxis{1, Role::kept, {}, 0, 0};

// Where one element lies in every operand (bytes) and side array (elements).
struct Offset {
    std::array<std::ptrdiff_t, kOperands> at{};
    std::ptrdiff_t stat = 0, param = 0;

    void advance(const Axis& axis, std::size_t steps) {
        const auto n = static_cast<std::ptrdiff_t>(steps);
        for (std::size_t k = 0; k < kOperands; ++k) at[k] += n * axis.stride[k];
        stat += n * axis.stat;
        param += n * axis.param;
    }
    Offset& operator+=(const Offset& other) {
        for (std::size_t k = 0; k < kOperands; ++k) at[k] += other.at[k];
        stat += other.stat, param += other.param;
        return *this;
    }
};

// Axes in order, the last one fastest.
class Axes {
public:
    static constexpr std::size_t kMost = 80;

    Axes() {}  // leaves the storage as it is: calls are short
    Axes(const Axes& other) { *this = other; }
    Axes& operator=(const Axes& other) {
        make_room(other.size_);
        size_ = other.size_;
        for (std::size_t i = 0; i < size_; ++i) (*this)[i] = other[i];
        return *this;
    }

    std::size_t size() const { return size_; }
    const Axis& operator[](std::size_t i) const { return many_ ? many_[i] : few_[i]; }
    Axis& operator[](std::size_t i) { return many_ ? many_[i] : few_[i]; }
    void push(const Axis& axis) {
        make_room(size_ + 1);
        (*this)[size_++] = axis;
    }
    void erase(std::size_t i);

    // Number of index tuples; 1 without axes.
    std::size_t count() const {
        std::size_t count = 1;
        for (std::size_t i = 0; i < size_; ++i) count *= (*this)[i].n;
        return count;
    }
    // The element with a flat index in the order of the axes.
    Offset offset(std::size_t index) const;
    // Calls f(offset) for every index tuple in order.
    template <class F>
    void for_each(F&& f) const {
        std::array<std::size_t, kMost> index;
        std::fill_n(index.begin(), size_, std::size_t{0});
        Offset offset;
        for (;;) {
            f(static_cast<const Offset&>(offset));
            std::size_t i = size_;
            for (; i > 0; --i) {
                const Axis& axis = (*this)[i - 1];
                offset.advance(axis, 1);
                if (++index[i - 1] < axis.n) break;
                offset.advance(axis, -axis.n);
                index[i - 1] = 0;
            }
            if (i == 0) return;
        }
    }
    // Joins neighbours that every operand and side array steps through as one. Roles must agree if `roles`.
    void merge(bool roles);

private:
    static constexpr std::size_t kFew = 8;

    void make_room(std::size_t n) {
        if (n > kFew && (!many_ || n > kMost)) take_room(n);
    }
    void take_room(std::size_t n);

    std::size_t size_ = 0;
    std::array<Axis, kFew> few_;
    std::unique_ptr<Axis[]> many_;  // in place of the few, which would take much of a small stack
};

// The axes of a space without those of length one, steps filled in, neighbours of one role merged where strides allow.
// Not across a kept axis of length one: that is where runs end if it is longer. `strides` has one pointer an operand;
// nullptr is C-contiguous.
Axes make_axes(const Space& space, const std::array<const std::ptrdiff_t*, kOperands>& strides);

std::size_t item_size(DType dtype);

}  // namespace fastnorm

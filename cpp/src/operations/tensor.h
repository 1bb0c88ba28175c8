// What operations ask of a tensor, and how small ones are brought into the form that the drivers want.
#pragma once

#include <cmath>
#include <cstring>

#include "memory/call_memory.h"
#include "shape.h"
#include "shape/types.h"

namespace fastnorm {

std::size_t count(const Tensor& tensor);
std::size_t bytes_of(DType dtype);
bool is_data(DType dtype);  // float16 to float64
bool is_contiguous(const Tensor& tensor);
bool is_aligned(const Tensor& tensor);
DType compute_type(DType dtype);  // f64 for f64, else f32

// Stride of an axis in bytes, of C order if the tensor has none.
std::ptrdiff_t stride_of(const Tensor& tensor, std::size_t axis);
// All of them, in steps[0..ndim).
void strides_of(const Tensor& tensor, std::ptrdiff_t* steps);

// The number of elements if they lie one after the other, else 0.
std::size_t dense_count(std::size_t ndim, const std::size_t* shape, const std::ptrdiff_t* strides, std::size_t size);

// Calls f(byte offset) for every element of a strided array, in C order.
template <class F>
void for_each_offset(std::size_t ndim, const std::size_t* shape, const std::ptrdiff_t* strides, F&& f) {
    std::size_t total = 1;
    for (std::size_t i = 0; i < ndim; ++i) total *= shape[i];
    if (total == 0) return;
    std::array<std::size_t, Shape::kMost> index;
    std::fill_n(index.begin(), ndim, std::size_t{0});
    std::ptrdiff_t offset = 0;
    for (std::size_t done = 0; done < total; ++done) {
        f(offset);
        for (std::size_t i = ndim; i-- > 0;) {
            offset += strides[i];
            if (++index[i] < shape[i]) break;
            offset -= strides[i] * static_cast<std::ptrdiff_t>(shape[i]);
            index[i] = 0;
        }
    }
}

// The elements of a floating tensor in C order, in a type that holds them; `shape` and `strides` may be those of a
// broadcast view of it.
template <class C>
void gather_values(const Tensor& tensor, std::size_t ndim, const std::size_t* shape, const std::ptrdiff_t* strides,
                   C* to) {
    const char* const from = static_cast<const char*>(tensor.data);
    const std::size_t dense = dense_count(ndim, shape, strides, bytes_of(tensor.dtype));
    with_type(tensor.dtype, [&](auto kind) {
        using T = decltype(kind);
        if (dense > 0) {
            for (std::size_t i = 0; i < dense; ++i) {
                T value;
                std::memcpy(&value, from + i * sizeof(T), sizeof(T));
                to[i] = static_cast<C>(widen(value));
            }
            return;
        }
        for_each_offset(ndim, shape, strides, [&](std::ptrdiff_t offset) {
            T value;
            std::memcpy(&value, from + offset, sizeof(T));
            *to++ = static_cast<C>(widen(value));
        });
    });
}

// A small tensor as doubles in C order: its own memory where it has that form already.
class Doubles {
public:
    Doubles() = default;
    Doubles(const Tensor& tensor, CallMemory& memory, bool copy = false);
    const double* get() const { return values_; }

private:
    const double* values_ = nullptr;
};

// Results of small size: doubles in C order, which end up in a tensor of any strides and floating dtype. Nothing is
// written before `store`, unless the tensor has that form itself.
class DoubleResult {
public:
    void bind(const MutableTensor& tensor, CallMemory& memory);
    explicit operator bool() const { return values_ != nullptr; }
    double* get() const { return values_; }
    void store() const;

private:
    MutableTensor tensor_;
    double* values_ = nullptr;
    bool is_own_ = false;  // values in memory of the call
};

// Writes doubles in C order to a floating tensor, each rounded once.
void store_rounded(const double* values, const MutableTensor& to);

// Rounds to the nearest value of a type once, also from double to 16 bits.
template <class T>
T round_once(double v) {
    if constexpr (sizeof(T) > 2) {
        return static_cast<T>(v);
    } else {
        // What float cannot hold is cut off, and its last bit set: enough to tell the halves of the second rounding, to
        // 16 bits, from what is beside them.
        auto single = static_cast<float>(v);
        if (static_cast<double>(single) != v && std::isfinite(single)) {
            auto bits = bit_cast<std::uint32_t>(single);
            if (std::fabs(static_cast<double>(single)) > std::fabs(v)) --bits;
            single = bit_cast<float>(bits | 1u);
        }
        return narrow<T>(single);
    }
}

}  // namespace fastnorm

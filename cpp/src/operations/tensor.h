// What operations ask of a tensor, and how small ones are brought into the form that the drivers want.
#pragma once

#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "memory/call_memory.h"
#include "shape.h"
#include "shape/space.h"
#include "shape/types.h"
#include "threads/parallel.h"

namespace fastnorm {

// What every call asks for is inline: there are calls that take half a microsecond in all.

inline std::size_t count(const Tensor& tensor) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < tensor.ndim; ++i) n *= tensor.shape[i];
    return n;
}

inline std::size_t bytes_of(DType dtype) {
    switch (dtype) {
        case DType::f64:
            return 8;
        case DType::f32:
        case DType::i32:
            return 4;
        case DType::f16:
        case DType::bf16:
            return 2;
        default:
            return 1;
    }
}

// float16 to float64
inline bool is_data(DType dtype) { return dtype <= DType::f64; }
// f64 for f64, else f32
inline DType compute_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

inline bool is_aligned(const Tensor& tensor) {
    return (reinterpret_cast<std::uintptr_t>(tensor.data) & (bytes_of(tensor.dtype) - 1)) == 0;
}

// Stride of an axis in bytes, of C order if the tensor has none.
inline std::ptrdiff_t stride_of(const Tensor& tensor, std::size_t axis) {
    if (tensor.strides) return tensor.strides[axis];
    auto step = static_cast<std::ptrdiff_t>(bytes_of(tensor.dtype));
    for (std::size_t i = tensor.ndim; --i > axis;) step = times(step, tensor.shape[i]);
    return step;
}

// All of them, in steps[0..ndim).
inline void strides_of(const Tensor& tensor, std::ptrdiff_t* steps) {
    if (tensor.strides) {
        copy_few(tensor.strides, tensor.ndim, steps);
        return;
    }
    auto step = static_cast<std::ptrdiff_t>(bytes_of(tensor.dtype));
    for (std::size_t i = tensor.ndim; i-- > 0; step = times(step, tensor.shape[i])) steps[i] = step;
}

// The number of elements if they lie one after the other, else 0.
inline std::size_t dense_count(std::size_t ndim, const std::size_t* shape, const std::ptrdiff_t* strides,
                               std::size_t size) {
    std::size_t n = 1;
    for (std::size_t i = ndim; i-- > 0;) {
        if (shape[i] != 1 && strides[i] != static_cast<std::ptrdiff_t>(n * size)) return 0;
        n *= shape[i];
    }
    return n;
}

inline bool is_contiguous(const Tensor& tensor) {
    if (!tensor.strides || dense_count(tensor.ndim, tensor.shape, tensor.strides, bytes_of(tensor.dtype)) > 0) {
        return true;
    }
    return count(tensor) == 0;
}

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
            constexpr std::size_t kPiece = std::size_t{1} << 16;  // some are as long as the data
            const int threads = dense > kPiece ? threads_for(dense * (sizeof(T) + sizeof(C))) : 1;
            parallel_for((dense + kPiece - 1) / kPiece, threads, [&](std::size_t piece) {
                const std::size_t begin = piece * kPiece, end = std::min(begin + kPiece, dense);
                if constexpr (std::is_same_v<C, Compute<T>>) {
                    if (is_aligned(tensor)) {
                        kernels().of<T>().widen(reinterpret_cast<const T*>(from) + begin, end - begin, to + begin);
                        return;
                    }
                }
                for (std::size_t i = begin; i < end; ++i) {
                    T value;
                    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
                    to[i] = static_cast<C>(widen(value));
                }
            });
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
    // With `copy` nothing is written before `store` in any case.
    void bind(const MutableTensor& tensor, CallMemory& memory, bool copy = false);
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

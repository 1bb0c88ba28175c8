#include "tensor.h"

namespace fastnorm {

std::size_t count(const Tensor& tensor) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < tensor.ndim; ++i) n *= tensor.shape[i];
    return n;
}

std::size_t bytes_of(DType dtype) {
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

bool is_data(DType dtype) { return dtype <= DType::f64; }

DType compute_type(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

std::ptrdiff_t stride_of(const Tensor& tensor, std::size_t axis) {
    if (tensor.strides) return tensor.strides[axis];
    auto step = static_cast<std::ptrdiff_t>(bytes_of(tensor.dtype));
    for (std::size_t i = tensor.ndim; --i > axis;) step *= static_cast<std::ptrdiff_t>(tensor.shape[i]);
    return step;
}

void strides_of(const Tensor& tensor, std::ptrdiff_t* steps) {
    if (tensor.strides) {
        std::copy_n(tensor.strides, tensor.ndim, steps);
        return;
    }
    auto step = static_cast<std::ptrdiff_t>(bytes_of(tensor.dtype));
    for (std::size_t i = tensor.ndim; i-- > 0; step *= static_cast<std::ptrdiff_t>(tensor.shape[i])) steps[i] = step;
}

std::size_t dense_count(std::size_t ndim, const std::size_t* shape, const std::ptrdiff_t* strides, std::size_t size) {
    auto step = static_cast<std::ptrdiff_t>(size);
    for (std::size_t i = ndim; i-- > 0;) {
        if (shape[i] != 1 && strides[i] != step) return 0;
        step *= static_cast<std::ptrdiff_t>(shape[i]);
    }
    return static_cast<std::size_t>(step) / size;
}

bool is_contiguous(const Tensor& tensor) {
    if (!tensor.strides || count(tensor) == 0) return true;
    return dense_count(tensor.ndim, tensor.shape, tensor.strides, bytes_of(tensor.dtype)) > 0;
}

bool is_aligned(const Tensor& tensor) {
    return reinterpret_cast<std::uintptr_t>(tensor.data) % bytes_of(tensor.dtype) == 0;
}

Doubles::Doubles(const Tensor& tensor, CallMemory& memory, bool copy) {
    if (!tensor) return;
    if (!copy && tensor.dtype == DType::f64 && is_contiguous(tensor) && is_aligned(tensor)) {
        values_ = static_cast<const double*>(tensor.data);
        return;
    }
    double* const own = memory.take<double>(count(tensor));
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    strides_of(tensor, steps.data());
    gather_values(tensor, tensor.ndim, tensor.shape, steps.data(), own);
    values_ = own;
}

void DoubleResult::bind(const MutableTensor& tensor, CallMemory& memory) {
    const Tensor& view = tensor;
    tensor_ = tensor;
    if (view.dtype == DType::f64 && is_contiguous(view) && is_aligned(view)) {
        values_ = static_cast<double*>(tensor.data);
        return;
    }
    values_ = memory.take<double>(count(view));
    is_own_ = true;
}

void DoubleResult::store() const {
    if (is_own_) store_rounded(values_, tensor_);
}

void store_rounded(const double* values, const MutableTensor& to) {
    const Tensor& view = to;
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    strides_of(view, steps.data());
    char* const first = static_cast<char*>(to.data);
    const std::size_t dense = dense_count(view.ndim, view.shape, steps.data(), bytes_of(view.dtype));
    with_type(view.dtype, [&](auto kind) {
        using T = decltype(kind);
        if (dense > 0 && is_aligned(view)) {
            std::transform(values, values + dense, reinterpret_cast<T*>(first), round_once<T>);
            return;
        }
        for_each_offset(view.ndim, view.shape, steps.data(), [&](std::ptrdiff_t offset) {
            const T value = round_once<T>(*values++);
            std::memcpy(first + offset, &value, sizeof(T));
        });
    });
}

}  // namespace fastnorm

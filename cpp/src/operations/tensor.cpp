#include "tensor.h"

namespace fastnorm {

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

void DoubleResult::bind(const MutableTensor& tensor, CallMemory& memory, bool copy) {
    const Tensor& view = tensor;
    tensor_ = tensor;
    if (!copy && view.dtype == DType::f64 && is_contiguous(view) && is_aligned(view)) {
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

#include "results.h"

#include "check.h"
#include "shape/overlap.h"

namespace fastnorm {

void Maker::check_given(const char* name, const Tensor& given) const {
    check_places(name, given);
    for (std::size_t i = 0; i < count_; ++i) check_apart(name, given, names_[i], *given_[i]);
    if (count_ == kMost) throw std::logic_error("a call takes too many results");
    names_[count_] = name, given_[count_++] = &given;
}

void DataResult::bind(const MutableTensor& given, std::initializer_list<const Tensor*> inputs, CallMemory& memory,
                      std::initializer_list<const Tensor*> apart) {
    target_ = tensor_ = given;
    const Tensor& view = given;
    bool own = false;
    for (const Tensor* other : apart) own |= *other && overlap(*other, view);
    for (const Tensor* input : inputs) own |= *input && !same_memory(*input, view) && overlap(*input, view);
    if (!own) return;
    void* const data = memory.take<char>(count(view) * bytes_of(view.dtype));
    tensor_ = MutableTensor(data, view.dtype, view.ndim, view.shape);
    is_own_ = true;
}

void DataResult::store() const {
    if (!is_own_) return;
    const Tensor& view = target_;
    const std::size_t size = bytes_of(view.dtype);
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    strides_of(view, steps.data());
    const char* from = static_cast<const char*>(tensor_.data);
    char* const to = static_cast<char*>(target_.data);
    for_each_offset(view.ndim, view.shape, steps.data(), [&](std::ptrdiff_t offset) {
        std::memcpy(to + offset, from, size);
        from += size;
    });
}

void bind_statistic(DoubleResult& result, const char* name, const MutableTensor& given, const Shape& shape,
                    const Maker& maker, std::size_t index, CallMemory& memory) {
    if (!given) {
        if (const MutableTensor made = maker.make(index, DType::f64, shape)) result.bind(made, memory);
        return;
    }
    const Tensor& view = given;
    if (view.dtype != DType::f64) {
        wrong_type(std::string(name) + " must have dtype float64, got " + dtype_text(view));
    }
    if (!has_shape(view, shape)) {
        wrong_value(std::string(name) + " must have shape " + text(shape) + ", got " + text(Shape(view)));
    }
    maker.check_given(name, view);
    result.bind(given, memory, true);
}

void check_required(const char* name, const MutableTensor& result) {
    if (!result) wrong_value(std::string(name) + " must be given, since nothing makes it");
}

}  // namespace fastnorm

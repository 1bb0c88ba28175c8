#include "results.h"

#include "check.h"
#include "shape/overlap.h"

namespace fastnorm {

void DataResult::bind(const MutableTensor& given, std::initializer_list<const Tensor*> inputs,
                      const Tensor& apart) {
    target_ = tensor_ = given;
    const Tensor& view = given;
    bool own = apart && overlap(apart, view);
    for (const Tensor* input : inputs) own |= *input && !same_memory(*input, view) && overlap(*input, view);
    if (!own) return;
    memory_.reset(new char[count(view) * bytes_of(view.dtype)]);
    tensor_ = MutableTensor(memory_.get(), view.dtype, view.ndim, view.shape);
}

void DataResult::store() const {
    if (!memory_) return;
    const Tensor& view = target_;
    const std::size_t size = bytes_of(view.dtype);
    std::array<std::ptrdiff_t, Shape::kMost> steps;
    strides_of(view, steps.data());
    const char* from = memory_.get();
    char* const to = static_cast<char*>(target_.data);
    for_each_offset(view.ndim, view.shape, steps.data(), [&](std::ptrdiff_t offset) {
        std::memcpy(to + offset, from, size);
        from += size;
    });
}

void bind_statistic(DoubleResult& result, const char* name, const MutableTensor& given, const Shape& shape,
                    const Maker& maker, std::size_t index) {
    if (!given) {
        if (const MutableTensor made = maker.make(index, DType::f64, shape)) result.bind(made);
        return;
    }
    const Tensor& view = given;
    if (view.dtype != DType::f64) {
        wrong_type(std::string(name) + " must have dtype float64, got " + dtype_text(view));
    }
    if (!has_shape(view, shape)) {
        wrong_value(std::string(name) + " must have shape " + text(shape) + ", got " + text(Shape(view)));
    }
    result.bind(given);
}

void check_required(const char* name, const MutableTensor& result) {
    if (!result) wrong_value(std::string(name) + " must be given, since nothing makes it");
}

}  // namespace fastnorm

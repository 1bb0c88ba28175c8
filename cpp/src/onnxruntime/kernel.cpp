#include "kernel.h"

#include "operations/check.h"

namespace fastnorm::onnxruntime {
namespace {

// Reads an attribute, or leaves what stands there if the node has none.
template <class Get, class T>
void read(Get get, const Api* api, const KernelInfo* info, const char* name, T& value) {
    T found;
    if (Status* const absent = get(api, info, name, &found)) {
        release_status(api, absent);
    } else {
        value = found;
    }
}

std::string read_string(const Api* api, const KernelInfo* info, const char* name) {
    std::size_t size = 0;
    if (Status* const absent = kernel_info_get_string(api, info, name, nullptr, &size)) {
        release_status(api, absent);
        return "";
    }
    std::string value(size, '\0');
    check(kernel_info_get_string(api, info, name, value.data(), &size));
    return value.c_str();  // without the zero at the end, which `size` counts
}

DType dtype_of(ElementType element) {
    switch (element) {
        case kFloat16:
            return DType::f16;
        case kBFloat16:
            return DType::bf16;
        case kFloat:
            return DType::f32;
        default:
            return DType::f64;
    }
}

}  // namespace

Kernel::Kernel(const Registered& registered, const Api* table, const KernelInfo* info)
    : api(table),
      op(registered.op),
      dtype(dtype_of(registered.element)),
      axis(-1),
      num_groups(0),
      activation(Activation::none) {
    auto epsilon = static_cast<float>(op->eps);
    read(kernel_info_get_float, api, info, "epsilon", epsilon);
    eps = epsilon;
    read(kernel_info_get_int64, api, info, "axis", axis);
    read(kernel_info_get_int64, api, info, "num_groups", num_groups);
    if (registered.is_own) activation = check_activation(read_string(api, info, "activation"));
}

Call::Call(const Kernel& kernel, KernelContext* context) : kernel_(kernel), context_(context) {
    check(kernel_context_get_input_count(kernel.api, context, &input_count_));
    check(kernel_context_get_output_count(kernel.api, context, &output_count_));
}

Tensor Call::input(std::size_t index) {
    const Value* value = nullptr;
    if (index < input_count_) check(kernel_context_get_input(kernel_.api, context_, index, &value));
    if (!value) return {};
    TensorInfo* info = nullptr;
    check(get_tensor_type_and_shape(kernel_.api, value, &info));
    std::size_t ndim = 0;
    std::array<std::int64_t, Shape::kMost> sizes;
    Status* status = get_dimensions_count(kernel_.api, info, &ndim);
    if (!status && ndim < Shape::kMost) status = get_dimensions(kernel_.api, info, sizes.data(), ndim);
    release_tensor_info(kernel_.api, info);
    check(status);
    if (ndim >= Shape::kMost) wrong_value("tensors must have at most 64 dimensions, got " + text(ndim));
    Shape& shape = inputs_[index];
    shape.clear();
    for (std::size_t i = 0; i < ndim; ++i) shape.push(static_cast<std::size_t>(sizes[i]));
    void* data = nullptr;
    check(get_tensor_mutable_data(kernel_.api, const_cast<Value*>(value), &data));
    return {data, kernel_.dtype, shape.size(), shape.data()};
}

Tensor Call::parameter(std::size_t index, const Tensor& x, std::size_t normalized) {
    const Tensor given = input(index);
    Shape& shape = inputs_[index];
    const std::size_t first = x.ndim - normalized;
    const bool is_whole =
        given.ndim == normalized && std::equal(shape.data(), shape.data() + normalized, x.shape + first);
    if (!given || is_whole || given.ndim >= x.ndim) return given;
    const Shape own = shape;
    shape = Shape::filled(x.ndim, 1);
    for (std::size_t i = 0; i < own.size(); ++i) shape[x.ndim - own.size() + i] = own[i];
    return {given.data, given.dtype, shape.size(), shape.data()};
}

MutableTensor Call::output(std::size_t index, std::size_t ndim, const std::size_t* shape) {
    if (index >= output_count_) return {};
    std::array<std::int64_t, Shape::kMost> sizes;
    for (std::size_t i = 0; i < ndim; ++i) sizes[i] = static_cast<std::int64_t>(shape[i]);
    Value* value = nullptr;
    check(kernel_context_get_output(kernel_.api, context_, index, sizes.data(), ndim, &value));
    if (!value) return {};
    void* data = nullptr;
    check(get_tensor_mutable_data(kernel_.api, value, &data));
    outputs_[index] = Shape(ndim, shape);
    return {data, is_statistic(index) ? DType::f32 : kernel_.dtype, ndim, outputs_[index].data()};
}

NormOptions Call::options() const {
    NormOptions options;
    options.eps = kernel_.eps;
    options.activation = kernel_.activation;
    return options;
}

MutableTensor NodeOutputs::make(std::size_t index, DType, std::size_t ndim, const std::size_t* shape, const Tensor&,
                                const Tensor&) {
    return call_.output(outputs_[index], ndim, shape);
}

}  // namespace fastnorm::onnxruntime

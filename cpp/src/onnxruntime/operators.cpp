#include "operators.h"

#include "memory/call_memory.h"
#include "operations/tensor.h"
#include "operations/text.h"

namespace fastnorm::onnxruntime {
namespace {

// `axis` and all after it. One that is out of range is left for the operation to refuse.
AxisList from_axis(std::int64_t axis, const Tensor& x) {
    const auto n = static_cast<std::int64_t>(x.ndim);
    if (axis < -n || axis >= n) return axis;
    AxisList axes({});
    for (std::int64_t k = axis < 0 ? axis + n : axis; k < n; ++k) axes.push(k);
    return axes;
}

// Outputs: y, mean, 1 / standard deviation.
void layer_norm(Call& call) {
    const Tensor x = call.input(0);
    const AxisList axes = from_axis(call.kernel().axis, x);
    NormOptions options = call.options();
    options.weight = call.parameter(1, x, axes.size());
    options.bias = call.parameter(2, x, axes.size());
    NodeOutputs outputs(call, {0, 1, 2});
    const NormResults results{{}, {}, {}, &outputs};
    call.output_count() > 1 ? layer_norm_forward(x, axes, options, results) : layer_norm(x, axes, options, results);
}

void rms_norm(Call& call) {
    const Tensor x = call.input(0);
    const AxisList axes = from_axis(call.kernel().axis, x);
    NormOptions options = call.options();
    options.weight = call.parameter(1, x, axes.size());
    NodeOutputs outputs(call, {0});
    rms_norm(x, axes, options, {{}, {}, {}, &outputs});
}

// One parameter a group, as before opset 21: x is (samples, groups, channels of a group, ...), and a group is what
// layer norm normalizes.
void group_norm_by_group(Call& call, const Tensor& x, std::size_t groups, NormOptions options) {
    Shape shape{x.shape[0], groups, x.shape[1] / groups};
    AxisList axes({2});
    for (std::size_t i = 2; i < x.ndim; ++i) {
        axes.push(static_cast<std::int64_t>(shape.size()));
        shape.push(x.shape[i]);
    }
    Shape broadcast = Shape::filled(shape.size(), 1);
    broadcast[1] = groups;
    for (Tensor* const parameter : {&options.weight, &options.bias}) {
        *parameter = Tensor(parameter->data, parameter->dtype, broadcast.size(), broadcast.data());
    }
    const MutableTensor y = call.output(0, x.ndim, x.shape);
    layer_norm({x.data, x.dtype, shape.size(), shape.data()}, axes, options,
               {{y.data, x.dtype, shape.size(), shape.data()}});
}

void group_norm(Call& call) {
    const Tensor x = call.input(0);
    NormOptions options = call.options();
    options.weight = call.input(1);
    options.bias = call.input(2);
    const std::int64_t groups = call.kernel().num_groups;
    const auto is_by_group = [&](const Tensor& parameter) {
        return parameter.ndim == 1 && parameter.shape[0] == static_cast<std::size_t>(groups);
    };
    if (x.ndim >= 2 && groups > 0 && x.shape[1] > static_cast<std::size_t>(groups) &&
        x.shape[1] % static_cast<std::size_t>(groups) == 0 && is_by_group(options.weight) &&
        is_by_group(options.bias)) {
        group_norm_by_group(call, x, static_cast<std::size_t>(groups), options);
        return;
    }
    NodeOutputs outputs(call, {0});
    group_norm(x, groups, 1, options, {{}, {}, {}, &outputs});
}

void instance_norm(Call& call) {
    const Tensor x = call.input(0);
    NormOptions options = call.options();
    options.weight = call.input(1);
    options.bias = call.input(2);
    NodeOutputs outputs(call, {0});
    instance_norm(x, 1, options, {{}, {}, {}, &outputs});
}

// ---- residual sums

// What is added to x: `skip`, whose missing or single samples are repeated, plus a bias along the last axis.
class Skip {
public:
    Skip(const Tensor& x, const Tensor& skip, const Tensor& bias) : tensor_(skip) {
        const bool fits = skip.ndim <= x.ndim && skip.ndim + 1 >= x.ndim;
        if (!bias && (!fits || has_shape(skip, Shape(x)))) return;  // if it does not fit, the operation says so
        if (fits) repeat(x);
        if (bias && has_shape(tensor_, Shape(x))) add(bias);
    }
    Skip(const Skip&) = delete;
    Skip& operator=(const Skip&) = delete;
    const Tensor& tensor() const { return tensor_; }

private:
    void repeat(const Tensor& x) {
        const std::size_t missing = x.ndim - tensor_.ndim;
        for (std::size_t i = 0; i < x.ndim; ++i) {
            const std::size_t n = i < missing ? 1 : tensor_.shape[i - missing];
            if (n != x.shape[i] && (i > 0 || n != 1)) return;
            steps_[i] = i < missing || n != x.shape[i] ? 0 : stride_of(tensor_, i - missing);
        }
        tensor_ = Tensor(tensor_.data, tensor_.dtype, x.ndim, x.shape, steps_.data());
    }

    // The sum is rounded to the dtype of the data.
    void add(const Tensor& bias) {
        const std::size_t n = count(tensor_), features = tensor_.shape[tensor_.ndim - 1];
        if (!has_shape(bias, {features})) {
            wrong_value("bias must have shape " + text(Shape{features}) + " to match the last axis of x, got " +
                        text(Shape(bias)));
        }
        char* const sums = memory_.take<char>(n * bytes_of(tensor_.dtype));
        with_type(tensor_.dtype, [&](auto kind) {
            using T = decltype(kind);
            const T* const shifts = static_cast<const T*>(bias.data);
            T* to = reinterpret_cast<T*>(sums);
            std::size_t i = 0;
            for_each_offset(tensor_.ndim, tensor_.shape, tensor_.strides, [&](std::ptrdiff_t offset) {
                const T value = *reinterpret_cast<const T*>(static_cast<const char*>(tensor_.data) + offset);
                *to++ = narrow<T>(widen(value) + widen(shifts[i]));
                if (++i == features) i = 0;
            });
        });
        tensor_ = Tensor(sums, tensor_.dtype, tensor_.ndim, tensor_.shape);
    }

    Tensor tensor_;
    CallMemory memory_;
    std::array<std::ptrdiff_t, Shape::kMost> steps_;
};

// Outputs: y, mean, 1 / standard deviation, the sum. A sum that nobody asks for goes to memory of the call.
template <class Add>
void add_norm(Call& call, const Tensor& bias, std::array<std::size_t, 4> outputs, Add&& add) {
    const Tensor x = call.input(0);
    const Skip skip(x, call.input(1), bias);
    CallMemory memory;
    NodeOutputs maker(call, outputs);
    AddNormResults results;
    results.maker = &maker;
    if (call.output_count() < 4) {
        results.h = {memory.take<char>(count(x) * bytes_of(x.dtype)), x.dtype, x.ndim, x.shape};
    }
    add(x, skip.tensor(), results);
}

void add_layer_norm(Call& call) {
    NormOptions options = call.options();
    options.weight = call.input(2);
    options.bias = call.input(3);
    add_norm(call, call.input(4), {0, 3, 1, 2},
             [&](const Tensor& x, const Tensor& skip, const AddNormResults& results) {
                 call.output_count() > 1 ? add_layer_norm_forward(x, skip, -1, options, results)
                                         : add_layer_norm(x, skip, -1, options, results);
             });
}

void add_rms_norm(Call& call) {
    NormOptions options = call.options();
    options.weight = call.input(2);
    add_norm(call, call.input(3), {0, 3, 2}, [&](const Tensor& x, const Tensor& skip, const AddNormResults& results) {
        call.output_count() > 1 ? add_rms_norm_forward(x, skip, -1, options, results)
                                : add_rms_norm(x, skip, -1, options, results);
    });
}

}  // namespace

const Operator kOperators[] = {
    {"GroupNormalization", &group_norm, 3, 3, 1, 1e-5},
    {"InstanceNormalization", &instance_norm, 3, 3, 1, 1e-5},
    {"LayerNormalization", &layer_norm, 3, 2, 3, 1e-5},
    {"RMSNormalization", &rms_norm, 2, 2, 1, 1e-5},
    {"SkipLayerNormalization", &add_layer_norm, 5, 3, 4, 1e-12},
    {"SkipSimplifiedLayerNormalization", &add_rms_norm, 4, 3, 4, 1e-12},
};

}  // namespace fastnorm::onnxruntime

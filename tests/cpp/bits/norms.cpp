// Batch, layer, RMS, group and instance norm, forward and backward.
#include "problem.h"

namespace bits {
namespace {

constexpr std::int64_t kLast = -1;

// Rows that are short, of one block, of several; columns, few and many; more than two axes.
const struct {
    Shape shape;
    std::int64_t axis;
} kPlaces[] = {{{5, 37}, kLast}, {{66, 64}, kLast}, {{3, 2500}, kLast}, {{70, 37}, 0}, {{600, 9}, 0}, {{4, 33, 6}, 1}};

Shape along(const Shape& shape, std::int64_t axis) {
    return {axis == kLast ? shape.back() : shape[static_cast<std::size_t>(axis)]};
}
Shape reduced(Shape shape, std::int64_t axis) {
    (axis == kLast ? shape.back() : shape[static_cast<std::size_t>(axis)]) = 1;
    return shape;
}

fn::NormOptions affine(Problem& p, const Shape& channels) {
    fn::NormOptions options;
    options.weight = p.numbers(channels);
    options.bias = p.numbers(channels);
    return options;
}

fn::BackwardOptions backward(const fn::NormOptions& forward) {
    fn::BackwardOptions options;
    options.weight = forward.weight, options.bias = forward.bias, options.offset = forward.offset;
    options.activation = forward.activation, options.where = forward.where;
    options.mean_only = forward.mean_only;
    return options;
}

fn::GradientResults gradients(Problem& p, const Shape& shape, const Shape& channels) {
    return {p.result(shape), p.result(channels), p.result(channels)};
}

void layer(Problem& p, const Array& x, std::int64_t axis, const fn::NormOptions& options) {
    const Shape &shape = x.shape(), channels = along(shape, axis), one = reduced(shape, axis);
    Array &mean = p.result(one, fn::DType::f64), &rstd = p.result(one, fn::DType::f64);
    fn::layer_norm_forward(x, axis, options, {p.result(shape), mean, rstd});
    fn::layer_norm_backward(p.numbers(shape), x, mean, rstd, axis, backward(options), gradients(p, shape, channels));
}

void layer_norm(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        const fn::NormOptions options = affine(p, along(shape, axis));
        layer(p, p.numbers(shape), axis, options);
        layer(p, p.numbers(shape, true), axis, {});
    }
}

void extremes(Problem& p) {
    for (const std::size_t width : {19, 1030}) {
        const fn::NormOptions options = affine(p, {width});
        layer(p, p.extremes(16, width), kLast, options);
    }
}

void masked(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        fn::NormOptions options = affine(p, along(shape, axis));
        options.where = p.mask(shape);
        layer(p, p.numbers(shape), axis, options);
    }
}

template <fn::Activation kActivation>
void activation(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        fn::NormOptions options = affine(p, along(shape, axis));
        options.activation = kActivation;
        layer(p, p.numbers(shape), axis, options);
    }
}

// Rows whose elements do not lie side by side, and rows in backward order.
void strided(Problem& p) {
    const Shape shape{12, 45}, one{12, 1};
    const auto size = static_cast<std::ptrdiff_t>(p.dtype == fn::DType::f64 ? 8 : p.dtype == fn::DType::f32 ? 4 : 2);
    const std::ptrdiff_t columns[] = {size, 12 * size}, reversed[] = {45 * size, -size};
    const fn::Tensor memory = p.numbers(shape);
    const auto* last = static_cast<const char*>(memory.data) + 44 * size;
    for (const fn::Tensor& x : {fn::Tensor(memory.data, p.dtype, 2, shape.data(), columns),
                                fn::Tensor(last, p.dtype, 2, shape.data(), reversed)}) {
        Array &mean = p.result(one, fn::DType::f64), &rstd = p.result(one, fn::DType::f64);
        fn::layer_norm_forward(x, kLast, {}, {p.result(shape), mean, rstd});
        fn::layer_norm_backward(p.numbers(shape), x, mean, rstd, kLast, {}, {p.result(shape)});
    }
}

void quantized(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        fn::QuantizeOptions by;
        Array &scale = p.doubles({}, true), &zero = p.doubles({});
        zero.fill(0x4014000000000000u);  // 5
        by.scale = scale, by.zero_point = zero;
        fn::NormOptions options = affine(p, along(shape, axis));
        options.quantize = &by;
        fn::layer_norm(p.numbers(shape), axis, options, {p.result(shape, fn::DType::i8)});

        fn::QuantizeRowsOptions rows;
        rows.dtype = fn::DType::u8, rows.symmetric = false;
        options.quantize = nullptr, options.quantize_rows = &rows;
        const Shape one = reduced(shape, axis);
        fn::NormResults results{p.result(shape, fn::DType::u8)};
        results.scale = p.result(one, fn::DType::f32), results.zero_point = p.result(one, fn::DType::i32);
        fn::layer_norm(p.numbers(shape), axis, options, results);
    }
}

void rms_norm(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        const Shape channels = along(shape, axis);
        fn::NormOptions options = affine(p, channels);
        options.offset = 1;
        const Array& x = p.numbers(shape);
        Array& rstd = p.result(reduced(shape, axis), fn::DType::f64);
        fn::rms_norm_forward(x, axis, options, {p.result(shape), {}, rstd});
        fn::rms_norm_backward(p.numbers(shape), x, rstd, axis, backward(options), gradients(p, shape, channels));
    }
}

void l2_normalize(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        const Array& x = p.numbers(shape);
        Array& norm = p.result(reduced(shape, axis), fn::DType::f64);
        fn::l2_normalize_forward(x, axis, 1e-12, {p.result(shape), norm});
        fn::l2_normalize_backward(p.numbers(shape), x, norm, axis, 1e-12, {p.result(shape)});
    }
}

void residual(Problem& p) {
    for (const auto& [shape, axis] : kPlaces) {
        const Shape channels = along(shape, axis), one = reduced(shape, axis);
        const fn::NormOptions options = affine(p, channels);
        const Array &x = p.numbers(shape), &other = p.numbers(shape), &dy = p.numbers(shape), &dh = p.numbers(shape);
        Array &h = p.result(shape), &mean = p.result(one, fn::DType::f64), &rstd = p.result(one, fn::DType::f64);
        fn::add_layer_norm_forward(x, other, axis, options, {p.result(shape), h, mean, rstd});
        fn::add_layer_norm_backward(dy, dh, h, mean, rstd, axis, backward(options), gradients(p, shape, channels));
        fn::add_rms_norm_forward(x, dh, axis, options, {p.result(shape), h, {}, rstd});
        fn::add_rms_norm_backward(dy, {}, h, rstd, axis, backward(options), gradients(p, shape, channels));
    }
}

// Images with channels first and last.
const struct {
    Shape shape;
    std::int64_t axis;
} kImages[] = {{{3, 12, 7, 9}, 1}, {{3, 7, 9, 12}, kLast}, {{2, 4, 1500}, 1}, {{2, 300, 4}, kLast}};

void batch_norm(Problem& p) {
    for (const auto& [shape, axis] : kImages) {
        for (const bool mean_only : {false, true}) {
            const Shape channels = along(shape, axis);
            fn::NormOptions options = affine(p, channels);
            options.mean_only = mean_only;
            const Array& x = p.numbers(shape);
            Array &mean = p.result(channels, fn::DType::f64), &rstd = p.result(channels, fn::DType::f64);
            fn::RunningStatistics running;
            running.mean = p.result(channels, fn::DType::f64), running.var = p.result(channels, fn::DType::f64);
            fn::batch_norm_forward(x, axis, options, running, {p.result(shape), mean, rstd});
            fn::batch_norm(x, running.mean, running.var, axis, options, {p.result(shape)});

            fn::BackwardOptions back = backward(options);
            const Array& dy = p.numbers(shape);
            fn::batch_norm_backward(dy, x, mean, rstd, axis, back, gradients(p, shape, channels));
            back.training = false;
            fn::batch_norm_backward(dy, x, mean, rstd, axis, back, gradients(p, shape, channels));

            Array &sum = p.result(channels, fn::DType::f64), &product = p.result(channels, fn::DType::f64);
            fn::batch_norm_backward_reduce(dy, x, mean, rstd, axis, {sum, product});
            Array& count = p.doubles({});
            count.fill(0x4068000000000000u);  // 192
            fn::GradientResults apply;
            apply.dx = p.result(shape);
            fn::batch_norm_backward_apply(dy, x, options.weight, mean, rstd, sum, product, count, axis, 0.0, apply);
        }
    }
}

void group_norm(Problem& p) {
    for (const auto& [shape, axis] : kImages) {
        const Shape channels = along(shape, axis), groups{shape[0], 4};
        const fn::NormOptions options = affine(p, channels);
        const Array& x = p.numbers(shape);
        Array &mean = p.result(groups, fn::DType::f64), &rstd = p.result(groups, fn::DType::f64);
        fn::group_norm_forward(x, 4, axis, options, {p.result(shape), mean, rstd});
        fn::group_norm_backward(p.numbers(shape), x, 4, mean, rstd, axis, backward(options),
                                gradients(p, shape, channels));
    }
}

void instance_norm(Problem& p) {
    for (const auto& [shape, axis] : kImages) {
        const Shape channels = along(shape, axis), groups{shape[0], channels[0]};
        const fn::NormOptions options = affine(p, channels);
        const Array& x = p.numbers(shape);
        Array &mean = p.result(groups, fn::DType::f64), &rstd = p.result(groups, fn::DType::f64);
        fn::instance_norm_forward(x, axis, options, {}, {p.result(shape), mean, rstd});
        fn::instance_norm_backward(p.numbers(shape), x, mean, rstd, axis, backward(options),
                                   gradients(p, shape, channels));
    }
}

}  // namespace

std::vector<Operation> norms() {
    return {{"layer_norm", layer_norm},
            {"extremes", extremes},
            {"masked", masked},
            {"strided", strided},
            {"quantized", quantized},
            {"relu", activation<fn::Activation::relu>},
            {"silu", activation<fn::Activation::silu>},
            {"gelu", activation<fn::Activation::gelu>},
            {"gelu_tanh", activation<fn::Activation::gelu_tanh>},
            {"rms_norm", rms_norm},
            {"l2_normalize", l2_normalize},
            {"residual", residual},
            {"batch_norm", batch_norm},
            {"group_norm", group_norm},
            {"instance_norm", instance_norm}};
}

}  // namespace bits

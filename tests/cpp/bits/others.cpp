// Weights, statistics and whitening.
#include "problem.h"

namespace bits {
namespace {

const struct {
    Shape shape, lengths;
    std::int64_t axis;
} kFilters[] = {{{8, 37}, {8, 1}, 0}, {{3, 1100}, {3, 1}, 0}, {{40, 6}, {1, 6}, 1}, {{4, 3, 3, 5}, {4, 1, 1, 1}, 0}};

void weight_norm(Problem& p) {
    for (const auto& [shape, lengths, axis] : kFilters) {
        const Array &v = p.numbers(shape), &g = p.numbers(lengths);
        Array& norm = p.result(lengths, fn::DType::f64);
        fn::weight_norm_forward(v, g, axis, 1, 0.0, {p.result(shape), norm});
        fn::weight_norm_backward(p.numbers(shape), v, g, norm, axis, 1, {p.result(shape), p.result(lengths)});
        const auto channel = static_cast<std::size_t>(axis);
        fn::weight_norm_init(v, axis, {p.result({shape[channel]}), p.result({shape[channel]})});
    }
}

void weight_standardization(Problem& p) {
    using Mode = fn::Standardization;
    for (const auto& [shape, lengths, axis] : kFilters) {
        for (const Mode mode : {Mode::var, Mode::std_unbiased, Mode::std_biased, Mode::max}) {
            fn::FilterOptions options;
            options.axis = axis, options.mode = mode, options.scale = 1.5;
            const Shape filters{shape[static_cast<std::size_t>(axis)]};
            const Array &w = p.numbers(shape), &gain = p.numbers(filters);
            Array &mean = p.result(filters, fn::DType::f64), &var = p.result(filters, fn::DType::f64);
            fn::weight_standardization_forward(w, gain, options, {p.result(shape), mean, var});
            fn::weight_standardization_backward(p.numbers(shape), w, gain, mean, var, options,
                                                {p.result(shape), p.result(filters)});
        }
    }
}

void moments(Problem& p) {
    for (const auto& [shape, lengths, axis] : kFilters) {
        fn::AxisList others({});
        for (std::size_t k = 0; k < shape.size(); ++k) {
            if (lengths[k] == 1) others.push(static_cast<std::int64_t>(k));
        }
        for (const bool with_mask : {false, true}) {
            const fn::Tensor where = with_mask ? fn::Tensor(p.mask(shape)) : fn::Tensor();
            fn::moments(p.numbers(shape, true), others, where,
                        {p.result(lengths, fn::DType::f64), p.result(lengths, fn::DType::f64),
                         p.result(lengths, fn::DType::f64)});
        }
    }
}

void whitening_transform(Problem& p) {
    for (const std::size_t features : {3, 17, 70}) {
        const Shape x{41, features}, y{41, features - 1};
        const Array &data = p.numbers(x), &mean = p.doubles({features}), &shift = p.doubles({features - 1});
        fn::whitening_transform(data, mean, p.doubles({features - 1, features}), shift, p.result(y));
    }
}

}  // namespace

std::vector<Operation> others() {
    return {{"weight_norm", weight_norm},
            {"weight_standardization", weight_standardization},
            {"moments", moments},
            {"whitening_transform", whitening_transform}};
}

}  // namespace bits

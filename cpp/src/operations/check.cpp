#include "check.h"

#include <cmath>
#include <limits>

#include "shape/overlap.h"
#include "tensor.h"

namespace fastnorm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_native(const char* name, const Tensor& value) {
    if (value.dtype == DType::swapped) {
        wrong_type(std::string(name) + " must have native byte order, got dtype " + dtype_text(value));
    }
}

// As many as NumPy has: one more is needed for an axis that is split.
void check_dimensions(const char* name, const Tensor& value) {
    if (value.ndim < Shape::kMost) return;
    wrong_value(std::string(name) + " must have at most " + text(Shape::kMost - 1) + " dimensions, got " +
                text(value.ndim));
}

void check_shape_of(const char* name, const Tensor& value, const Tensor& x, const char* of) {
    if (value.ndim == x.ndim && same_lengths(value.shape, x.shape, x.ndim)) return;
    wrong_value(std::string(name) + " must have shape " + text(Shape(x)) + " to match " + of + ", got " +
                text(Shape(value)));
}

// The dtypes of parameters for data: its own and the wider ones.
bool is_parameter_dtype(DType value, DType data) {
    return value == data || (value == DType::f32 && data <= DType::f32) || value == DType::f64;
}

struct Allowed {
    const char *name, *expected;
    double low, high;
};

constexpr Allowed kAllowed[] = {
    {"eps", "a finite number >= 0", 0, kInfinity},       {"ddof", "a finite number >= 0", 0, kInfinity},
    {"momentum", "a number from 0 to 1", 0, 1},          {"offset", "a finite number", -kInfinity, kInfinity},
    {"scale", "a finite number", -kInfinity, kInfinity},
};

const Allowed& range_of(const char* name) {
    for (const Allowed& range : kAllowed) {
        if (std::string_view(range.name) == name) return range;
    }
    throw std::logic_error(std::string("no range for ") + name);
}

}  // namespace

std::string groups_text(const Layout& layout) { return layout.groups == 1 ? "" : text(layout.groups) + " groups of "; }

void check_present(const char* name, const Tensor& value) {
    if (!value) wrong_type(std::string(name) + " must be an array, got None");
}

void check_data(const char* name, const Tensor& x) {
    check_present(name, x);
    check_dimensions(name, x);
    if (is_data(x.dtype)) return;
    check_native(name, x);
    wrong_type(std::string(name) + " must have dtype float16, bfloat16, float32 or float64, got " + dtype_text(x));
}

void check_like(const char* name, const Tensor& value, const Tensor& x, const char* of) {
    check_present(name, value);
    if (value.dtype != x.dtype) {
        wrong_type(std::string(name) + " must have dtype " + text(x.dtype) + " to match " + of + ", got " +
                   dtype_text(value));
    }
    check_shape_of(name, value, x, of);
}

void check_parameter_dtype(const char* name, const Tensor& value, const Tensor& x, const char* of) {
    check_present(name, value);
    check_dimensions(name, value);
    if (is_parameter_dtype(value.dtype, x.dtype)) return;
    check_native(name, value);
    std::string expected = "float64";
    if (x.dtype == DType::f32) expected = "float32 or float64";
    if (x.dtype < DType::f32) expected = text(x.dtype) + ", float32 or float64";
    wrong_type(std::string(name) + " must have dtype " + expected + " for " + of + " with dtype " + text(x.dtype) +
               ", got " + dtype_text(value));
}

void check_per_channel(const char* name, const Tensor& value, const Layout& layout, const Tensor& x, const char* of) {
    check_parameter_dtype(name, value, x, of);
    if (has_shape(value, layout.parameters)) return;
    wrong_value(std::string(name) + " must have shape " + text(layout.parameters) + " to match " +
                axes_text(layout.axes) + " of " + groups_text(layout) + shape_of(of, layout.data) + ", got " +
                text(Shape(value)));
}

void check_statistic_dtype(const char* name, const Tensor& value) {
    check_present(name, value);
    if (value.dtype == DType::f32 || value.dtype == DType::f64) return;
    check_native(name, value);
    wrong_type(std::string(name) + " must have dtype float32 or float64, got " + dtype_text(value));
}

void check_statistic(const char* name, const Tensor& value, const Layout& layout, const char* of) {
    check_statistic_dtype(name, value);
    if (has_shape(value, layout.statistics)) return;
    wrong_value(std::string(name) + " must have shape " + text(layout.statistics) + " to match the statistics of " +
                groups_text(layout) + shape_of(of, layout.data) + ", got " + text(Shape(value)));
}

void check_double(const char* name, const Tensor& value) {
    check_present(name, value);
    if (value.dtype == DType::f64) return;
    check_native(name, value);
    wrong_type(std::string(name) + " must have dtype float64, got " + dtype_text(value));
}

DType check_byte(DType dtype) {
    if (dtype != DType::i8 && dtype != DType::u8) {
        wrong_type("quantize must have dtype int8 or uint8, got " + text(dtype));
    }
    return dtype;
}

const char* number_expectation(const char* name) { return range_of(name).expected; }

double check_number(const char* name, double value) {
    if (value >= 0 && value <= 1) return value;  // in the range of each
    const Allowed& range = range_of(name);
    if (!(value >= range.low && value <= range.high && std::isfinite(value))) {
        wrong_value(std::string(name) + " must be " + range.expected + ", got " + text(value));
    }
    return value;
}

Activation check_activation(std::string_view name) {
    if (name.empty()) return Activation::none;
    std::string expected;
    std::uint8_t number = 0;
    for (const char* const known : kActivationNames) {
        ++number;
        if (name == known) return static_cast<Activation>(number);
        expected += std::string(number == 1 ? "'" : ", '") + known + "'";
    }
    wrong_value("activation must be one of " + expected + ", got '" + std::string(name) + "'");
}

Activation check_activation(Activation activation) {
    if (static_cast<std::size_t>(activation) > std::size(kActivationNames)) {
        wrong_value("activation must be from 0 to " + text(std::size(kActivationNames)) + ", got " +
                    text(static_cast<int>(activation)));
    }
    return activation;
}

void check_mask(const Tensor& where, const Tensor& x) {
    if (!where) return;
    if (where.dtype != DType::boolean) wrong_type("where must have dtype bool, got " + dtype_text(where));
    bool fits = where.ndim <= x.ndim;
    for (std::size_t i = 0; fits && i < where.ndim; ++i) {
        const std::size_t n = where.shape[where.ndim - 1 - i];
        fits = n == 1 || n == x.shape[x.ndim - 1 - i];
    }
    if (!fits) {
        wrong_value("where must have a shape that broadcasts to that of x, " + text(Shape(x)) + ", got " +
                    text(Shape(where)));
    }
}

void check_places(const char* name, const Tensor& value) {
    if (!overlaps_itself(value)) return;
    std::string strides = "(";
    for (std::size_t i = 0; i < value.ndim; ++i) strides += (i ? ", " : "") + text(stride_of(value, i));
    wrong_value(std::string(name) + " must have a place of its own for every element, got shape " + text(Shape(value)) +
                " with strides " + strides + (value.ndim == 1 ? ",)" : ")"));
}

void check_out(const char* name, const MutableTensor& out, DType dtype, const Tensor& x, const char* of,
               const Maker& maker) {
    const Tensor& view = out;
    if (dtype == x.dtype) {
        check_like(name, view, x, of);
    } else {
        if (view.dtype != dtype) {
            wrong_type(std::string(name) + " must have dtype " + text(dtype) + " for quantize with that dtype, got " +
                       dtype_text(view));
        }
        check_shape_of(name, view, x, of);
    }
    maker.check_given(name, view);
}

void check_apart(const char* name, const Tensor& value, const char* other, const Tensor& values) {
    if (values && overlap(value, values)) {
        wrong_value(std::string(name) + " must not share memory with " + other + ", got overlapping arrays");
    }
}

void check_several_values(const Layout& layout) {
    if (layout.group_size == 1 && !layout.is_empty()) {
        wrong_value("expected more than one value per channel when training, got " + shape_of("x", layout.data));
    }
}

}  // namespace fastnorm

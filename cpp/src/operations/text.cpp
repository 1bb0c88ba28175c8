#include "text.h"

#include <charconv>
#include <cmath>

namespace fastnorm {
namespace {

template <class Values>
std::string tuple_text(std::size_t n, const Values& values) {
    std::string result = "(";
    for (std::size_t i = 0; i < n; ++i) result += (i ? ", " : "") + std::to_string(values[i]);
    return result + (n == 1 ? ",)" : ")");
}

}  // namespace

std::string text(const Shape& shape) { return tuple_text(shape.size(), shape); }

std::string text(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[64];
    // As Python does it: an exponent below 1e-4 and from 1e16 on.
    const double size = std::fabs(value);
    const bool fixed = value == 0 || (size >= 1e-4 && size < 1e16);
    const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
    std::string result(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value, format).ptr);
    return fixed && result.find('.') == std::string::npos ? result + ".0" : result;
}

std::string text(DType dtype) {
    switch (dtype) {
        case DType::f16:
            return "float16";
        case DType::bf16:
            return "bfloat16";
        case DType::f32:
            return "float32";
        case DType::f64:
            return "float64";
        case DType::boolean:
            return "bool";
        case DType::i8:
            return "int8";
        case DType::u8:
            return "uint8";
        case DType::i32:
            return "int32";
        default:
            return "another dtype";
    }
}

std::string dtype_text(const Tensor& tensor) { return tensor.dtype_name ? tensor.dtype_name : text(tensor.dtype); }

std::string axes_text(const Shape& axes) {
    return axes.size() == 1 ? "axis " + std::to_string(axes[0]) : "axes " + text(axes);
}

std::string shape_of(const char* name, const Shape& shape) { return std::string(name) + " with shape " + text(shape); }

void wrong_value(const std::string& text) { throw Error(Error::Kind::value, text); }
void wrong_type(const std::string& text) { throw Error(Error::Kind::type, text); }

}  // namespace fastnorm

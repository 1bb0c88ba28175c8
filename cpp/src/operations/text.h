// Parts of error texts, as Python writes them.
#pragma once

#include <string>
#include <type_traits>

#include "shape.h"

namespace fastnorm {

std::string text(const Shape& shape);  // (8, 64), (4,), ()
std::string text(double value);        // the shortest that reads back as the same number
std::string text(DType dtype);
std::string dtype_text(const Tensor& tensor);
std::string axes_text(const Shape& axes);                    // "axis 1" or "axes (0, 2)"
std::string shape_of(const char* name, const Shape& shape);  // "x with shape (8, 64)"

// Whole numbers: which of C++'s types are those of 64 bits, each system says for itself.
template <class Whole, class = std::enable_if_t<std::is_integral_v<Whole>>>
std::string text(Whole value) {
    return std::to_string(value);
}

[[noreturn]] void wrong_value(const std::string& text);
[[noreturn]] void wrong_type(const std::string& text);

}  // namespace fastnorm

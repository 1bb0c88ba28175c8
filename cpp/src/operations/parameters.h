// Weights and biases: how they vary over the data, in the type that the drivers compute in, and back to gradients.
#pragma once

#include <memory>

#include "layout.h"

namespace fastnorm {

// One parameter of a call: of the documented shape, or broadcasting against the data.
class Parameter {
public:
    Parameter() = default;
    // Checks dtype and shape.
    Parameter(const char* name, const Tensor& given, const Layout& layout, const Tensor& x, const char* of = "x");
    // A tensor of the documented shape, or one that is viewed as such (lengths of weight norm).
    static Parameter documented(const Tensor& given, const Layout& layout);

    explicit operator bool() const { return static_cast<bool>(tensor_); }
    const Tensor& tensor() const { return tensor_; }
    bool varies(std::size_t view_axis) const { return varies_[view_axis]; }

    // Its values over the axes that the layout says parameters vary along, in the compute type and C order: offset + it.
    // `out` is what the call will write: a parameter that it reaches is copied.
    const void* values(const Layout& layout, const Tensor& x, double offset, const Tensor& out);
    // Sums over those axes, added up to the parameter's own shape.
    void reduce(const Layout& layout, const double* sums, double* to) const;

private:
    Tensor tensor_;
    bool documented_ = false;
    // Along the axes of the view: bytes, and whether there is more than one value.
    std::array<std::ptrdiff_t, Shape::kMost> steps_;
    std::array<bool, Shape::kMost> varies_;
    std::unique_ptr<char[]> memory_;
};

// Lets the layout's parameters vary along every axis that one of those given varies along, in place of the documented
// axes. `documented`: those too.
void vary(Layout& layout, std::initializer_list<const Parameter*> given, bool documented);

// offset + 1 for every index of the layout's parameters, in the compute type.
std::unique_ptr<char[]> constant_parameter(const Layout& layout, DType data, double value);

std::size_t parameter_count(const Layout& layout);

}  // namespace fastnorm

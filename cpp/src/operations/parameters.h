// Weights and biases: how they vary over the data, in the type that the drivers compute in, and back to gradients.
#pragma once

#include "layout.h"
#include "memory/call_memory.h"

namespace fastnorm {

// One parameter of a call: of the documented shape, or broadcasting against the data.
class Parameter {
public:
    Parameter() = default;
    // Checks dtype and shape.
    Parameter(const char* name, const Tensor& given, const Layout& layout, const Tensor& x, const char* of = "x");
    // A tensor of the documented shape, or one that is viewed as such (lengths of weight norm).
    static Parameter documented(const Tensor& given);

    explicit operator bool() const { return static_cast<bool>(tensor_); }
    const Tensor& tensor() const { return tensor_; }
    bool is_documented() const { return documented_; }

    // Its values over the axes that the layout says parameters vary along, in the compute type and C order: offset +
    // it. `outs`: what the caller brought to be written; a parameter that it reaches is copied.
    const void* values(const Layout& layout, const Tensor& x, CallMemory& memory, double offset = 0.0,
                       std::initializer_list<const Tensor*> outs = {}) const;
    // Sums over those axes, where they are not the documented ones, added up to the parameter's own shape.
    void reduce(const Layout& layout, const double* sums, double* to) const;
    // Whether there are several values along an axis of the view.
    bool varies(const Layout& layout, std::size_t view_axis) const;

private:
    // The axis of the parameter that goes with an axis of the data, or its number of axes if none does.
    std::size_t own_axis(const Layout& layout, std::size_t data_axis) const;

    Tensor tensor_;
    bool documented_ = true;
};

// Lets the layout's parameters vary along every axis that one of those given varies along, in place of the documented
// axes. `documented`: those too.
void vary(Layout& layout, std::initializer_list<const Parameter*> given, bool documented);

// One value for every index of the layout's parameters, in the compute type.
const void* constant_parameter(const Layout& layout, DType data, double value, CallMemory& memory);

std::size_t parameter_count(const Layout& layout);

}  // namespace fastnorm

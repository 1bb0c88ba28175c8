// One call of a handler: buffers and attributes of XLA as tensors and options of the operations.
#pragma once

#include "ffi.h"
#include "operations/shape.h"

namespace fastnorm::xla {

class Call {
public:
    explicit Call(CallFrame* frame) : frame_(frame) {}

    // A buffer of booleans stands for none. One of U32 with pairs along its last axis holds float64, which JAX has not
    // unless it is told to.
    Tensor argument(std::size_t index);
    MutableTensor result(std::size_t index);
    std::int64_t integer(const char* name) const;
    double number(const char* name) const;
    AxisList axes() const;

private:
    static constexpr std::size_t kMost = 6;

    const void* attribute(const char* name, AttributeType type) const;

    CallFrame* frame_;
    Shape arguments_[kMost], results_[kMost];
};

// Runs an operation; what it throws becomes an error of XLA. Answers what XLA asks about a handler.
Error* guarded(CallFrame* frame, void (*run)(Call& call));

}  // namespace fastnorm::xla

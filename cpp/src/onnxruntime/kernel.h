// A node of a graph, and one call of it: tensors and attributes of ONNX Runtime as those of the operations.
#pragma once

#include <array>

#include "api.h"
#include "operations/shape.h"

namespace fastnorm::onnxruntime {

class Call;

struct Operator {
    const char* name;
    void (*run)(Call& call);
    std::size_t inputs, required;
    std::size_t outputs;  // the first is required
    double eps;           // of a node that does not say
};

// One operator in one domain for one dtype: what the runtime is given.
struct Registered : CustomOp {
    const Operator* op;
    ElementType element;
    bool is_own;  // in our domain, where nodes may have an activation
};

// Outputs 1 and 2 are statistics, in float32 whatever the data are.
constexpr bool is_statistic(std::size_t output) { return output == 1 || output == 2; }

// A status of the runtime that is not success. Whoever catches it hands it on, or releases it.
struct Failure {
    Status* status;
};

inline void check(Status* status) {
    if (status) throw Failure{status};
}

struct Kernel {
    Kernel(const Registered& registered, const Api* api, const KernelInfo* info);

    const Api* api;
    const Operator* op;
    DType dtype;
    double eps;
    std::int64_t axis, num_groups;
    Activation activation;
};

class Call {
public:
    Call(const Kernel& kernel, KernelContext* context);

    const Kernel& kernel() const { return kernel_; }
    // None where the node has no such input.
    Tensor input(std::size_t index);
    // A parameter that broadcasts against x: with as many dimensions as x if it has fewer than the normalized axes.
    Tensor parameter(std::size_t index, const Tensor& x, std::size_t normalized);
    // None where the node has no such output.
    MutableTensor output(std::size_t index, std::size_t ndim, const std::size_t* shape);
    std::size_t output_count() const { return output_count_; }
    NormOptions options() const;

private:
    static constexpr std::size_t kInputs = 5, kOutputs = 4;

    const Kernel& kernel_;
    KernelContext* context_;
    std::size_t input_count_ = 0, output_count_ = 0;
    Shape inputs_[kInputs], outputs_[kOutputs];
};

// The outputs of a node as results of an operation; `outputs` has the node's output for each result.
class NodeOutputs : public ResultMaker {
public:
    NodeOutputs(Call& call, const std::array<std::size_t, 4>& outputs) : call_(call), outputs_(outputs) {}
    MutableTensor make(std::size_t index, DType dtype, std::size_t ndim, const std::size_t* shape, const Tensor& like,
                       const Tensor& other) override;

private:
    Call& call_;
    std::array<std::size_t, 4> outputs_;
};

}  // namespace fastnorm::onnxruntime

// One forward call of any norm: its arguments checked, its parameters in the drivers' form, its results bound.
#pragma once

#include <optional>

#include "check.h"
#include "parameters.h"
#include "results.h"

namespace fastnorm {

// What a normalized value goes through besides weight and bias, in the form of the drivers.
class OutputStep {
public:
    OutputStep(const NormOptions& options, const Layout& documented, const Tensor& x);
    // The dtype of the result.
    DType dtype() const { return dtype_; }
    // For a layout whose parameters may vary along more than the documented axes.
    Quantization quantization(const Layout& layout, const Tensor& x, CallMemory& memory, const Tensor& out) const;
    explicit operator bool() const { return quantize_ != nullptr; }

private:
    const QuantizeOptions* quantize_;
    DType dtype_;
    Parameter scale_, zero_;
    bool per_parameter_ = false;
};

// Scales and zero points of rows: contiguous while the call works, then where the caller wants them.
class RowScales {
public:
    // `index`: of the scale among the results; the zero point is the next.
    void bind(const MutableTensor& scale, const MutableTensor& zero_point, const Shape& shape, const Maker& maker,
              std::size_t index, CallMemory& memory);
    float* scale() const { return scale_values_; }
    std::int32_t* zero_point() const { return zero_values_; }
    void store() const;

private:
    MutableTensor scale_, zero_;
    float* scale_values_ = nullptr;
    std::int32_t* zero_values_ = nullptr;
};

class ForwardCall {
public:
    // Checks everything but the axes, which the layout comes from, and the results. `residual` is none or added to x.
    ForwardCall(const char* name, const Tensor& x, const Tensor& residual, Layout layout, Statistic statistic,
                const NormOptions& options, double eps, const char* weight_name = "weight");

    const Layout& layout() const { return layout_; }
    const Tensor& x() const { return x_; }
    CallMemory& memory() { return memory_; }
    double eps() const { return scale_.eps; }
    bool is_masked() const { return static_cast<bool>(where_); }

    // y: given or made. With a residual there is the sum, too.
    void check_outs(const Maker& maker, const MutableTensor& y, const char* y_name, const MutableTensor& h = {}) const;
    void bind(const MutableTensor& y, std::size_t index, const Maker& maker);
    void bind_sum(const MutableTensor& h, std::size_t index, const Maker& maker);
    // Where rows are quantized; `index`: of the scale among the results.
    void bind_rows(const MutableTensor& scale, const MutableTensor& zero_point, std::size_t index, const Maker& maker);
    // Of calls that have no use for it.
    void reject_rows() const;
    // Normalizes with the statistics of the data, which go where `saved` says.
    void run(const Saved& saved, const Maker& maker);
    // Normalizes with these.
    void run_given(const double* mean, const double* rstd, const Maker& maker);
    // The results are in the arrays of the caller now.
    void store() const;

private:
    Parameters parameters(Quantization& quantization);
    void bind(DataResult& result, const MutableTensor& given, std::size_t index, DType dtype, const Maker& maker);

    CallMemory memory_;  // outlives what is in it
    const char* name_;
    Tensor x_;
    Tensor residual_;
    Layout layout_;
    Parameter weight_, bias_;
    Scale scale_;
    double offset_;
    Activation activation_;
    OutputStep step_;
    Tensor where_;
    Tensor given_y_, given_h_;  // if the caller brought them
    DataResult y_, h_;
    const QuantizeRowsOptions* rows_;
    RowScales row_scales_;
};

// A mask as the drivers take it, broadcast over the view of a layout.
class Mask {
public:
    Mask(const Tensor& where, const Layout& layout);
    explicit operator bool() const { return data_ != nullptr; }
    Input input() const { return {data_, steps_.data()}; }
    // How many elements of each group count.
    const double* counts(const Layout& layout, CallMemory& memory) const;

private:
    const void* data_ = nullptr;
    std::array<std::ptrdiff_t, Shape::kMost> steps_;
};

}  // namespace fastnorm

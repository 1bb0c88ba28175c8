// One backward call of any norm: its arguments checked, its results bound, sums rounded once to the parameters' dtypes.
#pragma once

#include "drivers/statistics.h"
#include "forward.h"

namespace fastnorm {

// A gradient of a parameter: sums in double over the axes that the parameters vary along, then the parameter's own
// shape and dtype.
class ParameterGradient {
public:
    // `shape`, `dtype`: of the parameter.
    void bind(const MutableTensor& given, const char* name, const Shape& shape, DType dtype, const Maker& maker,
              std::size_t index, bool wanted);
    double* sums(const Layout& layout, CallMemory& memory);
    void store(const Layout& layout, const Parameter& parameter, double factor, CallMemory& memory);

private:
    MutableTensor target_;
    double* sums_ = nullptr;
};

// The gradient of a weight that is not simply that of the sums: another shape of as many elements, a constant factor.
struct WeightForm {
    Shape shape;
    DType dtype;
    double factor = 1.0;
};

class BackwardCall {
public:
    // `of` and `dy_name` are the names of x and dy. `mean` is none for a statistic without centring.
    BackwardCall(const char* of, const Tensor& dy, const Tensor& dh, const Tensor& x, const Tensor& mean,
                 const Tensor& rstd, Layout layout, Statistic statistic, const BackwardOptions& options,
                 const char* dy_name = "dy");

    // How the scale follows the second moment, one value a group.
    void set_slope(const double* slope) { slope_ = slope; }
    void set_weight_form(const WeightForm& form) { form_ = form; }
    void run(const GradientResults& results);

private:
    struct Views;  // the arrays of the call over the view of the layout

    // The mean as the drivers take it. One that was rounded to float32 is off by up to half a unit of itself, which is
    // many deviations where the mean is large. The data still know it exactly, unless it was a constant.
    void centre(const Views& views, const Mask& mask);
    void bind(const GradientResults& results, const Maker& maker);

    CallMemory memory_;  // outlives what is in it
    const char* of_;
    Tensor dy_, dh_, x_, mean_, rstd_;
    Layout layout_;
    const BackwardOptions& options_;
    Parameter weight_, bias_;
    Statistic statistic_;
    double offset_;
    const double* slope_ = nullptr;
    std::optional<WeightForm> form_;
    Doubles mean_values_, rstd_values_;
    const double* exact_mean_ = nullptr;
    DataResult dx_;
    ParameterGradient dweight_, dbias_;
};

}  // namespace fastnorm

/// The operations of fastnorm by name, over strided tensors: shapes, dtypes and strides as NumPy has them.
///
///     float x[4 * 768], y[4 * 768], weight[768];
///     const std::size_t shape[] = {4, 768}, channels[] = {768};
///     fastnorm::NormOptions options;
///     options.weight = {weight, channels};
///     fastnorm::layer_norm({x, shape}, -1, options, {{y, shape}});
///
/// Every operation comes as up to three functions: `op` normalizes, `op_forward` also hands out the statistics,
/// `op_backward` takes them. Arguments are checked before anything is written; what is wrong with them is told by an
/// Error. Results are the same bits for every number of threads. Inputs may have any strides; a result may be the input
/// itself, and any other overlap gives the answer that a copy would give.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <stdexcept>

#include "fastnorm/fastnorm.h"

namespace fastnorm {

/// What is wrong with an argument: "what must be ..., got ...".
class FASTNORM_API Error : public std::invalid_argument {
public:
    enum class Kind { value, type };  ///< a shape or a value; a dtype

    Error(Kind kind, const std::string& text) : std::invalid_argument(text), kind_(kind) {}
    Kind kind() const { return kind_; }

private:
    Kind kind_;
};

template <class T>
constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, float>) return DType::f32;
    if constexpr (std::is_same_v<T, double>) return DType::f64;
    if constexpr (std::is_same_v<T, bool>) return DType::boolean;
    if constexpr (std::is_same_v<T, std::int8_t>) return DType::i8;
    if constexpr (std::is_same_v<T, std::uint8_t>) return DType::u8;
    if constexpr (std::is_same_v<T, std::int32_t>) return DType::i32;
    return DType::none;
}

/// A strided array that is read: in the memory of the caller, like its shape and strides. Without arguments: none.
struct Tensor {
    Tensor() = default;
    /// `strides` in bytes; nullptr is C order.
    Tensor(const void* memory, DType type, std::size_t dimensions, const std::size_t* sizes,
           const std::ptrdiff_t* steps = nullptr)
        : data(memory), dtype(type), ndim(dimensions), shape(sizes), strides(steps) {}
    template <class T, std::size_t N>
    Tensor(const T* memory, const std::size_t (&sizes)[N], const std::ptrdiff_t* steps = nullptr)
        : Tensor(memory, dtype_of<T>(), N, sizes, steps) {
        static_assert(dtype_of<T>() != DType::none, "name the dtype of 16-bit data");
    }
    explicit operator bool() const { return dtype != DType::none; }

    const void* data = nullptr;
    DType dtype = DType::none;
    std::size_t ndim = 0;
    const std::size_t* shape = nullptr;
    const std::ptrdiff_t* strides = nullptr;
    const char* dtype_name = nullptr;  ///< of DType::other and DType::swapped, for texts
};

/// A strided array that is written to.
struct MutableTensor {
    MutableTensor() = default;
    MutableTensor(void* memory, DType type, std::size_t dimensions, const std::size_t* sizes,
                  const std::ptrdiff_t* steps = nullptr)
        : data(memory), view(memory, type, dimensions, sizes, steps) {}
    template <class T, std::size_t N>
    MutableTensor(T* memory, const std::size_t (&sizes)[N], const std::ptrdiff_t* steps = nullptr)
        : data(memory), view(memory, sizes, steps) {}
    explicit operator bool() const { return static_cast<bool>(view); }
    operator const Tensor&() const { return view; }

    void* data = nullptr;
    Tensor view;
};

/// Axes of a tensor, negative ones counted from the end: one, or several in any order.
class AxisList {
public:
    static constexpr std::size_t kMost = 64;  ///< as NumPy

    AxisList(std::int64_t axis) : size_(1) { values_[0] = axis; }
    AxisList(std::initializer_list<std::int64_t> axes) : is_list_(true) {
        for (const std::int64_t axis : axes) push(axis);
    }
    static AxisList none() { return AxisList(); }  ///< of weight norm: one norm of everything

    void push(std::int64_t axis) {
        if (size_ == values_.size()) throw Error(Error::Kind::value, "axis must name at most 64 axes");
        values_[size_++] = axis;
    }
    std::size_t size() const { return size_; }
    std::int64_t operator[](std::size_t i) const { return values_[i]; }
    bool is_list() const { return is_list_; }

private:
    AxisList() {}

    std::size_t size_ = 0;
    bool is_list_ = false;
    std::array<std::int64_t, kMost> values_;  // uninitialized on purpose: calls are short
};

/// Makes the arrays that a caller wants and has not brought: what binds the library to a language does this.
class ResultMaker {
public:
    virtual ~ResultMaker() = default;
    /// An array for result `index`, counted in the order of its struct. Where `like` is not none, its order of axes in
    /// memory should be that of `like` (and of `other` where `like` leaves it open).
    virtual MutableTensor make(std::size_t index, DType dtype, std::size_t ndim, const std::size_t* shape,
                               const Tensor& like, const Tensor& other) = 0;
    /// Comes once, after every check and every `make`, before the work on that many bytes of data.
    virtual void begin(std::size_t bytes) { static_cast<void>(bytes); }
};

/// Output in bytes: clamp(round(y / scale) + zero_point), ties to even, of y rounded to the data's dtype. Both of shape
/// () or that of the weight; float64; zero points are whole numbers.
struct QuantizeOptions {
    Tensor scale, zero_point;
    DType dtype = DType::i8;  ///< or u8
};

/// Output in bytes with a scale for every group of the statistics, made of its largest values: of layer and RMS norm
/// and their residual forms. With y rounded to the data's dtype, low = min(y, 0) and high = max(y, 0), in float32:
///
///     symmetric:  scale = max|y| / 127, zero_point 0 (int8) or 128 (uint8)
///     else:       scale = (high - low) / 255, zero_point = clamp(round(least - low / scale)) with the dtype's least
///     value
///
/// and then as above. A scale that would be 0 is 1; that of a group with NaN is NaN, which makes all of it zero points.
struct QuantizeRowsOptions {
    DType dtype = DType::i8;  ///< or u8
    bool symmetric = true;
};

/// What all norms take. `weight` and `bias` have the dtype of the data or a wider one, and the shape of the axes they
/// vary along, or as many dimensions as the data and a shape that broadcasts against it (parameters per sample).
struct NormOptions {
    Tensor weight, bias;        ///< none: ones, zeros
    std::optional<double> eps;  ///< none: 1e-5, for RMS norm 1e-6
    double offset = 0.0;        ///< added to the weight, also to the ones that none stands for
    Activation activation = Activation::none;
    const QuantizeOptions* quantize = nullptr;
    const QuantizeRowsOptions* quantize_rows = nullptr;  ///< in the place of `quantize`
    Tensor where;  ///< bool, broadcasts against the data: elements that are false do not count in the statistics
    bool mean_only = false;  ///< batch norm: y = (x - mean) * weight + bias, rstd is 1
};

/// Statistics in float64. What is none is not handed out, but for `y`, which must be there unless `maker` makes it.
/// With `quantize_rows` there are `scale` (float32) and `zero_point` (int32) of the statistics' shape: both or neither.
struct NormResults {
    MutableTensor y = {}, mean = {}, rstd = {};
    ResultMaker* maker = nullptr;
    MutableTensor scale = {}, zero_point = {};
};

struct AddNormResults {
    MutableTensor y = {}, h = {}, mean = {}, rstd = {};
    ResultMaker* maker = nullptr;
    MutableTensor scale = {}, zero_point = {};
};

/// `norm` is float64.
struct L2Results {
    MutableTensor y = {}, norm = {};
    ResultMaker* maker = nullptr;
};

/// Running statistics, advanced in place: new = (1 - momentum) * old + momentum * batch, where the variance of the
/// batch is divided by n - ddof. Both or neither.
struct RunningStatistics {
    MutableTensor mean = {}, var = {};
    double momentum = 0.1;
    double ddof = 1;
};

/// What a backward takes besides the data. With an activation the output is computed again, which needs the bias.
struct BackwardOptions {
    Tensor weight, bias;
    double offset = 0.0;
    Activation activation = Activation::none;
    Tensor where;
    bool training = true;    ///< false (batch norm): the statistics were constants
    bool mean_only = false;  ///< that of the forward pass
};

/// Gradients of the parameters have the dtype and shape of the weight; without one, the data's dtype. Without `maker`
/// what is none is not computed, with it what `wants` leaves out.
struct GradientResults {
    MutableTensor dx = {}, dweight = {}, dbias = {};
    std::array<bool, 3> wants = {true, true, true};
    ResultMaker* maker = nullptr;
};

/// The gradient of an operation without parameters.
struct InputGradient {
    MutableTensor dx = {};
    ResultMaker* maker = nullptr;
};

/// The eps of `eps=None` in Python: the distance from 1 to the next number of the type that `dtype` is computed in.
FASTNORM_API double machine_eps(DType dtype);

// ---- batch norm: statistics of every index of the channel axis

/// y = (x - running_mean) / sqrt(running_var + eps) * weight + bias; statistics and parameters of shape (C,). With
/// `mean_only` running_var is not used and may be none.
FASTNORM_API void batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, std::int64_t axis,
                             const NormOptions& options, const NormResults& results);
/// The same with the statistics of the batch, which advance the running ones. mean, rstd: (C,).
FASTNORM_API void batch_norm_forward(const Tensor& x, std::int64_t axis, const NormOptions& options,
                                     const RunningStatistics& running, const NormResults& results);
FASTNORM_API void batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                      std::int64_t axis, const BackwardOptions& options,
                                      const GradientResults& results);

// ---- layer norm and RMS norm: statistics over the normalized axes

/// y = (x - mean) * rstd * weight + bias. mean, rstd: the shape of x with length 1 along the normalized axes.
FASTNORM_API void layer_norm(const Tensor& x, const AxisList& axis, const NormOptions& options,
                             const NormResults& results);
FASTNORM_API void layer_norm_forward(const Tensor& x, const AxisList& axis, const NormOptions& options,
                                     const NormResults& results);
FASTNORM_API void layer_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                      const AxisList& axis, const BackwardOptions& options,
                                      const GradientResults& results);
/// y = x * rstd * (offset + weight) + bias. There is no mean.
FASTNORM_API void rms_norm(const Tensor& x, const AxisList& axis, const NormOptions& options,
                           const NormResults& results);
FASTNORM_API void rms_norm_forward(const Tensor& x, const AxisList& axis, const NormOptions& options,
                                   const NormResults& results);
FASTNORM_API void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& rstd, const AxisList& axis,
                                    const BackwardOptions& options, const GradientResults& results);

/// y = x / max(norm, eps) with norm = sqrt(sum x^2) over the named axes. norm: the shape of x with length 1 along them.
FASTNORM_API void l2_normalize(const Tensor& x, const AxisList& axis, double eps, const L2Results& results);
FASTNORM_API void l2_normalize_forward(const Tensor& x, const AxisList& axis, double eps, const L2Results& results);
/// dx = (dy - xhat * sum dy * xhat) / norm with xhat = x / norm, and dy / eps where the norm is less than eps.
FASTNORM_API void l2_normalize_backward(const Tensor& dy, const Tensor& x, const Tensor& norm, const AxisList& axis,
                                        double eps, const InputGradient& results);

/// h = x + residual, rounded to the dtype of the data; y = layer_norm(h).
FASTNORM_API void add_layer_norm(const Tensor& x, const Tensor& residual, const AxisList& axis,
                                 const NormOptions& options, const AddNormResults& results);
FASTNORM_API void add_layer_norm_forward(const Tensor& x, const Tensor& residual, const AxisList& axis,
                                         const NormOptions& options, const AddNormResults& results);
/// `dh` (may be none) is the gradient that reaches h from elsewhere; dx is that of x and of residual.
FASTNORM_API void add_layer_norm_backward(const Tensor& dy, const Tensor& dh, const Tensor& h, const Tensor& mean,
                                          const Tensor& rstd, const AxisList& axis, const BackwardOptions& options,
                                          const GradientResults& results);
FASTNORM_API void add_rms_norm(const Tensor& x, const Tensor& residual, const AxisList& axis,
                               const NormOptions& options, const AddNormResults& results);
FASTNORM_API void add_rms_norm_forward(const Tensor& x, const Tensor& residual, const AxisList& axis,
                                       const NormOptions& options, const AddNormResults& results);
FASTNORM_API void add_rms_norm_backward(const Tensor& dy, const Tensor& dh, const Tensor& h, const Tensor& rstd,
                                        const AxisList& axis, const BackwardOptions& options,
                                        const GradientResults& results);

// ---- group and instance norm: axis 0 is the sample axis

/// Statistics of every sample and run of C / num_groups channels: (N, num_groups). Parameters: (C,).
FASTNORM_API void group_norm(const Tensor& x, std::int64_t num_groups, std::int64_t axis, const NormOptions& options,
                             const NormResults& results);
FASTNORM_API void group_norm_forward(const Tensor& x, std::int64_t num_groups, std::int64_t axis,
                                     const NormOptions& options, const NormResults& results);
FASTNORM_API void group_norm_backward(const Tensor& dy, const Tensor& x, std::int64_t num_groups, const Tensor& mean,
                                      const Tensor& rstd, std::int64_t axis, const BackwardOptions& options,
                                      const GradientResults& results);
/// Statistics of every sample and channel: (N, C). The running ones are (C,), advanced by the average of the samples.
FASTNORM_API void instance_norm(const Tensor& x, std::int64_t axis, const NormOptions& options,
                                const NormResults& results);
FASTNORM_API void instance_norm_forward(const Tensor& x, std::int64_t axis, const NormOptions& options,
                                        const RunningStatistics& running, const NormResults& results);
FASTNORM_API void instance_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                         std::int64_t axis, const BackwardOptions& options,
                                         const GradientResults& results);

// ---- weights

/// How weight standardization scales, see docs/numerics.md. eps without a value: 1e-6, 1e-5, 1e-5, 1e-4.
enum class Standardization : std::uint8_t { var, std_unbiased, std_biased, max };

struct FilterOptions {
    AxisList axis = 0;  ///< the axes that the filters stand along
    std::int64_t groups =
        1;  ///< of a transposed convolution: axis 0 falls into as many parts with filters of their own
    Standardization mode = Standardization::var;
    std::optional<double> eps;
    double scale = 1.0;  ///< a constant factor
};

/// `norm` and `var` are float64; the other names are those of the functions.
struct WeightResults {
    MutableTensor w = {}, norm = {};
    ResultMaker* maker = nullptr;
};
struct StandardizationResults {
    MutableTensor w = {}, mean = {}, var = {};
    ResultMaker* maker = nullptr;
};
struct WeightGradients {
    MutableTensor dv = {}, dg = {};
    ResultMaker* maker = nullptr;
};

/// w = g * v / norm with norm = sqrt(sum v^2 + eps) over all axes but `axis`. g, norm: the shape of v with length 1
/// along the others; for AxisList::none() one element. With `groups` the first of `axis` is as many times as long.
FASTNORM_API void weight_norm(const Tensor& v, const Tensor& g, const AxisList& axis, std::int64_t groups, double eps,
                              const WeightResults& results);
FASTNORM_API void weight_norm_forward(const Tensor& v, const Tensor& g, const AxisList& axis, std::int64_t groups,
                                      double eps, const WeightResults& results);
FASTNORM_API void weight_norm_backward(const Tensor& dw, const Tensor& v, const Tensor& g, const Tensor& norm,
                                       const AxisList& axis, std::int64_t groups, const WeightGradients& results);

/// In the dtype of the data, one value for every channel.
struct WeightNormStart {
    MutableTensor g = {}, bias = {};
    ResultMaker* maker = nullptr;
};
/// The start that makes normalized outputs of `t`, what a layer makes of data with g = 1 and no bias: g = 1 / std(t),
/// bias = -mean(t) / std(t), the statistics over all axes but the channel axis. Both are 0 where std(t) is.
FASTNORM_API void weight_norm_init(const Tensor& t, std::int64_t axis, const WeightNormStart& results);

/// Filters of mean 0 and variance 1, times gain * scale. gain, mean, var: the lengths of `axis`, the first of them
/// times `groups`.
FASTNORM_API void weight_standardization(const Tensor& w, const Tensor& gain, const FilterOptions& options,
                                         const StandardizationResults& results);
FASTNORM_API void weight_standardization_forward(const Tensor& w, const Tensor& gain, const FilterOptions& options,
                                                 const StandardizationResults& results);
FASTNORM_API void weight_standardization_backward(const Tensor& dw, const Tensor& w, const Tensor& gain,
                                                  const Tensor& mean, const Tensor& var, const FilterOptions& options,
                                                  const WeightGradients& results);

// ---- statistics

/// Count, mean and sum of squared deviations over the named axes, in float64, of the shape of x with length 1 along
/// them. AxisList::none(): over all.
struct MomentResults {
    MutableTensor count = {}, mean = {}, m2 = {};
    ResultMaker* maker = nullptr;
};
FASTNORM_API void moments(const Tensor& x, const AxisList& axis, const Tensor& where, const MomentResults& results);

/// The sums of dy and of dy * xhat over the values of every channel: all that leaves a rank in data-parallel training.
struct BatchSums {
    MutableTensor sum_dy = {}, sum_dy_xhat = {};
    ResultMaker* maker = nullptr;
};
FASTNORM_API void batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                             std::int64_t axis, const BatchSums& results);
/// dx alone, from the sums over all ranks, which have `count` values per channel (float64, of shape () or (C,)).
FASTNORM_API void batch_norm_backward_apply(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& mean,
                                            const Tensor& rstd, const Tensor& sum_dy, const Tensor& sum_dy_xhat,
                                            const Tensor& count, std::int64_t axis, double offset,
                                            const GradientResults& results);

// ---- whitening

/// y = (x - mean) matrix' + shift for samples x of shape (n, features); matrix: (components, features), mean and shift
/// (may be none): float64, of one value per feature and per component. y: (n, components), of the dtype of x.
FASTNORM_API void whitening_transform(const Tensor& x, const Tensor& mean, const Tensor& matrix, const Tensor& shift,
                                      const MutableTensor& y);

}  // namespace fastnorm

/// fastnorm: normalization of strided arrays on the CPU, forward and backward. Standard types only.
///
/// Every operation is one of four functions over an iteration *space*: a shape whose axes carry roles. Statistics run
/// over the `reduced` axes, weight and bias vary along the `param` axes:
///
///     batch norm  NCHW   {reduced, param, reduced, reduced}      layer norm (M, D)        {kept, reduced_param}
///     group norm  NGcHW  {kept, param, reduced_param, reduced, reduced}
///
/// Statistics are indexed by the axes that are not reduced, parameters by the axes that are `param`, both in the order
/// of the axes and contiguous. Strides are in bytes and may be anything; results do not depend on the thread count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// On Windows CMake's target says which: the library itself is built, a shared one is used, or a static one is.
#if defined(_WIN32) && defined(FASTNORM_EXPORTS)
#define FASTNORM_API __declspec(dllexport)
#elif defined(_WIN32) && defined(FASTNORM_IMPORTS)
#define FASTNORM_API __declspec(dllimport)
#elif defined(_WIN32)
#define FASTNORM_API
#else
#define FASTNORM_API __attribute__((visibility("default")))
#endif

namespace fastnorm {

/// Data have one of the first four; the next are those of masks, of quantized output and of its zero points.
enum class DType : std::uint8_t {
    f16,
    bf16,
    f32,
    f64,
    boolean,
    i8,
    u8,
    i32,
    other,    ///< a dtype that the library does not have
    swapped,  ///< of another byte order
    none,     ///< no array
};

enum Role : std::uint8_t { kept = 0, reduced = 1, param = 2, reduced_param = 3 };

/// How a group's scale `rstd` comes from its second moment. `m2` is the sum of (x - mean)^2, for `mean_square`,
/// `norm` and `clamped_norm` of x^2; `n` is the number of elements.
enum class Statistic : std::uint8_t {
    variance,      ///< (m2/n + eps)^-1/2
    mean_square,   ///< (m2/n + eps)^-1/2, not centred
    norm,          ///< (m2 + eps)^-1/2, not centred; NaN where m2 + eps is 0
    std_unbiased,  ///< 1 / (sqrt(m2/(n-1)) + eps)
    std_biased,    ///< 1 / (sqrt(m2/n) + eps)
    max,           ///< max(m2, eps)^-1/2
    clamped_norm,  ///< 1 / max(sqrt(m2), eps), not centred
    unit,          ///< 1
};

/// The iteration space of one call. `shape` and `roles` have `ndim` entries.
struct Space {
    DType dtype;
    std::size_t ndim;
    const std::size_t* shape;
    const std::uint8_t* roles;
};

/// A strided array over the space. `strides` in bytes; nullptr means C-contiguous.
struct Input {
    const void* data = nullptr;
    const std::ptrdiff_t* strides = nullptr;
};

struct Output {
    void* data = nullptr;
    const std::ptrdiff_t* strides = nullptr;
};

/// What a normalized value z goes through: max(z, 0), z / (1 + exp(-z)), z times the normal distribution function, and
/// that function's approximation by tanh.
enum class Activation : std::uint8_t { none, relu, silu, gelu, gelu_tanh };

/// Output in bytes: clamp(round(y / scale) + zero_point), ties to even, of y rounded to the data type. Scales and zero
/// points are in the compute type, zero points whole numbers; one for all, or `per_parameter` one for each weight.
struct Quantization {
    const void* scale;
    const void* zero_point;
    bool per_parameter = false;
    bool is_signed = true;  ///< int8, else uint8
};

/// Weight and bias in the compute type (float for data of up to 32 bits, double for f64); nullptr is one and zero.
struct Parameters {
    const void* weight = nullptr;
    const void* bias = nullptr;
    Activation activation = Activation::none;
    const Quantization* quantization = nullptr;  ///< y is an array of bytes then
};

/// Adds two arrays before the sum is normalized: x = a + b, rounded to the data type and written. x may be a or b.
struct Sum {
    Input a, b;
    Output x;
};

/// What a group's statistics are made of.
struct Scale {
    Statistic statistic = Statistic::variance;
    double eps = 1e-5;
};

/// Statistics that a call hands out; nullptr where nobody wants them.
struct Saved {
    double* mean = nullptr;
    double* rstd = nullptr;
    double* m2 = nullptr;
    double* count = nullptr;  ///< only with a mask

    bool any() const { return mean || rstd || m2; }
};

/// y = act((x - mean) * rstd * weight + bias) with the statistics of x itself. y may be x. With `where`, an array of
/// bytes over the space, elements that are 0 there do not count in the statistics; a group without any has mean and
/// rstd 0.
FASTNORM_API void forward(const Space& space, Input x, Output y, Parameters parameters, Scale scale, Saved saved = {},
                          Input where = {});

/// The same of a sum that is written too. y may be a or b.
FASTNORM_API void add_forward(const Space& space, const Sum& sum, Output y, Parameters parameters, Scale scale,
                              Saved saved = {});

/// The same with given statistics (evaluation mode); mean = nullptr is zero. y may be x.
FASTNORM_API void apply(const Space& space, Input x, Output y, Parameters parameters, const double* mean,
                        const double* rstd);

/// Where the gradients go; nullptr where nobody wants one. Parameter gradients are sums in double.
struct Gradients {
    Output dx;
    double* dweight = nullptr;
    double* dbias = nullptr;
    Input added = {};  ///< what is added to dx before it is rounded; may be dx, must not be dy
};

/// Gradients of `forward`; with `training = false` those of `apply`, where the statistics were constants. With
/// s1 and s2 the sums of dy*weight and dy*weight*xhat over a group of n,
///
///     dx = rstd * (dy*weight - s1/n - xhat * slope*s2)
///
/// where the slope tells how the scale follows the second moment: 1/n if `slope` is nullptr (n = 1 for
/// `Statistic::norm`), else one value a group. Without centring the term of s1 is left out. dx may be dy.
/// With `where` the sums are over the elements that count, `count` of each group, and dx of an element that does not is
/// dy*weight*rstd.
FASTNORM_API void backward(const Space& space, Input dy, Input x, const void* weight, Scale scale, bool training,
                           const double* mean, const double* rstd, Gradients gradients, const double* slope = nullptr,
                           Input where = {}, const double* count = nullptr);

/// dz = dy * act'(z) with z as in `forward` or `apply`: what a backward takes for dy where there was an activation. dz
/// may be dy.
FASTNORM_API void activation_gradient(const Space& space, Input dy, Input x, Output dz, Parameters parameters,
                                      const double* mean, const double* rstd);

/// The dx of `backward` from sums that are already there: dx = rstd * (dy*weight - mean_g - xhat*mean_gx), values per
/// group.
FASTNORM_API void input_gradient(const Space& space, Input dy, Input x, Output dx, const void* weight,
                                 const double* mean, const double* rstd, const double* mean_g, const double* mean_gx);

/// Mean and sum of squared deviations of every group; with `where`, of the elements that count.
FASTNORM_API void moments(const Space& space, Input x, double* mean, double* m2, Input where = {},
                          double* count = nullptr);

/// The two operations below mix features: the one `param` axis of the space. `kept` axes are groups of features with
/// matrices of their own, in order, and the `reduced` axes are the samples. A centre has one value per group and
/// feature; nullptr is zero.
///
/// sums[g][i][j] = sum over the samples of (a[g][i] - centre_a[g][i]) * (b[g][j] - centre_b[g][j]), in double. Without
/// b it is a, with the same centre, and the matrices are exactly symmetric. With `totals`, totals[g][i] is the sum of
/// a[g][i] - centre_a[g][i].
FASTNORM_API void comoments(const Space& space, Input a, const double* centre_a, Input b, const double* centre_b,
                            double* sums, double* totals = nullptr);

/// Matrices of all groups, `rows` x features or, for two inputs, `rows` x 2 features; `shift` (nullptr: zero) is added
/// to the result.
struct LinearMap {
    const double* matrix;
    std::size_t rows;
    const double* shift = nullptr;
};

/// y[g] = matrix[g] * (x[g] - centre_x[g]) + shift[g] for every sample; with dy, the matrix applies to the features of
/// x followed by those of dy. y has `rows` features, which it needs strides for if they are not as many as those of x,
/// and it may be x if they are.
FASTNORM_API void transform(const Space& space, const LinearMap& map, Input x, const double* centre_x, Input dy,
                            const double* centre_dy, Output y);

/// Threads a call may use: this thread's override if set, else the process-wide number.
FASTNORM_API int get_num_threads();
/// Sets the process-wide number, at least 1.
FASTNORM_API void set_num_threads(int n);
/// Sets the calling thread's own number (0: none) and returns the one before.
FASTNORM_API int set_local_num_threads(int n);
/// What limits the default number of threads: the environment variables FASTNORM_NUM_THREADS and OMP_NUM_THREADS, the
/// processors that the process may run on, and the CPU quota of its control groups, rounded up. 0 stands for no limit.
struct ThreadLimits {
    int fastnorm_num_threads;
    int affinity;
    int cgroup_quota;
    int omp_num_threads;
};
FASTNORM_API ThreadLimits thread_limits();
/// FASTNORM_NUM_THREADS if set, else the least of the other limits.
FASTNORM_API int default_num_threads();
/// The OpenMP specification date the library was built with, 0 without OpenMP.
FASTNORM_API int openmp_version();

/// SIMD targets that are compiled in and run on this machine, best first.
FASTNORM_API std::vector<std::string> simd_targets();
FASTNORM_API std::string simd_target();
/// Throws std::invalid_argument for a name that simd_targets() does not list.
FASTNORM_API void set_simd_target(const std::string& name);

}  // namespace fastnorm

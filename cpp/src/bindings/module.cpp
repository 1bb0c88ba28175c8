// The Python module: arrays become spaces and operands, the GIL is released, the core is called. No checks of values
// here: fastnorm._validate and fastnorm._layout come before.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "fastnorm/fastnorm.h"
#include "plain_functions.h"
#include "pool.h"
#include "whitening.h"
#include "whitening/transform.h"

namespace py = pybind11;
using namespace py::literals;
namespace fn = fastnorm;

namespace {

using OptionalArray = std::optional<py::array>;

fn::DType dtype_of(const py::array& array) {
    switch (array.dtype().char_()) {
        case 'e':
            return fn::DType::f16;
        case 'E':  // ml_dtypes.bfloat16
            return fn::DType::bf16;
        case 'f':
            return fn::DType::f32;
        case 'd':
            return fn::DType::f64;
        default:
            throw py::type_error("unsupported dtype");
    }
}

// A space over the memory of a NumPy array; valid as long as the array.
struct ArraySpace {
    ArraySpace(const py::array& x, const py::bytes& roles_bytes) {
        const std::string_view roles = roles_bytes;
        if (roles.size() != static_cast<std::size_t>(x.ndim())) throw py::value_error("one role per axis");
        space.dtype = dtype_of(x);
        space.ndim = roles.size();
        space.shape = reinterpret_cast<const std::size_t*>(x.shape());
        space.roles = reinterpret_cast<const std::uint8_t*>(roles.data());
    }
    fn::Space space;
};

fn::Input input(const py::array& array) {
    return {array.data(), reinterpret_cast<const std::ptrdiff_t*>(array.strides())};
}

fn::Input input(const OptionalArray& array) { return array ? input(*array) : fn::Input{}; }

fn::Output output(py::array& array) {
    return {array.mutable_data(), reinterpret_cast<const std::ptrdiff_t*>(array.strides())};
}

const void* data(const OptionalArray& array) { return array ? array->data() : nullptr; }

double* doubles(OptionalArray& array) { return array ? static_cast<double*>(array->mutable_data()) : nullptr; }

// Scales and zero points of quantized output, one of each or one for every parameter; y tells the kind of bytes.
using ScaleAndZero = std::optional<std::pair<py::array, py::array>>;

// What normalized values go through.
struct ArrayParameters {
    ArrayParameters(const OptionalArray& weight, const OptionalArray& bias, int activation, const ScaleAndZero& to,
                    const py::array& y)
        : parameters{data(weight), data(bias), static_cast<fn::Activation>(activation)} {
        if (!to) return;
        quantization = {to->first.data(), to->second.data(), to->first.size() > 1, y.dtype().kind() == 'i'};
        parameters.quantization = &quantization;
    }
    ArrayParameters(const ArrayParameters&) = delete;
    ArrayParameters& operator=(const ArrayParameters&) = delete;

    fn::Parameters parameters;
    fn::Quantization quantization{};
};

void forward(const py::array& x, py::array y, const py::bytes& roles, const OptionalArray& weight,
             const OptionalArray& bias, int statistic, double eps, OptionalArray mean, OptionalArray rstd,
             OptionalArray m2, int activation, const ScaleAndZero& quantize, const OptionalArray& where,
             OptionalArray count) {
    const ArraySpace space(x, roles);
    const fn::Output out = output(y);
    const fn::Input mask = input(where);
    const ArrayParameters with(weight, bias, activation, quantize, y);
    const fn::Saved saved{doubles(mean), doubles(rstd), doubles(m2), doubles(count)};
    const py::gil_scoped_release release;
    fn::forward(space.space, input(x), out, with.parameters, {static_cast<fn::Statistic>(statistic), eps}, saved, mask);
}

void add_forward(const py::array& a, const py::array& b, py::array h, py::array y, const py::bytes& roles,
                 const OptionalArray& weight, const OptionalArray& bias, int statistic, double eps, OptionalArray mean,
                 OptionalArray rstd, int activation, const ScaleAndZero& quantize) {
    const ArraySpace space(a, roles);
    const fn::Sum sum{input(a), input(b), output(h)};
    const fn::Output out = output(y);
    const ArrayParameters with(weight, bias, activation, quantize, y);
    const fn::Saved saved{doubles(mean), doubles(rstd)};
    const py::gil_scoped_release release;
    fn::add_forward(space.space, sum, out, with.parameters, {static_cast<fn::Statistic>(statistic), eps}, saved);
}

void apply(const py::array& x, py::array y, const py::bytes& roles, const OptionalArray& weight,
           const OptionalArray& bias, const OptionalArray& mean, const py::array& rstd, int activation,
           const ScaleAndZero& quantize) {
    const ArraySpace space(x, roles);
    const fn::Output out = output(y);
    const ArrayParameters with(weight, bias, activation, quantize, y);
    const py::gil_scoped_release release;
    fn::apply(space.space, input(x), out, with.parameters, static_cast<const double*>(data(mean)),
              static_cast<const double*>(rstd.data()));
}

void backward(const py::array& dy, const py::array& x, std::optional<py::array> dx, const py::bytes& roles,
              const OptionalArray& weight, int statistic, bool training, const OptionalArray& mean,
              const py::array& rstd, OptionalArray dweight, OptionalArray dbias, const OptionalArray& slope,
              const OptionalArray& added, const OptionalArray& where, const OptionalArray& count) {
    const ArraySpace space(x, roles);
    const fn::Gradients gradients{dx ? output(*dx) : fn::Output{}, doubles(dweight), doubles(dbias), input(added)};
    const fn::Input mask = input(where);
    const py::gil_scoped_release release;
    fn::backward(space.space, input(dy), input(x), data(weight), {static_cast<fn::Statistic>(statistic), 0.0}, training,
                 static_cast<const double*>(data(mean)), static_cast<const double*>(rstd.data()), gradients,
                 static_cast<const double*>(data(slope)), mask, static_cast<const double*>(data(count)));
}

void activation_gradient(const py::array& dy, const py::array& x, py::array dz, const py::bytes& roles,
                         const OptionalArray& weight, const OptionalArray& bias, const OptionalArray& mean,
                         const py::array& rstd, int activation) {
    const ArraySpace space(x, roles);
    const fn::Output out = output(dz);
    const ArrayParameters with(weight, bias, activation, std::nullopt, dz);
    const py::gil_scoped_release release;
    fn::activation_gradient(space.space, input(dy), input(x), out, with.parameters,
                            static_cast<const double*>(data(mean)), static_cast<const double*>(rstd.data()));
}

void input_gradient(const py::array& dy, const py::array& x, py::array dx, const py::bytes& roles,
                    const OptionalArray& weight, const py::array& mean, const py::array& rstd, const py::array& mean_g,
                    const py::array& mean_gx) {
    const ArraySpace space(x, roles);
    const fn::Output out = output(dx);
    const auto doubles_of = [](const py::array& array) { return static_cast<const double*>(array.data()); };
    const py::gil_scoped_release release;
    fn::input_gradient(space.space, input(dy), input(x), out, data(weight), doubles_of(mean), doubles_of(rstd),
                       doubles_of(mean_g), doubles_of(mean_gx));
}

void moments(const py::array& x, const py::bytes& roles, py::array mean, py::array m2, const OptionalArray& where,
             OptionalArray count) {
    const ArraySpace space(x, roles);
    const fn::Input mask = input(where);
    double* const counts = doubles(count);
    const fn::Output mean_out = output(mean), m2_out = output(m2);
    const py::gil_scoped_release release;
    fn::moments(space.space, input(x), static_cast<double*>(mean_out.data), static_cast<double*>(m2_out.data), mask,
                counts);
}

void comoments(const py::array& a, const OptionalArray& b, const py::bytes& roles, const OptionalArray& centre_a,
               const OptionalArray& centre_b, py::array sums, OptionalArray totals) {
    const ArraySpace space(a, roles);
    const fn::Input right = input(b);
    const fn::Output out = output(sums);
    const py::gil_scoped_release release;
    fn::comoments(space.space, input(a), static_cast<const double*>(data(centre_a)), right,
                  static_cast<const double*>(data(centre_b)), static_cast<double*>(out.data), doubles(totals));
}

void transform(const py::array& x, const OptionalArray& dy, py::array y, const py::bytes& roles,
               const OptionalArray& centre_x, const OptionalArray& centre_dy, const py::array& matrix,
               const OptionalArray& shift, bool wide) {
    const ArraySpace space(x, roles);
    const fn::Input second = input(dy);
    const fn::Output out = output(y);
    const fn::LinearMap map{static_cast<const double*>(matrix.data()),
                            static_cast<std::size_t>(matrix.shape(matrix.ndim() - 2)),
                            static_cast<const double*>(data(shift))};
    const py::gil_scoped_release release;
    fn::transform(space.space, map, input(x), static_cast<const double*>(data(centre_x)), second,
                  static_cast<const double*>(data(centre_dy)), out, wide);
}

void copy(const py::array& from, py::array to) {
    const auto bytes = static_cast<std::size_t>(std::min(from.nbytes(), to.nbytes()));
    void* data = to.mutable_data();
    const py::gil_scoped_release release;
    fn::copy(from.data(), data, bytes);
}

py::dict build_info() {
    py::dict info;
    info["version"] = FASTNORM_VERSION;
#if defined(__clang__)
    info["compiler"] = "Clang " __clang_version__;
#elif defined(__GNUC__)
    info["compiler"] = "GCC " __VERSION__;
#else
    info["compiler"] = "unknown";
#endif
    info["openmp"] = fn::openmp_version() ? std::to_string(fn::openmp_version()) : "none";
    return info;
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The C++ core of fastnorm. Use the functions of the package instead.";
    m.attr("REDUCED") = static_cast<int>(fn::reduced);
    m.attr("PARAM") = static_cast<int>(fn::param);
    m.attr("VARIANCE") = static_cast<int>(fn::Statistic::variance);
    m.attr("MEAN_SQUARE") = static_cast<int>(fn::Statistic::mean_square);
    m.attr("NORM") = static_cast<int>(fn::Statistic::norm);
    m.attr("STD_UNBIASED") = static_cast<int>(fn::Statistic::std_unbiased);
    m.attr("STD_BIASED") = static_cast<int>(fn::Statistic::std_biased);
    const char* const activations[] = {"relu", "silu", "gelu", "gelu_tanh"};
    py::dict numbers;
    for (int i = 0; i < 4; ++i) numbers[activations[i]] = i + 1;
    m.attr("ACTIVATIONS") = numbers;
    m.attr("MAX") = static_cast<int>(fn::Statistic::max);

    m.def("forward", &forward, "x"_a, "y"_a, "roles"_a, "weight"_a.none(true), "bias"_a.none(true), "statistic"_a,
          "eps"_a, "mean"_a = py::none(), "rstd"_a = py::none(), "m2"_a = py::none(), "activation"_a = 0,
          "quantize"_a = py::none(), "where"_a = py::none(), "count"_a = py::none());
    m.def("add_forward", &add_forward, "a"_a, "b"_a, "h"_a, "y"_a, "roles"_a, "weight"_a.none(true),
          "bias"_a.none(true), "statistic"_a, "eps"_a, "mean"_a = py::none(), "rstd"_a = py::none(), "activation"_a = 0,
          "quantize"_a = py::none());
    m.def("apply", &apply, "x"_a, "y"_a, "roles"_a, "weight"_a.none(true), "bias"_a.none(true), "mean"_a.none(true),
          "rstd"_a, "activation"_a = 0, "quantize"_a = py::none());
    m.def("backward", &backward, "dy"_a, "x"_a, "dx"_a.none(true), "roles"_a, "weight"_a.none(true), "statistic"_a,
          "training"_a, "mean"_a.none(true), "rstd"_a, "dweight"_a.none(true), "dbias"_a.none(true),
          "slope"_a = py::none(), "added"_a = py::none(), "where"_a = py::none(), "count"_a = py::none());
    m.def("activation_gradient", &activation_gradient, "dy"_a, "x"_a, "dz"_a, "roles"_a, "weight"_a.none(true),
          "bias"_a.none(true), "mean"_a.none(true), "rstd"_a, "activation"_a);
    m.def("input_gradient", &input_gradient, "dy"_a, "x"_a, "dx"_a, "roles"_a, "weight"_a.none(true), "mean"_a,
          "rstd"_a, "mean_g"_a, "mean_gx"_a);
    m.def("moments", &moments, "x"_a, "roles"_a, "mean"_a, "m2"_a, "where"_a = py::none(), "count"_a = py::none());

    m.def("comoments", &comoments, "a"_a, "b"_a.none(true), "roles"_a, "centre_a"_a.none(true), "centre_b"_a.none(true),
          "sums"_a, "totals"_a = py::none());
    m.def("transform", &transform, "x"_a, "dy"_a.none(true), "y"_a, "roles"_a, "centre_x"_a.none(true),
          "centre_dy"_a.none(true), "matrix"_a, "shift"_a.none(true), "wide"_a = false);
    fastnorm_python::add_plain_functions(m);
    add_pool_functions(m);
    fastnorm_python::add_whitening_functions(m);

    m.def("copy", &copy, "from_"_a, "to"_a);
    m.def("get_num_threads", &fn::get_num_threads);
    m.def("set_num_threads", &fn::set_num_threads, "n"_a);
    m.def("set_local_num_threads", &fn::set_local_num_threads, "n"_a);
    m.def("default_num_threads", &fn::default_num_threads);
    m.def("simd_targets", &fn::simd_targets);
    m.def("simd_target", &fn::simd_target);
    m.def("set_simd_target", &fn::set_simd_target, "name"_a);
    m.def("build_info", &build_info);
}

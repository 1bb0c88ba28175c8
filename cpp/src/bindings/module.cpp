// The Python module: arrays become spaces and operands, the GIL is released, the core is called. No checks of values
// here: fastnorm._validate and fastnorm._layout come before.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "fastnorm/fastnorm.h"
#include "functions.h"
#include "gil.h"
#include "onnxruntime/library.h"
#include "operations/check.h"
#include "pool.h"
#include "shape/limits.h"
#include "whitening.h"
#include "whitening/transform.h"
#include "xla/handlers.h"

namespace py = pybind11;
using namespace py::literals;
namespace fn = fastnorm;
using fastnorm_python::without_gil;

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

void role_moments(const py::array& x, const py::bytes& roles, py::array mean, py::array m2, const OptionalArray& where,
                  OptionalArray count) {
    const ArraySpace space(x, roles);
    const fn::Input mask = input(where);
    double* const counts = doubles(count);
    const fn::Output mean_out = output(mean), m2_out = output(m2);
    without_gil([&] {
        fn::moments(space.space, input(x), static_cast<double*>(mean_out.data), static_cast<double*>(m2_out.data), mask,
                    counts);
    });
}

void comoments(const py::array& a, const OptionalArray& b, const py::bytes& roles, const OptionalArray& centre_a,
               const OptionalArray& centre_b, py::array sums, OptionalArray totals) {
    const ArraySpace space(a, roles);
    const fn::Input right = input(b);
    const fn::Output out = output(sums);
    without_gil([&] {
        fn::comoments(space.space, input(a), static_cast<const double*>(data(centre_a)), right,
                      static_cast<const double*>(data(centre_b)), static_cast<double*>(out.data), doubles(totals));
    });
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
    without_gil([&] {
        fn::transform(space.space, map, input(x), static_cast<const double*>(data(centre_x)), second,
                      static_cast<const double*>(data(centre_dy)), out, wide);
    });
}

// None where there is no limit.
py::dict thread_limits() {
    const fn::ThreadLimits limits = fn::thread_limits();
    const auto count = [](int n) { return n ? py::object(py::int_(n)) : py::object(py::none()); };
    return py::dict("FASTNORM_NUM_THREADS"_a = count(limits.fastnorm_num_threads),
                    "affinity"_a = count(limits.affinity), "cgroup_quota"_a = count(limits.cgroup_quota),
                    "OMP_NUM_THREADS"_a = count(limits.omp_num_threads));
}

// Bytes; 0 where a size cannot be found out.
py::dict caches() {
    const fn::CacheSizes sizes = fn::cache_sizes();
    return py::dict("l2"_a = sizes.l2, "l3"_a = sizes.l3, "stream"_a = fn::stream_bytes());
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

// As capsules of the name that JAX gives to functions.
py::dict xla_handlers() {
    py::dict handlers;
    for (const fn::xla::NamedHandler& named : fn::xla::kHandlers) {
        handlers[named.name] = py::capsule(reinterpret_cast<void*>(named.handler), "xla._CUSTOM_CALL_TARGET");
    }
    return handlers;
}

constexpr const char* kOnlyMain = "fastnorm can only be imported in the main interpreter";

bool in_main_interpreter() {
#if defined(PYPY_VERSION)
    return true;
#else
    return PyInterpreterState_Get() == PyInterpreterState_Main();
#endif
}

}  // namespace

PYBIND11_MODULE(core, m, py::mod_gil_not_used()) {
    if (!in_main_interpreter()) throw py::import_error(kOnlyMain);
    // While no other thread can ask for it: it lets the GIL go.
    fastnorm_python::initialize_arrays();
    m.attr("num_threads_override") = py::reinterpret_borrow<py::object>(fastnorm_python::initialize_arguments());
    m.doc() = "The C++ core of fastnorm. Use the functions of the package instead.";
    m.attr("REDUCED") = static_cast<int>(fn::reduced);
    m.attr("PARAM") = static_cast<int>(fn::param);
    py::dict numbers;
    for (const char* const name : fn::kActivationNames) numbers[name] = py::len(numbers) + 1;
    m.attr("ACTIVATIONS") = numbers;
    m.attr("STANDARDIZATIONS") = py::make_tuple("var", "std_unbiased", "std_biased", "max");

    m.def("role_moments", &role_moments, "x"_a, "roles"_a, "mean"_a, "m2"_a, "where"_a = py::none(),
          "count"_a = py::none());

    m.def("comoments", &comoments, "a"_a, "b"_a.none(true), "roles"_a, "centre_a"_a.none(true), "centre_b"_a.none(true),
          "sums"_a, "totals"_a = py::none());
    m.def("transform", &transform, "x"_a, "dy"_a.none(true), "y"_a, "roles"_a, "centre_x"_a.none(true),
          "centre_dy"_a.none(true), "matrix"_a, "shift"_a.none(true), "wide"_a = false);
    fastnorm_python::add_norm_functions(m);
    fastnorm_python::add_weight_functions(m);
    fastnorm_python::add_statistics_functions(m);
    m.def("number_expectation", &fn::number_expectation, "name"_a);
    add_pool_functions(m);
    fastnorm_python::add_whitening_functions(m);

    m.def("xla_handlers", &xla_handlers);
    m.def("set_onnxruntime_override", &fn::onnxruntime::set_override, "override"_a);

    m.def("get_num_threads", &fn::get_num_threads);
    m.def("set_num_threads", &fn::set_num_threads, "n"_a);
    m.def("set_local_num_threads", &fn::set_local_num_threads, "n"_a);
    m.def("default_num_threads", &fn::default_num_threads);
    m.def("thread_limits", &thread_limits);
    m.def("simd_targets", &fn::simd_targets);
    m.def("simd_target", &fn::simd_target);
    m.def("set_simd_target", &fn::set_simd_target, "name"_a);
    m.def("caches", &caches);
    m.def("build_info", &build_info);
}

// What Python calls first. It looks before pybind11 does anything, which in a subinterpreter of Python 3.11 and before
// would wait for ever; later versions call this in the main interpreter, and then the body above in the other one.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (in_main_interpreter()) return PyInit_core();
    PyErr_SetString(PyExc_ImportError, kOnlyMain);
    return nullptr;
}

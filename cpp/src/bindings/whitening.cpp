#include "whitening.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string_view>

#include "gil.h"
#include "whitening/triangular.h"

namespace fastnorm_python {
namespace {

namespace py = pybind11;
namespace fn = fastnorm;
using namespace py::literals;

// Samples of any layout are reflected into the factor.
void triangular_factor(const py::array& x, const std::optional<py::array>& centre, py::array upper) {
    constexpr std::uint8_t kRoles[] = {fn::reduced, fn::param};
    const std::size_t type = std::string_view("eEfd").find(x.dtype().char_());  // in the order of DType
    if (type == std::string_view::npos || x.ndim() != 2) throw py::type_error("unsupported array");
    const fn::Space space{static_cast<fn::DType>(type), 2, reinterpret_cast<const std::size_t*>(x.shape()), kRoles};
    const fn::Input input{x.data(), reinterpret_cast<const std::ptrdiff_t*>(x.strides())};
    const auto* const shift = centre ? static_cast<const double*>(centre->data()) : nullptr;
    auto* const factor = static_cast<double*>(upper.mutable_data());
    without_gil([&] { fn::triangular_factor(space, input, shift, factor); });
}

void orthogonal_rows(py::array matrix, std::size_t columns) {
    auto* const data = static_cast<double*>(matrix.mutable_data());
    const auto rows = static_cast<std::size_t>(matrix.shape(0)), step = static_cast<std::size_t>(matrix.shape(1));
    without_gil([&] { fn::orthogonal_rows(data, rows, columns, step); });
}

}  // namespace

void add_whitening_functions(py::module_& m) {
    m.def("triangular_factor", &triangular_factor, "x"_a, "centre"_a.none(true), "upper"_a);
    m.def("orthogonal_rows", &orthogonal_rows, "matrix"_a, "columns"_a);
}

}  // namespace fastnorm_python

// Whitening's transform by name. Fits need decompositions of small matrices and live in Python.
#include "check.h"
#include "results.h"
#include "shape/overlap.h"

namespace fastnorm {
namespace {

void check_doubles(const char* name, const Tensor& value, const Shape& shape) {
    check_double(name, value);
    if (!has_shape(value, shape)) {
        wrong_value(std::string(name) + " must have shape " + text(shape) + ", got " + text(Shape(value)));
    }
}

}  // namespace

void whitening_transform(const Tensor& x, const Tensor& mean, const Tensor& matrix, const Tensor& shift,
                         const MutableTensor& y) {
    check_data("x", x);
    if (x.ndim != 2) wrong_value("x must have two dimensions, samples and features, got " + shape_of("x", Shape(x)));
    check_present("matrix", matrix);
    const std::size_t components = matrix.ndim == 2 ? matrix.shape[0] : 0;
    check_doubles("matrix", matrix, {components, x.shape[1]});
    if (mean) check_doubles("mean", mean, {x.shape[1]});
    if (shift) check_doubles("shift", shift, {components});
    const Tensor& out = y;
    if (out.dtype != x.dtype) {
        wrong_type("y must have dtype " + text(x.dtype) + " to match x, got " + dtype_text(out));
    }
    const Shape expected{x.shape[0], components};
    if (!has_shape(out, expected)) {
        wrong_value("y must have shape " + text(expected) + ", got " + text(Shape(out)));
    }
    check_places("y", out);
    CallMemory memory;
    const Doubles centre(mean, memory), rows(matrix, memory), shifts(shift, memory);
    DataResult result;
    result.bind(y, {&x}, memory, {&mean, &matrix, &shift});
    const std::uint8_t roles[] = {reduced, param};
    const auto steps = [](const Tensor& t) { return std::array<std::ptrdiff_t, 2>{stride_of(t, 0), stride_of(t, 1)}; };
    const auto x_steps = steps(x), y_steps = steps(result.tensor());
    transform({x.dtype, 2, x.shape, roles}, {rows.get(), components, shifts.get()}, {x.data, x_steps.data()},
              centre.get(), {}, nullptr, {result.tensor().data, y_steps.data()});
    result.store();
}

}  // namespace fastnorm

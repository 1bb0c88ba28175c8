// Weight normalization and weight standardization.
#include "functions.h"

namespace fastnorm_python {
namespace {

using WeightNorm = void(const fn::Tensor&, const fn::Tensor&, const fn::AxisList&, std::int64_t, double,
                        const fn::WeightResults&);

// v, g, axis, groups, eps, out
template <WeightNorm* kOperation, int kResults>
PyObject* weight_norm(Arguments& a, Results& r) {
    const fn::Tensor v = a.array("v"), g = a.values("g");
    const fn::AxisList axis = a.axes_or_none();
    const std::int64_t groups = a.integer("groups");
    const double eps = a.number("eps");
    fn::WeightResults results;
    results.w = r.given(0, "out");
    results.maker = &r;
    a.run([&] { kOperation(v, g, axis, groups, eps, results); });
    return kResults == 1 ? r.one() : r.tuple(kResults);
}

// dw, v, g, norm, axis, groups
PyObject* weight_norm_backward(Arguments& a, Results& r) {
    const fn::Tensor dw = a.array("dw"), v = a.array("v"), g = a.values("g"), norm = a.values("norm");
    const fn::AxisList axis = a.axes_or_none();
    const std::int64_t groups = a.integer("groups");
    fn::WeightGradients results;
    results.maker = &r;
    a.run([&] { fn::weight_norm_backward(dw, v, g, norm, axis, groups, results); });
    return r.tuple(2);
}

// t, axis
PyObject* weight_norm_init(Arguments& a, Results& r) {
    const fn::Tensor t = a.array("t");
    const std::int64_t axis = a.integer("axis");
    fn::WeightNormStart results;
    results.maker = &r;
    a.run([&] { fn::weight_norm_init(t, axis, results); });
    return r.tuple(2);
}

// axis, groups, mode, eps, scale
fn::FilterOptions filter_options(Arguments& a) {
    fn::FilterOptions options;
    options.axis = a.axes();
    options.groups = a.integer("groups");
    options.mode = a.mode();
    options.eps = a.number_or_none("eps");
    options.scale = a.number("scale");
    return options;
}

using Standardize = void(const fn::Tensor&, const fn::Tensor&, const fn::FilterOptions&,
                         const fn::StandardizationResults&);

// w, gain, options, out
template <Standardize* kOperation, int kResults>
PyObject* weight_standardization(Arguments& a, Results& r) {
    const fn::Tensor w = a.array("w"), gain = a.values("gain");
    const fn::FilterOptions options = filter_options(a);
    fn::StandardizationResults results;
    results.w = r.given(0, "out");
    results.maker = &r;
    a.run([&] { kOperation(w, gain, options, results); });
    return kResults == 1 ? r.one() : r.tuple(kResults);
}

// dw, w, gain, mean, var, options
PyObject* weight_standardization_backward(Arguments& a, Results& r) {
    const fn::Tensor dw = a.array("dw"), w = a.array("w"), gain = a.values("gain");
    const fn::Tensor mean = a.values("mean"), var = a.values("var");
    const fn::FilterOptions options = filter_options(a);
    fn::WeightGradients results;
    results.maker = &r;
    a.run([&] { fn::weight_standardization_backward(dw, w, gain, mean, var, options, results); });
    return r.tuple(2);
}

}  // namespace

void add_weight_functions(py::module_& m) {
    static PyMethodDef methods[] = {
        method<weight_norm<&fn::weight_norm, 1>, 6>("weight_norm"),
        method<weight_norm<&fn::weight_norm_forward, 2>, 6>("weight_norm_forward"),
        method<weight_norm_backward, 6>("weight_norm_backward"),
        method<weight_norm_init, 2>("weight_norm_init"),
        method<weight_standardization<&fn::weight_standardization, 1>, 8>("weight_standardization"),
        method<weight_standardization<&fn::weight_standardization_forward, 3>, 8>("weight_standardization_forward"),
        method<weight_standardization_backward, 10>("weight_standardization_backward"),
        {nullptr, nullptr, 0, nullptr}};
    add_methods(m, methods);
}

}  // namespace fastnorm_python

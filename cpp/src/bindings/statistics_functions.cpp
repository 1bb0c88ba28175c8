// Moments, and the backward of batch norm in two parts.
#include "functions.h"

namespace fastnorm_python {
namespace {

// x, axis, where
PyObject* moments(Arguments& a, Results& r) {
    const fn::Tensor x = a.array("x");
    const fn::AxisList axis = a.axes_or_none();
    const fn::Tensor where = a.array("where");
    fn::MomentResults results;
    results.maker = &r;
    a.run([&] { fn::moments(x, axis, where, results); });
    return r.tuple(3);
}

// dy, x, mean, rstd, axis
PyObject* batch_norm_backward_reduce(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), mean = a.values("mean"), rstd = a.values("rstd");
    const std::int64_t axis = a.integer("axis");
    fn::BatchSums results;
    results.maker = &r;
    a.run([&] { fn::batch_norm_backward_reduce(dy, x, mean, rstd, axis, results); });
    return r.tuple(2);
}

// dy, x, weight, mean, rstd, sum_dy, sum_dy_xhat, count, axis
PyObject* batch_norm_backward_apply(Arguments& a, Results& r) {
    const fn::Tensor dy = a.array("dy"), x = a.array("x"), weight = a.values("weight");
    const fn::Tensor mean = a.values("mean"), rstd = a.values("rstd");
    const fn::Tensor sum_dy = a.values("sum_dy"), sum_dy_xhat = a.values("sum_dy_xhat"), count = a.array("count");
    const std::int64_t axis = a.integer("axis");
    fn::GradientResults results;
    results.maker = &r;
    a.run([&] { fn::batch_norm_backward_apply(dy, x, weight, mean, rstd, sum_dy, sum_dy_xhat, count, axis, results); });
    return r.one();
}

}  // namespace

void add_statistics_functions(py::module_& m) {
    static PyMethodDef methods[] = {method<moments, 3>("moments"),
                                    method<batch_norm_backward_reduce, 5>("batch_norm_backward_reduce"),
                                    method<batch_norm_backward_apply, 9>("batch_norm_backward_apply"),
                                    {nullptr, nullptr, 0, nullptr}};
    add_methods(m, methods);
}

}  // namespace fastnorm_python

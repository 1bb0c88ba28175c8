#include "results.h"

#include "pool.h"
#include "shape/result_order.h"

namespace fastnorm_python {
namespace {

std::size_t item_size(fn::DType dtype) {
    switch (dtype) {
        case fn::DType::f64:
            return 8;
        case fn::DType::f32:
        case fn::DType::i32:
            return 4;
        case fn::DType::f16:
        case fn::DType::bf16:
            return 2;
        default:
            return 1;
    }
}

}  // namespace

fn::MutableTensor Results::given(std::size_t index, const char* name) { return given(index, name, arguments_.take()); }

fn::MutableTensor Results::given(std::size_t index, const char* name, PyObject* value) {
    const fn::MutableTensor result = arguments_.written(name, value, nullptr);
    if (result) {
        Py_INCREF(value);
        objects_[index] = value;
    }
    return result;
}

fn::MutableTensor Results::make(std::size_t index, fn::DType dtype, std::size_t ndim, const std::size_t* shape,
                                const fn::Tensor& like, const fn::Tensor& other) {
    const auto* const sizes = reinterpret_cast<const Py_ssize_t*>(shape);
    const std::size_t item = item_size(dtype);
    Py_ssize_t strides[fn::AxisList::kMost];
    const bool ordered = like && like.strides;
    if (ordered) {
        const Py_ssize_t* const inputs[] = {like.strides, other.strides};
        fn::result_strides(ndim, sizes, inputs, other && other.strides ? 2 : 1, item, strides);
    }
    std::size_t bytes = item;
    for (std::size_t i = 0; i < ndim; ++i) bytes *= shape[i];
    PyObject* const array =
        new_array(descr_of(dtype, arguments_.bfloat16_array()), ndim, sizes, ordered ? strides : nullptr, bytes);
    if (!array) throw PythonError();
    objects_[index] = array;
    fn::MutableTensor result;
    result.view = tensor_of(array, dtype);
    result.data = proxy_of(array).data;
    return result;
}

PyObject* Results::one() {
    PyObject* const result = objects_[0];
    objects_[0] = nullptr;
    return result;
}

PyObject* Results::tuple(std::size_t count) {
    PyObject* const result = PyTuple_New(static_cast<Py_ssize_t>(count));
    if (!result) throw PythonError();
    for (std::size_t i = 0; i < count; ++i) {
        PyObject* value = objects_[i];
        objects_[i] = nullptr;
        if (!value) {
            value = Py_None;
            Py_INCREF(value);
        }
        PyTuple_SET_ITEM(result, static_cast<Py_ssize_t>(i), value);
    }
    return result;
}

void Results::discard() {
    for (PyObject*& object : objects_) {
        Py_XDECREF(object);
        object = nullptr;
    }
}

}  // namespace fastnorm_python

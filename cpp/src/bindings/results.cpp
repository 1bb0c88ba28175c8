#include "results.h"

#include <algorithm>
#include <numeric>

#include "pool.h"

namespace fastnorm_python {
namespace {

// Strides in bytes of a new array whose axes lie in memory in the order of those of `like`. C order is nullptr.
const Py_ssize_t* strides_like(const fn::Tensor& like, Py_ssize_t item, Py_ssize_t* strides) {
    if (!like || !like.strides) return nullptr;
    bool is_c_order = true;
    auto step = static_cast<std::ptrdiff_t>(1);
    for (std::size_t i = like.ndim; i-- > 0 && is_c_order; step = std::abs(like.strides[i])) {
        is_c_order = like.shape[i] == 1 || std::abs(like.strides[i]) >= step;
    }
    if (is_c_order) return nullptr;
    std::size_t order[64];
    std::iota(order, order + like.ndim, std::size_t{0});
    std::stable_sort(order, order + like.ndim, [&](std::size_t a, std::size_t b) {
        return std::abs(like.strides[a]) > std::abs(like.strides[b]);
    });
    for (std::size_t i = like.ndim; i-- > 0;) {
        strides[order[i]] = item;
        item *= static_cast<Py_ssize_t>(like.shape[order[i]]);
    }
    return strides;
}

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
                                const fn::Tensor& like, const fn::Tensor&) {
    const auto& api = NumPy::get();
    const auto nd = static_cast<int>(ndim);
    const auto* sizes = reinterpret_cast<const Py_ssize_t*>(shape);
    const auto item = static_cast<Py_ssize_t>(item_size(dtype));
    PyObject* const descr = descr_of(dtype, arguments_.bfloat16_array());
    Py_ssize_t strides[64];
    const Py_ssize_t* const steps = strides_like(like, item, strides);
    Py_ssize_t bytes = item;
    for (std::size_t i = 0; i < ndim; ++i) bytes *= sizes[i];
    PyObject* array = nullptr;
    if (static_cast<std::size_t>(bytes) >= kPooledBytes && like) {
        array = pooled_array(descr, nd, sizes, steps, static_cast<std::size_t>(bytes));
    } else {
        array = api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, nd, sizes, steps, nullptr, 0, nullptr);
    }
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

PyObject* Results::quantized(std::size_t count) {
    PyObject* const all = tuple(count);
    PyObject* const module = PyImport_ImportModule("fastnorm._arguments");
    PyObject* const result = module ? PyObject_CallMethod(module, "quantized", "(O)", all) : nullptr;
    Py_XDECREF(module);
    Py_DECREF(all);
    if (!result) throw PythonError();
    return result;
}

void Results::discard() {
    for (PyObject*& object : objects_) {
        Py_XDECREF(object);
        object = nullptr;
    }
}

}  // namespace fastnorm_python

#include "pool.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "gil.h"
#include "memory/result_pool.h"

namespace py = pybind11;

namespace {

using fastnorm::Block;
using fastnorm::result_pool;

// A block of the pool while an array lives on it.
class Owned {
public:
    explicit Owned(std::size_t bytes) : block_(result_pool().take(bytes)) {}
    ~Owned() { result_pool().give(block_); }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    void* data() const { return block_.data; }

private:
    const Block block_;
};

py::capsule owner(std::size_t bytes) {
    auto owned = std::make_unique<Owned>(bytes);
    py::capsule result(owned.get(), [](void* owned) { delete static_cast<Owned*>(owned); });
    static_cast<void>(owned.release());
    return result;
}

}  // namespace

PyObject* pooled_array(PyObject* descr, int ndim, const Py_ssize_t* shape, const Py_ssize_t* strides,
                       std::size_t bytes) {
    const auto& api = py::detail::npy_api::get();
    py::capsule base = owner(bytes);
    void* const data = static_cast<Owned*>(base.get_pointer())->data();
    constexpr int kFlags = py::detail::npy_api::NPY_ARRAY_WRITEABLE_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    PyObject* const array =
        api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, ndim, shape, strides, data, kFlags, nullptr);
    if (array && api.PyArray_SetBaseObject_(array, base.release().ptr()) < 0) {
        Py_DECREF(array);
        return nullptr;
    }
    return array;
}

py::array empty_like(const py::array& x, const py::dtype& dtype) {
    const auto ndim = static_cast<std::size_t>(x.ndim());
    std::vector<std::size_t> order(ndim);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return std::abs(x.strides()[a]) > std::abs(x.strides()[b]); });
    std::vector<py::ssize_t> strides(ndim);
    py::ssize_t bytes = dtype.itemsize();
    for (std::size_t i = ndim; i-- > 0;) {
        strides[order[i]] = bytes;
        bytes *= x.shape()[order[i]];
    }
    const py::capsule base = owner(static_cast<std::size_t>(bytes));
    void* const data = static_cast<Owned*>(base.get_pointer())->data();
    return py::array(dtype, std::vector<py::ssize_t>(x.shape(), x.shape() + ndim), strides, data, base);
}

void add_pool_functions(py::module_& m) {
    m.attr("POOLED_BYTES") = kPooledBytes;
    m.def("empty_like", &empty_like, py::arg("x"), py::arg("dtype"));
    m.def("pool_limit", [] { return result_pool().limit(); });
    m.def("pool_held", [] { return result_pool().held(); });
    m.def(
        "set_pool_limit",
        [](std::size_t bytes) { fastnorm_python::without_gil([&] { result_pool().set_limit(bytes); }); },
        py::arg("bytes"));
}

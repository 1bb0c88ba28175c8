#include "pool.h"

#include <pybind11/stl.h>

#include <memory>
#include <utility>

#include "gil.h"
#include "memory/result_pool.h"
#include "shape/result_order.h"

namespace py = pybind11;

namespace {

using fastnorm::PoolBlock;
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
    const PoolBlock block_;
};

py::capsule owner(std::size_t bytes) {
    auto owned = std::make_unique<Owned>(bytes);
    py::capsule result(owned.get(), [](void* owned) { delete static_cast<Owned*>(owned); });
    static_cast<void>(owned.release());
    return result;
}

}  // namespace

PyObject* new_array(PyObject* descr, std::size_t ndim, const Py_ssize_t* shape, const Py_ssize_t* strides,
                    std::size_t bytes) {
    const auto& api = py::detail::npy_api::get();
    const auto make = [&](void* data, int flags) {
        return api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, static_cast<int>(ndim), shape, strides, data, flags,
                                         nullptr);
    };
    if (bytes < kPooledBytes) return make(nullptr, 0);
    py::capsule base = owner(bytes);
    constexpr int kFlags = py::detail::npy_api::NPY_ARRAY_WRITEABLE_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    PyObject* const array = make(static_cast<Owned*>(base.get_pointer())->data(), kFlags);
    if (array && api.PyArray_SetBaseObject_(array, base.release().ptr()) < 0) {
        Py_DECREF(array);
        return nullptr;
    }
    return array;
}

py::array empty_like(const py::dtype& dtype, const std::vector<py::array>& inputs) {
    const py::array& x = inputs.front();
    const auto ndim = static_cast<std::size_t>(x.ndim()), item = static_cast<std::size_t>(dtype.itemsize());
    std::vector<const Py_ssize_t*> given;
    for (const py::array& input : inputs) given.push_back(input.strides());
    std::vector<Py_ssize_t> strides(ndim);
    fastnorm::result_strides(ndim, x.shape(), given.data(), given.size(), item, strides.data());
    PyObject* const array = new_array(py::dtype(dtype).release().ptr(), ndim, x.shape(), strides.data(),
                                      static_cast<std::size_t>(x.size()) * item);
    if (!array) throw py::error_already_set();
    return py::reinterpret_steal<py::array>(array);
}

void add_pool_functions(py::module_& m) {
    m.def("empty_like", &empty_like, py::arg("dtype"), py::arg("inputs"));
    m.def("pool_limit", [] { return result_pool().limit(); });
    m.def("pool_held", [] { return result_pool().held(); });
    m.def(
        "set_pool_limit",
        [](std::size_t bytes) { fastnorm_python::without_gil([&] { result_pool().set_limit(bytes); }); },
        py::arg("bytes"));
}

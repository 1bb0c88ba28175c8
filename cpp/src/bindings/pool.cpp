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

}  // namespace

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
    auto owned = std::make_unique<Owned>(static_cast<std::size_t>(bytes));
    void* const data = owned->data();
    const py::capsule owner(owned.get(), [](void* owned) { delete static_cast<Owned*>(owned); });
    static_cast<void>(owned.release());
    return py::array(dtype, std::vector<py::ssize_t>(x.shape(), x.shape() + ndim), strides, data, owner);
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

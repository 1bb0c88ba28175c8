#include "shape/result_order.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "axes.h"

namespace fastnorm {
namespace {

enum class Place { unknown, inside, outside };

class InputOrder {
public:
    InputOrder(const std::ptrdiff_t* shape, const std::ptrdiff_t* const* inputs, std::size_t count)
        : shape_(shape), inputs_(inputs), count_(count) {}

    // Where axis a belongs against axis b, which comes after a in C's order.
    Place place(std::size_t a, std::size_t b) const {
        if (shape_[a] == 1 || shape_[b] == 1) return Place::unknown;
        Place place = Place::unknown;
        for (std::size_t i = 0; i < count_; ++i) {
            const std::ptrdiff_t own = std::abs(inputs_[i][a]), other = std::abs(inputs_[i][b]);
            if (own == 0 || other == 0) continue;
            if (own >= other) return Place::outside;
            place = Place::inside;
        }
        return place;
    }

private:
    const std::ptrdiff_t* shape_;
    const std::ptrdiff_t* const* inputs_;
    std::size_t count_;
};

}  // namespace

void result_strides(std::size_t ndim, const std::ptrdiff_t* shape, const std::ptrdiff_t* const* inputs,
                    std::size_t count, std::size_t item_size, std::ptrdiff_t* strides) {
    const InputOrder input(shape, inputs, count);
    // Axes from the innermost out: inserted one by one, each as far in as it is known to belong.
    std::array<std::size_t, Axes::kMost> order;
    for (std::size_t n = 0; n < ndim; ++n) {
        const std::size_t axis = ndim - 1 - n;
        std::size_t target = n;
        for (std::size_t at = n; at-- > 0;) {
            const Place place = input.place(axis, order[at]);
            if (place == Place::outside) break;
            if (place == Place::inside) target = at;
        }
        std::copy_backward(order.begin() + target, order.begin() + n, order.begin() + n + 1);
        order[target] = axis;
    }
    auto step = static_cast<std::ptrdiff_t>(item_size);
    for (std::size_t n = 0; n < ndim; ++n) {
        strides[order[n]] = step;
        step *= shape[order[n]];
    }
}

}  // namespace fastnorm

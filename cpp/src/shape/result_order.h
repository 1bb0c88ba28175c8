// The order of axes in memory that a result gets from its inputs: that of NumPy's elementwise functions.
#pragma once

#include <cstddef>

namespace fastnorm {

// Strides in bytes of a new array without gaps, whose elements take `item_size` bytes. Axes go from the innermost out
// by ascending strides of the inputs; where an input does not step along an axis it says nothing, and where nothing is
// said, or inputs disagree, the order is C's. `inputs` are the strides of `count` arrays of this shape, in bytes; of at
// most Axes::kMost dimensions.
void result_strides(std::size_t ndim, const std::ptrdiff_t* shape, const std::ptrdiff_t* const* inputs,
                    std::size_t count, std::size_t item_size, std::ptrdiff_t* strides);

}  // namespace fastnorm

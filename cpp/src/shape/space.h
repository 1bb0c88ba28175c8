// What the public calls ask of a space.
#pragma once

#include <cstddef>
#include <vector>

#include "fastnorm/fastnorm.h"

namespace fastnorm {

inline char* bytes(const void* data) { return static_cast<char*>(const_cast<void*>(data)); }

// A stride times a length. Lengths beside one of zero may be any, so it may overflow where there is no element.
inline std::ptrdiff_t times(std::ptrdiff_t stride, std::size_t length) {
    return static_cast<std::ptrdiff_t>(static_cast<std::size_t>(stride) * length);
}

inline std::size_t count_elements(const Space& space) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < space.ndim; ++i) n *= space.shape[i];
    return n;
}

inline std::size_t count_groups(const Space& space) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < space.ndim; ++i) n *= space.roles[i] & reduced ? 1 : space.shape[i];
    return n;
}

inline std::size_t count_parameters(const Space& space) {
    std::size_t n = 1;
    for (std::size_t i = 0; i < space.ndim; ++i) n *= space.roles[i] & param ? space.shape[i] : 1;
    return n;
}

// Strides of an operand of bytes, which standard strides, those of the data type, do not fit.
class ByteStrides {
public:
    ByteStrides(const Space& space, const std::ptrdiff_t* strides, bool of_bytes) : strides_(strides) {
        if (strides_ || !of_bytes) return;
        own_.resize(space.ndim);
        std::ptrdiff_t step = 1;
        for (std::size_t i = space.ndim; i-- > 0; step = times(step, space.shape[i])) own_[i] = step;
        strides_ = own_.data();
    }
    ByteStrides(const ByteStrides&) = delete;
    ByteStrides& operator=(const ByteStrides&) = delete;

    const std::ptrdiff_t* get() const { return strides_; }

private:
    std::vector<std::ptrdiff_t> own_;
    const std::ptrdiff_t* strides_;
};

struct OutputStrides : ByteStrides {
    OutputStrides(const Space& space, Output y, const Parameters& parameters)
        : ByteStrides(space, y.strides, parameters.quantization != nullptr) {}
};

struct MaskStrides : ByteStrides {
    MaskStrides(const Space& space, Input where) : ByteStrides(space, where.strides, true) {}
};

}  // namespace fastnorm

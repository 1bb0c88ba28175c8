// Shapes of tensors: a list of lengths that needs no memory of its own, and what is asked of it.
#pragma once

#include <algorithm>
#include <array>

#include "fastnorm/operations.h"

namespace fastnorm {

class Shape {
public:
    static constexpr std::size_t kMost = 65;  // NumPy has 64 axes, of which one may be split

    Shape() {}  // the storage stays uninitialized on purpose: calls are short
    Shape(std::initializer_list<std::size_t> sizes) {
        for (const std::size_t n : sizes) push(n);
    }
    explicit Shape(const Tensor& tensor) : Shape(tensor.ndim, tensor.shape) {}
    Shape(std::size_t n, const std::size_t* sizes) : size_(std::min(n, kMost)) {
        std::copy_n(sizes, size_, sizes_.begin());
    }
    Shape(const Shape& other) : Shape(other.size_, other.data()) {}
    Shape& operator=(const Shape& other) {
        size_ = other.size_;
        std::copy_n(other.data(), size_, sizes_.begin());
        return *this;
    }
    static Shape filled(std::size_t n, std::size_t length) {
        Shape result;
        result.size_ = n;
        std::fill_n(result.sizes_.begin(), n, length);
        return result;
    }

    std::size_t size() const { return size_; }
    const std::size_t* data() const { return sizes_.data(); }
    std::size_t operator[](std::size_t i) const { return sizes_[i]; }
    std::size_t& operator[](std::size_t i) { return sizes_[i]; }
    void push(std::size_t n) { sizes_[size_++] = n; }
    void clear() { size_ = 0; }

    std::size_t count() const {
        std::size_t n = 1;
        for (std::size_t i = 0; i < size_; ++i) n *= sizes_[i];
        return n;
    }
    bool contains(std::size_t value) const { return std::find(data(), data() + size_, value) != data() + size_; }
    bool operator==(const Shape& other) const {
        return size_ == other.size_ && std::equal(data(), data() + size_, other.data());
    }
    bool operator!=(const Shape& other) const { return !(*this == other); }

private:
    std::size_t size_ = 0;
    std::array<std::size_t, kMost> sizes_;
};

inline bool has_shape(const Tensor& tensor, const Shape& shape) {
    return tensor.ndim == shape.size() && std::equal(tensor.shape, tensor.shape + tensor.ndim, shape.data());
}

}  // namespace fastnorm

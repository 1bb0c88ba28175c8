// Shapes of tensors: a list of lengths that needs no memory of its own, and what is asked of it.
#pragma once

#include <algorithm>
#include <array>

#include "fastnorm/operations.h"

namespace fastnorm {

// std::copy_n for lists that have a few numbers as a rule: a call of memcpy costs more than they do.
template <class T>
void copy_few(const T* from, std::size_t n, T* to) {
    if (n > 4) {
        std::copy_n(from, n, to);
        return;
    }
    if (n > 0) to[0] = from[0];
    if (n > 1) to[1] = from[1];
    if (n > 2) to[2] = from[2];
    if (n > 3) to[3] = from[3];
}

inline bool same_lengths(const std::size_t* a, const std::size_t* b, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        if (a[i] != b[i]) return false;
    }
    return true;
}

class Shape {
public:
    static constexpr std::size_t kMost = 65;  // NumPy has 64 axes, of which one may be split

    Shape() {}  // the storage stays uninitialized on purpose: calls are short
    Shape(std::initializer_list<std::size_t> sizes) {
        for (const std::size_t n : sizes) push(n);
    }
    explicit Shape(const Tensor& tensor) : Shape(tensor.ndim, tensor.shape) {}
    Shape(std::size_t n, const std::size_t* sizes) : size_(std::min(n, kMost)) {
        copy_few(sizes, size_, sizes_.data());
    }
    Shape(const Shape& other) : Shape(other.size_, other.data()) {}
    Shape& operator=(const Shape& other) {
        size_ = other.size_;
        copy_few(other.data(), size_, sizes_.data());
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
        return size_ == other.size_ && same_lengths(data(), other.data(), size_);
    }
    bool operator!=(const Shape& other) const { return !(*this == other); }

private:
    std::size_t size_ = 0;
    std::array<std::size_t, kMost> sizes_;
};

inline bool has_shape(const Tensor& tensor, const Shape& shape) {
    return tensor.ndim == shape.size() && same_lengths(tensor.shape, shape.data(), tensor.ndim);
}

}  // namespace fastnorm

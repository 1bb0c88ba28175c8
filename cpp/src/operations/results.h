// Results get their memory: what the caller brought, or what its maker makes.
#pragma once

#include "layout.h"
#include "tensor.h"

namespace fastnorm {

// The caller's maker, if it has one, and what it is asked for; what the caller has brought, so that no two results
// share memory.
class Maker {
public:
    explicit Maker(ResultMaker* maker) : maker_(maker) {}

    // A result that the caller brought, which stays where it is: every element has a place of its own.
    void check_given(const char* name, const Tensor& given) const;

    // A result that was not brought; `none` without a maker.
    MutableTensor make(std::size_t index, DType dtype, const Shape& shape, const Tensor& like = {},
                       const Tensor& other = {}) const {
        return maker_ ? maker_->make(index, dtype, shape.size(), shape.data(), like, other) : MutableTensor();
    }
    void begin(std::size_t bytes) const {
        if (maker_) maker_->begin(bytes);
    }
    explicit operator bool() const { return maker_ != nullptr; }

private:
    static constexpr std::size_t kMost = 8;

    ResultMaker* maker_;
    mutable std::size_t count_ = 0;  // of those that were brought
    mutable const char* names_[kMost];
    mutable const Tensor* given_[kMost];
};

// A large result, like the data. Where the caller's array overlaps an input in other than the same places, the work is
// done on an array of our own, which `store` copies.
class DataResult {
public:
    // One that the caller brought. `inputs` may lie in the same places; `apart` are read after the result is written.
    void bind(const MutableTensor& given, std::initializer_list<const Tensor*> inputs, CallMemory& memory,
              std::initializer_list<const Tensor*> apart = {});
    // One that was just made.
    void adopt(const MutableTensor& made) { target_ = tensor_ = made; }
    const MutableTensor& tensor() const { return tensor_; }
    explicit operator bool() const { return static_cast<bool>(tensor_); }
    void store() const;

private:
    MutableTensor target_, tensor_;
    bool is_own_ = false;  // in memory of the call
};

// Binds a statistic of a forward pass: its shape is checked, or it is made. One that the caller brought is written when
// every input has been read, since it may lie in their memory.
void bind_statistic(DoubleResult& result, const char* name, const MutableTensor& given, const Shape& shape,
                    const Maker& maker, std::size_t index, CallMemory& memory);

void check_required(const char* name, const MutableTensor& result);

}  // namespace fastnorm

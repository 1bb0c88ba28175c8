// What the programs of operations work on: arrays that are the same bits everywhere, and a hash of what came out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "fastnorm/operations.h"

namespace bits {

namespace fn = fastnorm;
using Shape = std::vector<std::size_t>;

// An array in C order that owns its memory.
class Array {
public:
    Array(fn::DType dtype, Shape shape);
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;

    operator fn::Tensor() const { return {bytes_.data(), dtype_, shape_.size(), shape_.data()}; }
    operator fn::MutableTensor() { return {bytes_.data(), dtype_, shape_.size(), shape_.data()}; }
    const Shape& shape() const { return shape_; }
    std::size_t size() const;

    // Element i as the bits of an unsigned integer.
    std::uint64_t get(std::size_t i) const;
    void set(std::size_t i, std::uint64_t value);
    // The same, with one pattern for all NaN.
    std::uint64_t value(std::size_t i) const;
    void fill(std::uint64_t value);

private:
    fn::DType dtype_;
    Shape shape_;
    std::vector<std::uint64_t> bytes_;  // of 64 bits each, for the alignment
};

// One call or a few of them on one data type. Inputs are made of integers alone, without arithmetic that could round,
// and follow from one another: of two that are arguments of one call, the compiler would choose which is the first.
class Problem {
public:
    explicit Problem(fn::DType dtype) : dtype(dtype) {}

    // Numbers of both signs from 1/8 to 8; all of one sign they are far from zero.
    Array& numbers(const Shape& shape, bool positive = false);
    Array& doubles(const Shape& shape, bool positive = false);
    Array& mask(const Shape& shape);
    // Rows of zeros, of equal numbers, of infinities and NaN, of very large and of very small ones.
    Array& extremes(std::size_t rows, std::size_t width);
    Array& result(const Shape& shape);
    Array& result(const Shape& shape, fn::DType type);

    // The bits of all results so far.
    std::uint64_t hash() const;

    const fn::DType dtype;

private:
    Array& make(fn::DType type, const Shape& shape);
    Array& fill(Array& array, fn::DType type, bool positive);

    std::uint64_t state_ = 1;
    std::deque<Array> arrays_;
    std::vector<const Array*> results_;
};

struct Operation {
    const char* name;
    void (*run)(Problem&);
};

std::vector<Operation> norms();
std::vector<Operation> others();

}  // namespace bits

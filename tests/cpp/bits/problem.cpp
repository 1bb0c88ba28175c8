#include "problem.h"

#include <cstring>

#include "../numbers.h"

namespace bits {
namespace {

template <class T>
std::uint64_t read(const unsigned char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
void write(unsigned char* to, std::uint64_t bits) {
    const T value = static_cast<T>(bits);
    std::memcpy(to, &value, sizeof value);
}

std::size_t product(const Shape& shape) {
    std::size_t n = 1;
    for (const std::size_t length : shape) n *= length;
    return n;
}

}  // namespace

Array::Array(fn::DType dtype, Shape shape)
    : dtype_(dtype), shape_(std::move(shape)), bytes_((product(shape_) * format(dtype).size + 7) / 8) {}

std::size_t Array::size() const { return product(shape_); }

std::uint64_t Array::get(std::size_t i) const {
    const std::size_t size = format(dtype_).size;
    const unsigned char* from = reinterpret_cast<const unsigned char*>(bytes_.data()) + i * size;
    if (size == 1) return *from;
    if (size == 2) return read<std::uint16_t>(from);
    return size == 4 ? read<std::uint32_t>(from) : read<std::uint64_t>(from);
}

void Array::set(std::size_t i, std::uint64_t value) {
    const std::size_t size = format(dtype_).size;
    unsigned char* to = reinterpret_cast<unsigned char*>(bytes_.data()) + i * size;
    if (size == 1) return write<std::uint8_t>(to, value);
    if (size == 2) return write<std::uint16_t>(to, value);
    size == 4 ? write<std::uint32_t>(to, value) : write<std::uint64_t>(to, value);
}

std::uint64_t Array::value(std::size_t i) const { return with_one_nan(format(dtype_), get(i)); }

void Array::fill(std::uint64_t value) {
    for (std::size_t i = 0; i < size(); ++i) set(i, value);
}

Array& Problem::make(fn::DType type, const Shape& shape) { return arrays_.emplace_back(type, shape); }

Array& Problem::fill(Array& array, fn::DType type, bool positive) {
    const Format f = format(type);
    for (std::size_t i = 0; i < array.size(); ++i) {
        const std::uint64_t random = next_random(state_);
        const std::uint64_t sign = positive ? 0 : random >> 63;
        const std::uint64_t exponent = ones(f.exponent - 1) - 3 + (random >> 56) % 6;
        array.set(i, sign << (f.exponent + f.mantissa) | exponent << f.mantissa | (random & ones(f.mantissa)));
    }
    return array;
}

Array& Problem::numbers(const Shape& shape, bool positive) { return fill(make(dtype, shape), dtype, positive); }

Array& Problem::doubles(const Shape& shape, bool positive) {
    return fill(make(fn::DType::f64, shape), fn::DType::f64, positive);
}

Array& Problem::mask(const Shape& shape) {
    Array& array = make(fn::DType::boolean, shape);
    for (std::size_t i = 0; i < array.size(); ++i) array.set(i, next_random(state_) % 3 != 0);
    return array;
}

Array& Problem::extremes(std::size_t rows, std::size_t width) {
    const Format f = format(dtype);
    const std::uint64_t infinity = ones(f.exponent) << f.mantissa, one = ones(f.exponent - 1) << f.mantissa;
    Array& array = numbers({rows, width});
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t i = 0; i < width; ++i) {
            const std::size_t at = row * width + i;
            const std::uint64_t mantissa = array.get(at) & ones(f.mantissa);
            switch (row % 8) {
                case 0:
                    array.set(at, 0);
                    break;
                case 1:
                    array.set(at, one + 1);
                    break;
                case 2:  // the largest that are finite
                    array.set(at, infinity - (std::uint64_t{1} << f.mantissa) + mantissa);
                    break;
                case 3:  // subnormal
                    array.set(at, mantissa);
                    break;
                case 4:
                    if (i == width / 2) array.set(at, infinity);
                    break;
                case 5:
                    if (i == width - 1) array.set(at, infinity + 2);
                    break;
                case 6:  // one value far from the others
                    if (i == 1) array.set(at, infinity - 1);
                    break;
                default:
                    break;
            }
        }
    }
    return array;
}

Array& Problem::result(const Shape& shape) { return result(shape, dtype); }

Array& Problem::result(const Shape& shape, fn::DType type) {
    Array& array = make(type, shape);
    results_.push_back(&array);
    return array;
}

// FNV-1a by Fowler, Noll and Vo, of whole elements.
std::uint64_t Problem::hash() const {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const Array* array : results_) {
        for (std::size_t i = 0; i < array->size(); ++i) hash = (hash ^ array->value(i)) * 0x100000001B3u;
    }
    return hash;
}

}  // namespace bits

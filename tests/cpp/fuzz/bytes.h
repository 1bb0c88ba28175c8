// What a fuzzer gives, read as decisions. Bytes that are used up are zeros, and zeros decide for what is plain.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

    std::size_t byte() { return next_ == end_ ? 0 : *next_++; }
    // 0 to n - 1; n is at least 1
    std::size_t below(std::size_t n) {
        std::size_t value = 0;
        for (std::size_t most = n - 1; most > 0; most >>= 8) value = value << 8 | byte();
        return value % n;
    }
    // Of random bytes, true `times` times of 256.
    bool chance(std::size_t times) { return byte() >= 256 - times; }
    template <class T, std::size_t N>
    T pick(const T (&values)[N]) {
        return values[below(N)];
    }

private:
    const std::uint8_t *next_, *end_;
};

}  // namespace fuzz

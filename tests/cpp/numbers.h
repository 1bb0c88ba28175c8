// What both programs make arrays of: the formats of numbers, and a generator that is the same everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fastnorm/operations.h"

struct Format {
    unsigned exponent, mantissa;  // their bits; 0 of whole numbers
    std::size_t size;
};

inline Format format(fastnorm::DType dtype) {
    using fastnorm::DType;
    switch (dtype) {
        case DType::f16:
            return {5, 10, 2};
        case DType::bf16:
            return {8, 7, 2};
        case DType::f32:
            return {8, 23, 4};
        case DType::f64:
            return {11, 52, 8};
        case DType::i32:
            return {0, 0, 4};
        case DType::boolean:
        case DType::i8:
        case DType::u8:
            return {0, 0, 1};
        default:
            return {0, 0, 8};
    }
}

inline std::uint64_t ones(unsigned count) { return (std::uint64_t{1} << count) - 1; }

// The bits of a value, with one pattern for all NaN: their sign and payload belong to the processor.
inline std::uint64_t with_one_nan(const Format& f, std::uint64_t bits) {
    const std::uint64_t infinity = ones(f.exponent) << f.mantissa;
    const bool is_nan = f.exponent != 0 && (bits & (infinity | ones(f.mantissa))) > infinity;
    return is_nan ? infinity + 1 : bits;
}

// SplitMix64 by Steele, Lea and Flood, 2014.
inline std::uint64_t next_random(std::uint64_t& state) {
    std::uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

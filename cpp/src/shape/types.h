// The data types and what they are computed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "fastnorm/fastnorm.h"

namespace fastnorm {

struct F16 {
    std::uint16_t bits;
};
struct BF16 {
    std::uint16_t bits;
};

// 16-bit types are widened exactly on load and rounded once on store; nothing is computed in them.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class To, class From>
inline To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

inline double widen(double v) { return v; }
inline double widen(float v) { return v; }
inline double widen(BF16 v) { return bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16); }
inline double widen(F16 v) {
    const std::uint32_t magnitude = v.bits & 0x7FFFu, sign = (v.bits & 0x8000u) << 16;
    float value = static_cast<float>(magnitude) * 0x1p-24f;  // below the normal numbers
    if (magnitude >= 0x7C00) {
        value = bit_cast<float>(0x7F800000u | magnitude << 13);
    } else if (magnitude >= 0x400) {
        value = bit_cast<float>((magnitude << 13) + (112u << 23));
    }
    return bit_cast<float>(bit_cast<std::uint32_t>(value) | sign);
}

// Rounds to the nearest value, ties to even. 16-bit results go through float like those of the kernels.
template <class T>
T narrow(double v) {
    return static_cast<T>(v);
}
template <>
BF16 narrow<BF16>(double v);
template <>
F16 narrow<F16>(double v);

// Calls f with a value of the C++ type of `dtype`.
template <class F>
auto with_type(DType dtype, F&& f) {
    switch (dtype) {
        case DType::f16:
            return f(F16{});
        case DType::bf16:
            return f(BF16{});
        case DType::f32:
            return f(float{});
        default:
            return f(double{});
    }
}

}  // namespace fastnorm

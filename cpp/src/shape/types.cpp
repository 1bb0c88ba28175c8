#include "types.h"

#include <cmath>

namespace fastnorm {

template <>
BF16 narrow<BF16>(double v) {
    const auto bits = bit_cast<std::uint32_t>(static_cast<float>(v));
    if (std::isnan(v)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40)};
    return {static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

template <>
F16 narrow<F16>(double v) {
    const auto single = bit_cast<std::uint32_t>(static_cast<float>(v));
    const std::uint32_t magnitude = single & 0x7FFFFFFFu, sign = (single ^ magnitude) >> 16;
    std::uint32_t bits;
    if (magnitude > 0x7F800000u) {
        bits = 0x7E00;
    } else if (magnitude >= 0x477FF000u) {  // 65520, half-way to the first number that is too large
        bits = 0x7C00;
    } else if (magnitude >= 0x38800000u) {
        bits = (magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1)) >> 13;  // a carry moves into the exponent
    } else {
        // Below the normal numbers, which the sum with 0.5 rounds to the unit of those.
        bits = bit_cast<std::uint32_t>(bit_cast<float>(magnitude) + 0.5f) - bit_cast<std::uint32_t>(0.5f);
    }
    return {static_cast<std::uint16_t>(sign | bits)};
}

}  // namespace fastnorm

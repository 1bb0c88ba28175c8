#include "types.h"

#include <cmath>

namespace fastnorm {

double widen(F16 v) {
    const int exponent = (v.bits >> 10) & 31;
    const int mantissa = v.bits & 1023;
    double magnitude;
    if (exponent == 31) {
        magnitude = mantissa ? std::nan("") : INFINITY;
    } else if (exponent == 0) {
        magnitude = std::ldexp(mantissa, -24);
    } else {
        magnitude = std::ldexp(mantissa + 1024, exponent - 25);
    }
    return std::copysign(magnitude, (v.bits & 0x8000) ? -1.0 : 1.0);
}

template <>
BF16 narrow<BF16>(double v) {
    const auto bits = bit_cast<std::uint32_t>(static_cast<float>(v));
    if (std::isnan(v)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40)};
    return {static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

template <>
F16 narrow<F16>(double v) {
    const double single = static_cast<float>(v);
    const std::uint16_t sign = std::signbit(single) ? 0x8000 : 0;
    const double magnitude = std::fabs(single);
    if (std::isnan(single)) return {static_cast<std::uint16_t>(sign | 0x7E00)};
    if (magnitude >= 65520.0) return {static_cast<std::uint16_t>(sign | 0x7C00)};
    // In units of the last place of the result; nearbyint rounds ties to even. A carry moves into the exponent.
    const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
    const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
    return {static_cast<std::uint16_t>(sign | (((exponent + 14) << 10) + units))};
}

}  // namespace fastnorm

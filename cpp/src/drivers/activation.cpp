#include "activation.h"

#include <cmath>

namespace fastnorm {
namespace {

// act(z) = z*gate, act'(z) = gate + z*change; see kernels/activations-inl.h.
struct Gate {
    double gate, change;
};

Gate logistic(double v) {
    const double s = 1.0 / (1.0 + std::exp(-v));
    return {s, s * (1.0 / (1.0 + std::exp(v)))};
}

Gate gate_of(Activation activation, double z) {
    constexpr double kScale = 1.59576912160573071176, kCubic = 0.044715;  // 2 sqrt(2/pi)
    switch (activation) {
        case Activation::relu:
            return {z <= 0 ? 0.0 : 1.0, 0.0};
        case Activation::silu:
            return logistic(z);
        case Activation::gelu:
            return {0.5 * std::erfc(-z * 0.70710678118654752440), std::exp(-0.5 * z * z) * 0.39894228040143267794};
        case Activation::gelu_tanh: {
            const Gate g = logistic(kScale * (z + kCubic * z * z * z));
            return {g.gate, g.change == 0 ? 0 : g.change * kScale * (1 + 3 * kCubic * z * z)};
        }
        default:
            return {1.0, 0.0};
    }
}

}  // namespace

double activate(Activation activation, double z) {
    const double gate = gate_of(activation, z).gate;
    return gate == 0 ? (std::isnan(z) ? z : 0.0) : z * gate;
}

double activation_slope(Activation activation, double z) {
    if (std::isnan(z)) return z;
    const Gate g = gate_of(activation, z);
    return g.change == 0 ? g.gate : g.gate + z * g.change;
}

}  // namespace fastnorm

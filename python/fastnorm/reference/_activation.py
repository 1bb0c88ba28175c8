"""Activation functions and their derivatives, analytic so that a complex step goes through them."""

from __future__ import annotations

import math

import numpy as np

from .._types import Activation, Array

_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
_math_erfc = np.frompyfunc(math.erfc, 1, 1)


def _erfc(z: Array) -> Array:
    """Complementary error function.

    Exact to float64 at the real part of `z` as float64 has it; what `z` differs from that, a complex step or the
    tail of a longdouble, enters to first order.
    """
    nearest = np.real(z).astype(np.float64)
    value = np.asarray(_math_erfc(nearest), dtype=object).astype(np.float64)
    tail = np.where(z == nearest, 0, z - nearest)
    return np.asarray(value - 2 / math.sqrt(math.pi) * np.exp(-(nearest**2)) * tail)


def _tanh_argument(z: Array) -> Array:
    return np.asarray(_ROOT_2_OVER_PI * (z + _CUBIC * z**3))


@np.errstate(all="ignore")
def activate(name: Activation | None, z: Array) -> Array:
    """Value of the activation at `z`.

    ``relu`` is max(z, 0) and passes NaN on; ``silu`` is z / (1 + exp(-z)) [1]_; ``gelu`` is z times the normal
    distribution function [2]_; ``gelu_tanh`` is its approximation by tanh.

    References
    ----------
    .. [1] Elfwing, Uchibe, Doya: Sigmoid-weighted linear units, 2018.
    .. [2] Hendrycks, Gimpel: Gaussian error linear units, 2016.
    """
    if name is None:
        return z
    if name == "relu":
        return np.where(np.real(z) <= 0, 0, z)
    if name == "silu":
        return np.asarray(z / (1 + np.exp(-z)))
    if name == "gelu":
        return np.asarray(0.5 * z * _erfc(-z / math.sqrt(2)))
    if name == "gelu_tanh":
        return np.asarray(0.5 * z * (1 + np.tanh(_tanh_argument(z))))
    raise ValueError(f"unknown activation {name!r}")


@np.errstate(all="ignore")
def derivative(name: Activation | None, z: Array) -> Array:
    """Differentiate the activation at `z`; the derivative of relu is 0 at 0."""
    if name is None:
        return np.ones_like(z)
    if name == "relu":
        return np.where(np.real(z) > 0, np.ones_like(z), 0)
    if name == "silu":
        s = 1 / (1 + np.exp(-z))
        return np.asarray(s * (1 + z * (1 - s)))
    if name == "gelu":
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return np.asarray(0.5 * _erfc(-z / math.sqrt(2)) + z * density)
    if name == "gelu_tanh":
        th = np.tanh(_tanh_argument(z))
        slope = _ROOT_2_OVER_PI * (1 + 3 * _CUBIC * z**2)
        return np.asarray(0.5 * (1 + th) + 0.5 * z * (1 - th**2) * slope)
    raise ValueError(f"unknown activation {name!r}")

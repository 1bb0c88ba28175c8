"""Gradients against derivatives of a scalar loss along random directions.

A complex step has no difference to cancel in, so it is exact to rounding: for functions that are analytic, such as
those of the reference. Central differences go through any float64 function, to about eleven digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Derivative = Callable[[Callable[[Array], Any], Array, Array], float]

STEP = 1e-30


def complex_step(f: Callable[[Array], Any], at: Array, along: Array) -> float:
    """Return the derivative of an analytic scalar function along a direction."""
    return float(np.imag(f(at + 1j * STEP * along)) / STEP)


def central_difference(f: Callable[[Array], Any], at: Array, along: Array, step: float = 2e-3) -> float:
    """Return the same of any smooth function, from five points."""

    def slope(h: float) -> Any:
        return (f(at + h * along) - f(at - h * along)) / (2 * h)

    return float((4 * slope(step) - slope(2 * step)) / 3)


def assert_gradients(
    loss: Callable[..., Any],
    arguments: Mapping[str, Array],
    gradients: Mapping[str, Any],
    *,
    derivative: Derivative = complex_step,
    tolerance: float = 1e-12,
    support: Mapping[str, Array] | None = None,
    directions: int = 3,
    seed: int = 0,
) -> None:
    """Compare `gradients` of ``loss(**arguments)``, by argument name, with derivatives along random directions.

    The tolerance is relative to the length of the gradient times that of the direction, plus one for what cancels
    in a gradient that is zero. `support` restricts the directions of an argument to the elements that are True.
    """
    rng = np.random.default_rng(seed)
    for name, gradient in gradients.items():
        at = np.asarray(arguments[name])
        gradient = np.asarray(gradient)
        assert gradient.shape == at.shape, f"gradient of {name} has shape {gradient.shape}, not {at.shape}"
        for _ in range(directions):
            along = rng.standard_normal(at.shape)
            if support is not None and name in support:
                along = np.where(support[name], along, 0)
            expected = derivative(lambda a, name=name: loss(**{**arguments, name: a}), at, along)  # type: ignore[misc]
            error = abs(np.sum(gradient * along) - expected)
            bound = tolerance * (1 + np.linalg.norm(gradient) * np.linalg.norm(along))
            assert error <= bound, f"gradient of {name}: off by {error:.2g}, more than {bound:.2g}"

"""Arguments that the core declines, because it reads plain arrays, floats, integers and tuples only.

The core calls these one by one, in the order of the arguments. Each returns the argument in a form that the core reads,
or says what is wrong with it.
"""

from typing import Any

import numpy as np

from . import _core
from . import _validate as check
from ._types import Array, Quantized
from ._validate.arrays import written as written
from .quantization import Quantize


def array(name: str, value: object) -> Array:
    """Anything that NumPy can look at as an array."""
    return np.asarray(check.array(name, value))


def parameter(name: str, value: object) -> Array:
    """The same for what goes with the data: parameters, statistics."""
    return np.asarray(check.numbers(name, value))


def number(name: str, value: object) -> float:
    """A real number; the core knows the range."""
    return check.real_number(name, value, _core.number_expectation(name))


def integer(name: str, value: object) -> int:
    """What Python takes for an index, but no boolean."""
    return int(check.integer(name, value))


def boolean(name: str, value: object) -> bool:
    """A choice of two."""
    return check.boolean(name, value)


def axes(name: str, value: object) -> int | tuple[int, ...]:
    """One axis, or several."""
    if not check.is_sequence(value):
        return integer(name, value)
    return tuple(integer(name, entry) for entry in value)


def activation(name: str, value: object) -> int:
    """The number that the core has for an activation."""
    return _core.ACTIVATIONS[check.choice(name, value, tuple(_core.ACTIVATIONS))]


def mode(name: str, value: object) -> int:
    """The number that the core has for a form of weight standardization."""
    return _core.STANDARDIZATIONS.index(check.choice(name, value, _core.STANDARDIZATIONS))


def quantize(name: str, value: Any) -> tuple[Any, ...]:
    """Nothing, since the core reads what a Quantize or a QuantizeRows has for it: says what is wrong."""
    check.kind(name, value, Quantize)
    raise TypeError(f"{name} must be a Quantize that __init__ has set up")


def quantized(results: tuple[Array, ...]) -> Quantized | tuple[Quantized, Array]:
    """What calls with QuantizeRows return, of y, the residual sum if there is one, scale, zero point."""
    y, *h, scale, zero_point = results
    rows = Quantized(y, scale, zero_point)
    return (rows, h[0]) if h else rows


def grad_mask(name: str, value: object) -> tuple[bool, bool, bool]:
    """Three booleans."""
    return check.grad_mask(value)

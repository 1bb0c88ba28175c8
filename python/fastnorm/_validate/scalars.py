"""Arguments that are no arrays: numbers, booleans, names."""

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any, Final

import numpy as np

from .._layout import Layout
from .._types import GradMask
from .texts import type_name

# Far above any machine's number of processors, far below what makes a thread library give up.
_MAX_THREADS: Final = 1024
_MAX_MEGABYTES: Final = 1 << 20


def eps(value: object) -> float:
    """What is added inside the square root."""
    return number("eps", value, "a finite number >= 0", 0.0, math.inf)


def relative_eps(value: object) -> float:
    """What is added to the diagonal in units of the mean variance."""
    return number("relative_eps", value, "a finite number >= 0", 0.0, math.inf)


def momentum(value: object) -> float:
    """The share of the batch in the running statistics."""
    return number("momentum", value, "a number from 0 to 1", 0.0, 1.0)


def offset(value: object) -> float:
    """What is added to the weight."""
    return number("offset", value, "a finite number", -math.inf, math.inf)


def ddof(value: object, layout: Layout, updates: bool) -> float:
    """What is taken off the count in the running variance, which must leave something to divide by."""
    result = number("ddof", value, "a finite number >= 0", 0.0, math.inf)
    if updates and 0 not in layout.shape and result >= layout.group_size:
        raise ValueError(
            f"ddof must be less than the {layout.group_size} values per channel of x with shape {layout.shape},"
            f" got {value}"
        )
    return result


def iterations(value: object) -> int:
    """A number of steps."""
    result = integer("iterations", value)
    if result < 0:
        raise ValueError(f"iterations must be >= 0, got {result}")
    return result


def num_threads(value: object) -> int:
    """A number of threads."""
    n = integer("n", value)
    if not 1 <= n <= _MAX_THREADS:
        raise ValueError(f"n must be from 1 to {_MAX_THREADS}, got {n}")
    return n


def megabytes(value: object) -> int:
    """How much memory the pool may keep."""
    n = integer("megabytes", value)
    if not 0 <= n <= _MAX_MEGABYTES:
        raise ValueError(f"megabytes must be from 0 to {_MAX_MEGABYTES}, got {n}")
    return n


def number(name: str, value: object, expected: str, low: float, high: float) -> float:
    """A real number from `low` to `high`, in the words of `expected`."""
    value = real_number(name, value, expected)
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name} must be {expected}, got {value}")
    return value


def real_number(name: str, value: object, expected: str) -> float:
    """Any real number, in the words of `expected`."""
    if type(value) is float:
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {expected}, got {type_name(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be {expected}, got an integer that no float can hold") from None


def integer(name: str, value: Any) -> int:
    """What Python takes for an index, but no boolean."""
    if type(value) is int:
        return value
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, got {type_name(value)}")


def boolean(name: str, value: object) -> bool:
    """A choice of two."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a boolean, got {type_name(value)}")
    return bool(value)


def grad_mask(value: object) -> GradMask:
    """Which of dx, dweight and dbias are wanted."""
    if type(value) is tuple and len(value) == 3 and type(value[0]) is type(value[1]) is type(value[2]) is bool:
        return value
    if not isinstance(value, Sequence) or not all(isinstance(entry, (bool, np.bool_)) for entry in value):
        raise TypeError(f"grad_mask must be three booleans (dx, dweight, dbias), got {_text(value)}")
    if len(value) != 3:
        raise ValueError(f"grad_mask must be three booleans (dx, dweight, dbias), got {len(value)}")
    return bool(value[0]), bool(value[1]), bool(value[2])


def choice(name: str, value: object, choices: Sequence[str]) -> str:
    """One of a few names."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type_name(value)}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def kind(name: str, value: object, expected: type) -> None:
    """An instance of a class of ours."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be a {expected.__name__}, got {type_name(value)}")


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"{type_name(value)} of {', '.join(type_name(entry) for entry in value[:4])}"
    return type_name(value)

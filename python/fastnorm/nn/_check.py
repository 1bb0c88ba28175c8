"""Error texts of the layers: their own arguments and states. Everything else the functions check that they call."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._dtypes import DATA, DATA_NAMES
from .._types import Array

Shape = tuple[int, ...]


def size(name: str, value: Any) -> int:
    """A number of features, channels or groups."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None
    if result < 1:
        raise ValueError(f"{name} must be at least 1, got {result}")
    return result


def normalized_shape(value: Any) -> Shape:
    """The lengths of the normalized axes; an integer is one of them."""
    shape = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not shape:
        raise ValueError("normalized_shape must have one length or more, got none")
    return tuple(size("normalized_shape", n) for n in shape)


def divisor(num_groups: Any, channels: int, name: str) -> int:
    """A number of groups that the channels fall into evenly."""
    groups = size(name, num_groups)
    if channels % groups:
        raise ValueError(f"{name} must divide the {channels} channels, got {groups}")
    return groups


def data_dtype(value: npt.DTypeLike) -> np.dtype[Any]:
    """The dtype of parameters and running statistics."""
    result = np.dtype(value)
    if result not in DATA:
        raise TypeError(f"dtype must be {DATA_NAMES}, got {result}")
    return result


def momentum(value: float | None) -> float | None:
    """A share of the batch, or None for the cumulative average."""
    return None if value is None else check.momentum(value)


def features(x: Array, axis: int, number: int) -> None:
    """Data must have the layer's number of channels."""
    if x.shape[check.channel_axis(axis, x)] != number:
        raise ValueError(f"x must have {number} channels along axis {axis}, got x with shape {x.shape}")


def lengths(x: Array, axes: Shape, shape: Shape) -> None:
    """Data must have the layer's lengths along the normalized axes."""
    if len(axes) > x.ndim or tuple(x.shape[a] for a in check.normalized_axes(axes, x)) != shape:
        raise ValueError(f"x must have the lengths {shape} along axes {axes}, got x with shape {x.shape}")


def state(given: Mapping[str, Any], own: Mapping[str, Array], optional: tuple[str, ...]) -> dict[str, Array]:
    """What of a state goes into the layer's own arrays, by name."""
    if not isinstance(given, Mapping):
        raise TypeError(f"state must be a mapping of names to arrays, got {type(given).__name__}")
    if not own.keys() - set(optional) <= given.keys() <= own.keys():
        raise ValueError(f"state must have the keys {', '.join(own) or '(none)'}, got {', '.join(given) or '(none)'}")
    arrays = {name: check.array(name, value) for name, value in given.items()}
    for name, array in arrays.items():
        if array.shape != own[name].shape:
            raise ValueError(f"{name} must have shape {own[name].shape}, got {array.shape}")
        if not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
            raise TypeError(f"{name} must have a dtype that goes into {own[name].dtype}, got {array.dtype}")
    return arrays

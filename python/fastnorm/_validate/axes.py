"""Axes and the groups that channels fall into."""

from collections.abc import Sequence
from typing import Any, Final, TypeGuard

import numpy as np

from .._layout import Shape
from .._types import Array
from .scalars import integer

# NumPy's limit on the dimensions of an array.
_MAX_DIMENSIONS: Final = 32 if np.__version__.startswith("1.") else 64


def channel_axis(value: object, x: Array) -> int:
    """The channel axis, counted from the front, of data with two or more dimensions."""
    if x.ndim < 2:
        raise ValueError(f"x must have two or more dimensions, got x with shape {x.shape}")
    return _axis(value, x)


def channel_axis_of_samples(value: object, x: Array) -> int:
    """The same where axis 0 is the sample axis."""
    axis = channel_axis(value, x)
    if axis == 0:
        raise ValueError(f"axis must not be 0, the sample axis of x with shape {x.shape}, got {value}")
    return axis


def filter_axis(value: object, w: Array, of: str) -> int:
    """The axis along which weights, whose name is `of`, have one filter per index, counted from the front."""
    if w.ndim == 0:
        raise ValueError(f"{of} must have one or more dimensions, got {of} with shape ()")
    return _axis(value, w, of)


def normalized_axes(value: object, x: Array, of: str = "x") -> Shape:
    """One or more axes of `x`, whose name is `of`, counted from the front, in ascending order."""
    if x.ndim == 0:
        raise ValueError(f"{of} must have one or more dimensions, got {of} with shape ()")
    if not is_sequence(value):
        return (_axis(value, x, of),)
    if not len(value):
        raise ValueError(f"axis must name one axis or more, got {value}")
    axes = tuple(sorted(_axis(entry, x, of) for entry in value))
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis must not repeat an axis of {of} with shape {x.shape}, got {value}")
    return axes


def num_groups(value: object, x: Array, axis: int, name: str = "num_groups", of: str = "group_norm") -> int:
    """How many groups the channels fall into."""
    groups = integer(name, value)
    channels = x.shape[axis]
    if groups < 1:
        raise ValueError(f"{name} must be positive, got {groups}")
    if channels % groups:
        raise ValueError(
            f"{name} must divide the {channels} channels on axis {axis} of x with shape {x.shape}, got {groups}"
        )
    if x.ndim == _MAX_DIMENSIONS and 1 < groups < channels:
        raise ValueError(f"x must have at most {_MAX_DIMENSIONS - 1} dimensions for {of}, got {x.ndim}")
    return groups


def groups_of_weight(value: object, weight: Array) -> int:
    """How many groups the channels on axis 0 of a layer's weight fall into."""
    groups = integer("groups", value)
    if groups < 1:
        raise ValueError(f"groups must be positive, got {groups}")
    if weight.shape[0] % groups:
        raise ValueError(
            f"groups must divide the {weight.shape[0]} channels on axis 0 of weight with shape {weight.shape},"
            f" got {groups}"
        )
    return groups


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether several axes or lengths were given."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def _axis(value: object, x: Array, of: str = "x") -> int:
    axis = integer("axis", value)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be from {-x.ndim} to {x.ndim - 1} for {of} with shape {x.shape}, got {axis}")
    return axis % x.ndim

"""Operations become roles of axes, and arrays become the views that the core sweeps.

A :class:`Layout` says for one shape which axes the statistics run over and along which the parameters vary. It does
not know strides: the core plans with those.
"""

from functools import lru_cache
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from . import _core
from ._types import Array

_KEPT: Final = 0
_BOTH: Final = _core.REDUCED | _core.PARAM

# How hard NumPy may think about whether two strided arrays share an element. Beyond it they count as overlapping,
# which costs a temporary and never a wrong answer.
_MAX_WORK: Final = 10_000

_CACHED: Final = 1024

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """The iteration space of one operation on data of one shape."""

    shape: Shape  # of the data
    view: Shape | None  # what the data are reshaped to, a view always; None: as they are
    roles: bytes  # one per axis of the view
    axes: Shape  # axes of the data that the parameters vary along
    parameters: Shape  # shape of weight and bias
    statistics: Shape  # shape of mean and rstd
    group_size: int  # values in a group

    def of(self, data: Array) -> Array:
        """`data`, of the layout's shape, as the core wants it."""
        return data if self.view is None else data.reshape(self.view)

    def counts(self, mask: Array) -> Array:
        """How many elements of each group count."""
        view = self.of(mask)
        reduced = tuple(a for a, role in enumerate(self.roles) if role & _core.REDUCED)
        # An axis that the mask is broadcast along needs to be looked at once.
        repeated = [a for a in reduced if view.strides[a] == 0 and view.shape[a] > 0]
        factor = prod(view.shape[a] for a in repeated)
        once = view[tuple(slice(0, 1) if a in repeated else slice(None) for a in range(view.ndim))]
        return np.asarray(once.sum(axis=reduced, dtype=np.float64) * factor, order="C")

    def statistic_arrays(self, number: int) -> list[Array]:
        """New arrays for statistics, one value per group each."""
        return [np.empty(self.statistics) for _ in range(number)]


@lru_cache(_CACHED)
def batch(shape: Shape, axis: int) -> Layout:
    """One group per index of `axis`."""
    channels = shape[axis]
    others = shape[:axis] + shape[axis + 1 :]
    roles = bytes(_core.PARAM if a == axis else _core.REDUCED for a in range(len(shape)))
    return Layout(shape, None, roles, (axis,), (channels,), (channels,), prod(others))


@lru_cache(_CACHED)
def rows(shape: Shape, axes: Shape) -> Layout:
    """One group per index of the axes that are not in `axes`, which ascend."""
    roles = bytes(_BOTH if a in axes else _KEPT for a in range(len(shape)))
    parameters = tuple(shape[a] for a in axes)
    statistics = tuple(1 if a in axes else n for a, n in enumerate(shape))
    return Layout(shape, None, roles, axes, parameters, statistics, prod(parameters))


@lru_cache(_CACHED)
def groups(shape: Shape, axis: int, num_groups: int) -> Layout:
    """One group per sample and run of `shape[axis] // num_groups` channels; as many groups as channels: instances.

    One group, and groups of one channel, need no split of the channel axis.
    """
    channels = shape[axis]
    before, after = shape[1:axis], shape[axis + 1 :]
    split: Shape | None = None
    if num_groups == channels:
        width, channel_roles = 1, [_core.PARAM]
    elif num_groups == 1:
        width, channel_roles = channels, [_BOTH]
    else:
        width, channel_roles = channels // num_groups, [_core.PARAM, _BOTH]
        split = (*shape[:axis], num_groups, width, *after)
    roles = bytes([_KEPT] + [_core.REDUCED] * len(before) + channel_roles + [_core.REDUCED] * len(after))
    group_size = width * prod(before) * prod(after)
    return Layout(shape, split, roles, (axis,), (channels,), (shape[0], num_groups), group_size)


def empty_like(dtype: np.dtype[Any], *inputs: Array) -> Array:
    """A new array of this dtype in the shape of the inputs, axes in memory ordered as NumPy's functions would."""
    return _core.empty_like(dtype, inputs)


def target(out: Array | None, dtype: np.dtype[Any], x: Array) -> Array:
    """The array that the core writes: `out`, unless that would change `x` under the core's eyes."""
    if out is None or (out is not x and overlap(x, out) and not same_memory(x, out)):
        return empty_like(dtype, x)
    return np.asarray(out)


def result(y: Array, out: Array | None) -> Array:
    """What the caller gets: `out` with the values of `y`, if it was given."""
    if out is None:
        return y
    if y is not out and not same_memory(y, out):
        np.copyto(out, y)
    return out


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays may share an element; exact where that is cheap to find out."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=_MAX_WORK)  # type: ignore[arg-type]  # any number, says its docstring
    except np.exceptions.TooHardError:
        return True


def same_memory(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape have every element in the same place."""
    if a is b:
        return True
    if a.dtype != b.dtype:
        return False
    strides = zip(a.shape, a.strides, b.strides, strict=True)
    # The stride of an axis of length one is never used, and NumPy lets it be anything.
    return a.ctypes.data == b.ctypes.data and all(n == 1 or s == t for n, s, t in strides)


def overlaps_itself(a: Array) -> bool:
    """Whether two elements of an array may share memory: an axis with a stride below the reach of the ones inside it.

    True also for interleaved axes that happen to miss each other; slices, transposes and diagonals never look so.
    """
    if a.flags.c_contiguous or a.size == 0:
        return False
    reach = a.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n > 1):
        if stride < reach:
            return True
        reach += stride * (length - 1)
    return False


def apart(array: Array, out: Array | None) -> Array:
    """An array that a write to `out` does not change."""
    return array if out is None or not overlap(array, out) else array.copy()

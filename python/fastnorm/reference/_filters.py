"""Filters of weights: which axes they stand along, and the groups of transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .._types import Array

Axis = int | Sequence[int] | None


class Filters(NamedTuple):
    """Weights seen as `view`, whose axes `reduced` lie within a filter.

    `one_each` is the view with length 1 along these; `filters` has the lengths of the axes that filters stand along,
    and `kept` is the shape of the weights with these lengths, 1 along all others.
    """

    view: tuple[int, ...]
    reduced: tuple[int, ...]
    one_each: tuple[int, ...]
    filters: tuple[int, ...]
    kept: tuple[int, ...]

    @property
    def size(self) -> int:
        """Weights in a filter."""
        return math.prod(self.view[a] for a in self.reduced)


def filters(w: Array, axis: Axis, groups: int) -> Filters:
    """View of weights with filters along `axis`; in groups, axis 0 is two: groups, and channels of a group."""
    shape = w.shape
    some = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = sorted(a % len(shape) for a in some)
    split = groups > 1 and 0 not in axes
    view = (groups, shape[0] // groups, *shape[1:]) if split else shape
    along = [0, *(a + 1 for a in axes)] if split else axes
    lengths = [shape[a] for a in axes]
    if split:
        lengths[0] *= groups
    kept = [1] * len(shape)
    for a, n in zip(axes, lengths, strict=True):
        kept[a] = n
    reduced = tuple(a for a in range(len(view)) if a not in along)
    one_each = tuple(n if a in along else 1 for a, n in enumerate(view))
    return Filters(view, reduced, one_each, tuple(lengths), tuple(kept))

"""Linear algebra over the features of samples: covariances, linear maps, products of small matrices.

All of it runs in the core, in float64 or on data of any dtype, with the same bits for every number of threads. NumPy's
own products come from a BLAS whose bits depend on its threads.
"""

from functools import lru_cache
from math import prod
from typing import Final, NamedTuple

import numpy as np

from . import _core
from ._layout import Shape
from ._types import Array
from .runtime import run

_GROUP: Final = 0
_CACHED: Final = 1024


class Features(NamedTuple):
    """Data of one shape as samples of features, which fall into groups that have their own matrices."""

    view: Shape | None  # what the data are reshaped to, a view always; None: as they are
    roles: bytes  # one per axis of the view
    groups: int
    size: int  # features in a group
    samples: int

    def of(self, data: Array) -> Array:
        """`data` as the core wants it."""
        return data if self.view is None else data.reshape(self.view)

    def comoments(
        self,
        a: Array,
        centre_a: Array | None,
        b: Array | None = None,
        centre_b: Array | None = None,
        totals: Array | None = None,
    ) -> Array:
        """Sum ``(a - centre_a) (b - centre_b)'`` over the samples, per group; exactly symmetric without `b`.

        To `totals`, if given, the sums of ``a - centre_a``.
        """
        sums = np.empty((self.groups, self.size, self.size))
        second = None if b is None else self.of(b)
        run(_core.comoments, self.of(a), second, self.roles, centre_a, centre_b, sums, totals)
        return sums

    def transform(
        self,
        x: Array,
        y: Array,
        matrix: Array,
        centre: Array | None,
        shift: Array | None = None,
        dy: Array | None = None,
        centre_dy: Array | None = None,
        wide: bool = False,
    ) -> None:
        """Set ``y = matrix (x - centre) + shift``, per group; with `dy` the matrix acts on the features of both.

        In float64 if `wide`, else in float32 for data that are no wider.
        """
        matrix = np.ascontiguousarray(matrix)
        second = None if dy is None else self.of(dy)
        run(_core.transform, self.of(x), second, self.of(y), self.roles, centre, centre_dy, matrix, shift, wide)


@lru_cache(_CACHED)
def table(shape: Shape) -> Features:
    """Rows are samples, columns are features."""
    samples, features = shape
    return Features(None, bytes([_core.REDUCED, _core.PARAM]), 1, features, samples)


@lru_cache(_CACHED)
def channels(shape: Shape, axis: int, groups: int) -> Features:
    """Indices of `axis` are features, in runs of equal length; all others number samples."""
    before, after = shape[:axis], shape[axis + 1 :]
    size = shape[axis] // groups
    view: Shape | None = None
    if groups == 1:
        roles = [_core.PARAM]
    elif size == 1:
        roles = [_GROUP]
    else:
        view, roles = (*before, groups, size, *after), [_GROUP, _core.PARAM]
    every = [_core.REDUCED] * len(before) + roles + [_core.REDUCED] * len(after)
    return Features(view, bytes(every), groups, size, prod(before) * prod(after))


def product(a: Array, b: Array) -> Array:
    """``a @ b`` for stacks of matrices in float64, of shapes (groups, n, k) and (groups, k, m): b has m samples."""
    result = (np.empty if a.shape[2] else np.zeros)((len(a), a.shape[1], b.shape[2]))
    roles = bytes([_GROUP, _core.PARAM, _core.REDUCED])
    run(_core.transform, b, None, result, roles, None, None, np.ascontiguousarray(a), None)
    return result


def gram(a: Array) -> Array:
    """``a @ a'`` for a stack of matrices in float64, exactly symmetric."""
    sums = np.empty((len(a), a.shape[1], a.shape[1]))
    run(_core.comoments, a, None, bytes([_GROUP, _core.PARAM, _core.REDUCED]), None, None, sums)
    return sums


def transpose(a: Array) -> Array:
    """Transpose of every matrix of a stack."""
    return np.swapaxes(a, -1, -2)

"""Whitening in two steps where rounding of the first would show: directions whose variances are hidden by others'.

A direction of standard deviation 1e-12 across features of 1 is a difference that cancels twelve digits, and no float64
matrix has them. So the first map is applied without rounding: its factors are cut into slices whose products float64
holds exactly, and these are added up with the errors of their sums. What the eigenvectors were off is seen in the
covariance of the result, which a second map, close to the identity, whitens.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from . import _features, _roots, _scatter
from ._dtypes import FLOAT64
from ._types import Array
from ._whiteners import Options, Whitener

_ROWS: Final = 2048  # that are mapped at a time
_GUARD: Final = 40  # bits of the result that are right


class Refined(Whitener):
    """A first map that is applied without rounding, and a second one."""

    def __init__(self, first: Whitener, x: Array, mean: Array, options: Options) -> None:
        super().__init__(first.solver, first.condition, first.shrinkage, 0)
        self.components, self.sigma, self._first = first.components, first.sigma, first
        self._slices = _slices(first.matrix, first.amplification)
        summary = None
        for _, z in self._mapped(x, mean):
            part = _scatter.summary(z, False, False)
            summary = part if summary is None else summary.merged(part)
        assert summary is not None
        self._centre = summary.mean
        self._second, self._back = _root(summary.sums / (summary.samples - options.ddof), options)

    def transform(self, x: Array, y: Array, mean: Array) -> None:
        """Set ``y = matrix (x - mean)``."""
        for rows, z in self._mapped(x, mean):
            result = np.empty_like(z)
            _features.table(z.shape).transform(z, result, self._second, self._centre)
            y[rows] = result

    def _matrix(self) -> Array:
        return np.asarray(_features.product(self._second[None], self._first.matrix[None])[0])

    def _inverse(self) -> Array:
        inverse = self._first.inverse
        if len(inverse) == self.components:
            # Newton's steps: what rounding left of the first map times its inverse, besides the identity, is taken out.
            for _ in range(2):
                (_, product), *_ = self._mapped(np.ascontiguousarray(inverse.T), np.zeros(len(inverse)), len(inverse))
                inverse = inverse + _features.product(inverse[None], (np.eye(len(inverse)) - product.T)[None])[0]
        return np.asarray(_features.product(inverse[None], self._back[None])[0])

    def _mapped(self, x: Array, mean: Array, count: int = _ROWS) -> Iterator[tuple[slice, Array]]:
        """Samples behind the first map, `count` at a time."""
        for first in range(0, len(x), count):
            rows = slice(first, first + count)
            part = x[rows].astype(FLOAT64)
            centred, error = _two_sum(part, -mean)
            left = _cut(centred, len(self._slices))
            left[-1] += error
            high, low = np.zeros((2, len(part), self.components))
            term = np.empty_like(high)
            for i, a in enumerate(left):
                for b in self._slices[: len(left) - i]:
                    _features.table(a.shape).transform(a, term, b, None)
                    high, error = _two_sum(high, term)
                    low += error
            yield rows, high + low


def _slices(matrix: Array, amplification: float) -> list[Array]:
    bits = _bits(matrix.shape[1])
    return _cut(matrix, int(np.ceil((_GUARD + np.log2(amplification)) / bits)))


def _cut(a: Array, count: int) -> list[Array]:
    """Matrices that add up to `a`: each takes so many of the leading bits of every row, the last one what is left."""
    result, bits = [], _bits(a.shape[1])
    for _ in range(count - 1):
        most = np.abs(a).max(axis=1, keepdims=True)
        large = np.ldexp(1.5, np.frexp(most)[1] + 52 - bits)
        part = (a + large) - large
        result.append(part)
        a = a - part
    return [*result, a.copy()]


def _bits(terms: int) -> int:
    """Bits of two factors whose products so many of float64 adds up exactly."""
    return (52 - int(np.ceil(np.log2(max(terms, 2))))) // 2 - 1


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and its error."""
    total = a + b
    rounded = total - a
    return total, (a - (total - rounded)) + (b - rounded)


def _root(covariance: Array, options: Options) -> tuple[Array, Array]:
    """What whitens a covariance close to the identity, of the shape that the method has, and its inverse."""
    if options.triangular:
        order = slice(None, None, -1 if options.method == "cholesky-prec" else 1)
        lower = np.linalg.cholesky(covariance[order, order])
        matrix = _roots.inverse_lower(lower[None])[0]
        return np.ascontiguousarray(matrix[order, order]), np.ascontiguousarray(lower[order, order])
    values, vectors = np.linalg.eigh(covariance)
    fourth = np.sqrt(np.sqrt(values))
    matrix, inverse = (_features.gram(a[None])[0] for a in (vectors / fourth, vectors * fourth))
    return matrix, inverse

"""What a whitening is fitted to: mergeable summaries of samples.

``Summary`` holds second moments, as sums of products or as a triangular factor; ``Samples`` keeps few samples as they
are. Both are immutable, so that fits may share them.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from . import _core, _features
from . import _validate as check
from ._dtypes import FLOAT64
from ._types import Array
from .runtime import run

_FIRST: Final = 1024  # rows whose means are close enough to those of all
_PANEL: Final = 4096  # rows that are converted at a time
_ROLES: Final = bytes([_core.REDUCED, _core.PARAM])
# Sums of squares in this range have lost nothing. Other data are scaled by a power of two.
_LEAST, _MOST = 2.0**-900, 2.0**1000
_ORDINARY: Final = 400  # exponents of data that need no scaling


class Fourth(NamedTuple):
    """With y = x - mean: the sums of ``|y|^2 y`` and of ``|y|^4``."""

    third: Array
    fourth: float

    def moved(self, samples: int, delta: Array, sums: Array) -> "Fourth":
        """Those about a mean that is `delta` further; `sums` are the products y y'."""
        square, image, trace = float(delta @ delta), sums @ delta, float(np.trace(sums))
        fourth = self.fourth + 4.0 * (delta @ image) - 4.0 * (delta @ self.third)
        fourth += 2.0 * square * trace + samples * square**2
        return Fourth(self.third - 2.0 * image - (trace + samples * square) * delta, float(fourth))


class Summary(NamedTuple):
    """Second moments of samples of ``2^exponent`` times what is stored; float64."""

    samples: int
    mean: Array
    matrix: Array  # sums of products of deviations, or R of their QR factorization
    triangular: bool
    exponent: int = 0
    fourth: Fourth | None = None

    @property
    def sums(self) -> Array:
        """Sums of products of deviations from the mean."""
        return _products(self.matrix) if self.triangular else self.matrix

    @property
    def features(self) -> int:
        """How many features they have."""
        return len(self.mean)

    @property
    def solver(self) -> str:
        """The solver that decomposes it."""
        return "qr" if self.triangular else "covariance"

    def merged(self, other: "Summary") -> "Summary":
        """Those of both sets of samples: the exact update of Chan, Golub and LeVeque. A factor wins over sums."""
        if not other.samples:
            return self
        if not self.samples:
            return other
        triangular, exponent = self.triangular or other.triangular, max(self.exponent, other.exponent)
        a, b = (part.in_unit(exponent).as_factor() if triangular else part.in_unit(exponent) for part in (self, other))
        samples, delta = a.samples + b.samples, b.mean - a.mean
        share = b.samples / samples
        mean = a.mean + delta * share
        if triangular:
            matrix = a.matrix.copy()
            between = np.sqrt(a.samples * share) * delta
            run(_core.triangular_factor, np.vstack([b.matrix, between]), None, matrix)
        else:
            matrix = a.matrix + b.matrix + np.outer(delta, delta) * (a.samples * share)
        fourth = None
        if a.fourth and b.fourth:
            first = a.fourth.moved(a.samples, mean - a.mean, a.sums)
            second = b.fourth.moved(b.samples, mean - b.mean, b.sums)
            fourth = Fourth(first.third + second.third, first.fourth + second.fourth)
        return Summary(samples, mean, matrix, triangular, exponent, fourth)

    def in_unit(self, exponent: int) -> "Summary":
        """The same in units of ``2^exponent``."""
        shift = self.exponent - exponent
        if shift == 0:
            return self
        mean, matrix = np.ldexp(self.mean, shift), np.ldexp(self.matrix, shift * (1 if self.triangular else 2))
        fourth = self.fourth and Fourth(
            np.ldexp(self.fourth.third, 3 * shift), float(np.ldexp(self.fourth.fourth, 4 * shift))
        )
        return self._replace(mean=mean, matrix=matrix, exponent=exponent, fourth=fourth)

    def as_factor(self) -> "Summary":
        """The same with a triangular factor."""
        if self.triangular:
            return self
        values, vectors = np.linalg.eigh(self.matrix)
        rows = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        factor = np.zeros_like(self.matrix)
        run(_core.triangular_factor, rows, None, factor)
        return self._replace(matrix=factor, triangular=True)


class Samples(NamedTuple):
    """Samples as they came, in blocks."""

    blocks: tuple[Array, ...]

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(len(block) for block in self.blocks)

    @property
    def features(self) -> int:
        """How many features they have."""
        return int(self.blocks[0].shape[1])

    def merged(self, other: "Samples") -> "Samples":
        """Both sets of samples, one behind the other."""
        return Samples(tuple(block for block in self.blocks + other.blocks if len(block)) or self.blocks)

    def table(self) -> Array:
        """All of them as one table."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        same = len({block.dtype for block in self.blocks}) == 1
        return np.concatenate(self.blocks if same else [block.astype(FLOAT64) for block in self.blocks])


def kept(x: Array, copy: bool) -> Samples:
    """Finite samples for keeping. Without a copy they are looked at later."""
    if copy:
        _checked_moments(x)
    return Samples((np.array(x, order="C", copy=True) if copy else np.asarray(x, order="C"),))


def summary(x: Array, triangular: bool, fourth: bool) -> Summary:
    """Summarize the rows of a table, all finite, as sums of products or as a triangular factor."""
    if not x.size:
        mean = np.zeros(x.shape[1])
        return Summary(0, mean, np.zeros((len(mean), len(mean))), triangular, 0, Fourth(mean, 0.0) if fourth else None)
    result = _factor(x) if triangular else _comoments(x)
    if result is None:
        exponent = exponent_of(x)
        parts = (_scaled(part, triangular) for part in _panels(x, exponent))
        result = _joined(parts)._replace(exponent=exponent)
    return result._replace(fourth=fourth_moments(x, result.mean, result.exponent)) if fourth else result


def _scaled(x: Array, triangular: bool) -> Summary:
    """Of data that are scaled as well as one power of two can."""
    result = _factor(x, checked=False) if triangular else _comoments(x, checked=False)
    assert result is not None
    return result


def _joined(parts: Iterator[Summary]) -> Summary:
    result: Summary | None = None
    for part in parts:
        result = part if result is None else result.merged(part)
    assert result is not None
    return result


def _comoments(x: Array, checked: bool = True) -> Summary | None:
    """Sums of products, or None if squares leave the range of float64.

    One sweep sums about the means of the first rows, and what these are off is taken out of the sums: centred first,
    large means cost no digits.
    """
    features = _features.table(x.shape)
    origin, totals = np.zeros(features.size), np.zeros(features.size)
    # In one memory layout whatever that of x is, and so are then all bits.
    run(_core.role_moments, np.ascontiguousarray(x[:_FIRST]), _ROLES, origin, np.empty_like(origin))
    (sums,) = features.comoments(x, origin, totals=totals)
    if checked and not _in_range(x, totals, np.diag(sums)):
        return None
    shift = totals / features.samples
    return Summary(len(x), origin + shift, sums - np.outer(shift, shift) * features.samples, False)


def _factor(x: Array, checked: bool = True) -> Summary | None:
    """R of the centred samples, or None if squares leave the range of float64."""
    mean, m2 = moments(x)
    if checked and not _in_range(x, mean, m2):
        return None
    matrix = np.zeros((x.shape[1], x.shape[1]))
    run(_core.triangular_factor, x, mean, matrix)
    return Summary(len(x), mean, matrix, True)


def moments(x: Array) -> tuple[Array, Array]:
    """Means and sums of squared deviations of the columns; their bits do not depend on the memory layout.

    See Also
    --------
    merge_moments : Those of parts become those of the whole.
    """
    mean, m2 = np.zeros((2, x.shape[1]))
    count = 0
    with np.errstate(all="ignore"):
        for first in range(0, len(x), _PANEL):
            part = np.ascontiguousarray(x[first : first + _PANEL], dtype=FLOAT64)  # means of float32 would be rounded
            centre, squares = np.empty_like(mean), np.empty_like(mean)
            run(_core.role_moments, part, _ROLES, centre, squares)
            share, delta = len(part) / (count + len(part)), centre - mean
            m2 += squares + delta * delta * (count * share)
            mean += delta * share
            count += len(part)
    return mean, m2


def check_finite(x: Array, squares: Array) -> None:
    """Raise an error if sums of squares say that a value is not finite."""
    unusual = np.flatnonzero(~np.isfinite(squares))
    if unusual.size:
        check.finite_features(np.asarray(np.isfinite(x[:, unusual]).all(axis=0)), unusual, x.shape[1])


def _checked_moments(x: Array) -> None:
    if x.size:
        mean, m2 = moments(x)
        _in_range(x, mean, m2)


def _in_range(x: Array, totals: Array, squares: Array) -> bool:
    """Whether sums of squares hold what they should. A value that is not finite is an error."""
    with np.errstate(invalid="ignore"):
        ordinary = np.isfinite(totals) & (squares <= _MOST) & (squares >= _LEAST)
    unusual = np.flatnonzero(~ordinary)
    if not unusual.size:
        return True
    columns = x[:, unusual]
    finite = np.asarray(np.isfinite(columns).all(axis=0))
    check.finite_features(finite, unusual, x.shape[1])
    return exponent_of(columns) == 0


def exponent_of(x: Array) -> int:
    """The exponent in the middle of those of the columns, or 0 if all of them are ordinary.

    Where they are so far apart that one cannot serve all, the squares of the largest fit.
    """
    if x.dtype != FLOAT64 or not x.size:
        return 0
    largest = np.maximum(np.abs(x.max(axis=0)), np.abs(x.min(axis=0)))
    exponents = np.frexp(largest[largest > 0.0])[1]
    if not exponents.size or np.abs(exponents).max() <= _ORDINARY:
        return 0
    return int(max((exponents.min() + exponents.max()) // 2, exponents.max() - _ORDINARY))


def _panels(x: Array, exponent: int) -> Iterator[Array]:
    """Panels of rows in units of ``2^exponent``, float64."""
    for first in range(0, len(x), _PANEL):
        yield np.ldexp(x[first : first + _PANEL].astype(FLOAT64), -exponent)


def fourth_moments(x: Array, mean: Array, exponent: int) -> Fourth:
    """Sums of products of four deviations, in units of ``2^exponent``."""
    third, fourth = np.zeros_like(mean), 0.0
    for part in _panels(x, exponent):
        part -= mean
        squares = np.einsum("ij,ij->i", part, part)
        third += np.einsum("i,ij->j", squares, part)
        fourth += float(np.einsum("i,i->", squares, squares))
    return Fourth(third, fourth)


def _products(upper: Array) -> Array:
    return np.asarray(_features.gram(np.ascontiguousarray(upper.T)[None])[0])

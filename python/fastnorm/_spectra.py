"""Covariances or correlations of samples in three forms: sums of products, a triangular factor, the samples themselves.

Each form knows its eigenvalues and eigenvectors, and how many digits of them are lost.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from . import _core, _features, _scatter
from ._dtypes import FLOAT64
from ._once import once
from ._scatter import Summary
from ._types import Array
from .runtime import run

_PANEL: Final = 2**17  # values that are read at a time,
_FEWEST: Final = 256  # of so many features at least
_LANES: Final = 16  # rows that are rotated have a multiple of this
_UNIT: Final = 2.0**-52
# Below this share of the largest eigenvalue a Gram matrix has lost half of the digits.
_ILL: Final = 2.0**-26


class Ridge(NamedTuple):
    """What is decomposed: ``share * covariance + added * I``."""

    share: float
    added: float


class Spectrum(NamedTuple):
    """Eigenvalues of a covariance, the largest first, and its eigenvectors in columns.

    There are fewer than features if the others are zero. Those from `rank` on are rounding, and zero.
    """

    values: Array
    vectors: Array
    rank: int
    condition: float  # of what was decomposed: the relative error is this times the rounding of float64


class Sums:
    """A covariance matrix."""

    solver: Final = "covariance"

    def __init__(self, state: Summary, ddof: float, correlated: bool) -> None:
        self.samples = state.samples
        self.covariance, self.std = state.sums / (state.samples - ddof), None
        if correlated:
            self.covariance, self.std = correlation(self.covariance)

    @property
    def variances(self) -> Array:
        """Those of the features."""
        return np.diag(self.covariance)

    @property
    def square(self) -> float:
        """The sum of the squares of the eigenvalues."""
        return float(np.einsum("ij,ij->", self.covariance, self.covariance))

    def spectrum(self, ridge: Ridge, wanted: int | None) -> Spectrum:
        """All eigenvalues."""
        d = len(self.covariance)
        values, vectors = np.linalg.eigh(self.covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        condition = _condition(values[: wanted or d], ridge)
        if condition * _ILL <= 1.0 and values[-1] > d * _UNIT * values[0]:
            return Spectrum(values, vectors, d, condition)
        rank = int(np.count_nonzero(values > d * _UNIT * values[0]))
        if self.std is None:
            # Features of different units: their correlations are what counts.
            standardized, std = correlation(self.covariance)
            sizes = np.linalg.eigvalsh(standardized)
            rank = max(rank, int(np.count_nonzero(sizes > d * _UNIT * sizes[-1])))
            if sizes[0] > _ILL * sizes[-1]:
                upper = np.linalg.cholesky(standardized).T * std
                return Spectrum(*_rotated(upper, d), d, float(sizes[-1] / sizes[0]))
        return Spectrum(np.where(np.arange(d) < rank, np.maximum(values, 0.0), 0.0), vectors, rank, condition)

    def lower(self, ridge: Ridge, upper: bool) -> Array | None:
        """The lower Cholesky factor, of the features in reverse order for `upper`; None if there is no full rank."""
        a = ridge.share * self.covariance + ridge.added * np.eye(len(self.covariance))
        order = slice(None, None, -1 if upper else 1)
        try:
            lower = np.linalg.cholesky(a[order, order])
        except np.linalg.LinAlgError:
            return None
        pivots = np.diag(lower) ** 2
        return lower if (pivots > len(a) * _UNIT * np.diag(a)[order]).all() else None


class Factor:
    """R with ``R'R`` the covariance."""

    solver: Final = "qr"

    def __init__(self, state: Summary, ddof: float, correlated: bool) -> None:
        self.samples = state.samples
        self.upper, self.std = state.matrix / np.sqrt(state.samples - ddof), None
        if correlated:
            self.std = _std(self.variances)
            self.upper = self.upper / self.std

    @property
    def variances(self) -> Array:
        """Those of the features."""
        return np.asarray(np.einsum("ij,ij->j", self.upper, self.upper))

    @once
    def covariance(self) -> Array:
        """R'R."""
        return np.asarray(_features.gram(np.ascontiguousarray(self.upper.T)[None])[0])

    @property
    def square(self) -> float:
        """The sum of the squares of the eigenvalues."""
        return float(np.einsum("ij,ij->", self.covariance, self.covariance))

    def spectrum(self, ridge: Ridge, wanted: int | None) -> Spectrum:
        """All eigenvalues."""
        d = len(self.upper)
        values, vectors = _rotated(self.upper, d)
        rank = d
        if values[-1] <= (8 * d * _UNIT) ** 2 * values[0]:
            std = np.sqrt(self.variances)
            sizes = np.linalg.svd(self.upper / np.where(std == 0.0, 1.0, std), compute_uv=False)
            rank = int(np.count_nonzero(sizes > 8 * d * _UNIT * sizes[0]))
        if rank < d:
            values = np.where(np.arange(d) < rank, values, 0.0)
            vectors = completed(vectors[:, :rank], d)
        return Spectrum(values, vectors, rank, float(np.sqrt(_condition(values[: wanted or d], ridge))))

    def lower(self, ridge: Ridge, upper: bool) -> Array | None:
        """As of `Sums`."""
        order = slice(None, None, -1 if upper else 1)
        rows = np.sqrt(ridge.share) * self.upper
        if ridge.added:
            rows = np.vstack([rows, np.sqrt(ridge.added) * np.eye(len(rows))])
        factor = np.zeros_like(self.upper)
        run(_core.triangular_factor, np.ascontiguousarray(rows[:, order]), None, factor)
        lengths = np.sqrt(np.einsum("ij,ij->j", factor, factor))
        return factor.T if (np.diag(factor) > 8 * len(factor) * _UNIT * lengths).all() else None


class Rows:
    """Few samples of many features: what is decomposed is the matrix of their own products."""

    solver: Final = "dual"

    def __init__(self, table: Array, ddof: float, correlated: bool, exponent: int) -> None:
        self._table, self._exponent = table, exponent
        self.samples, self._features = table.shape
        self._divisor = self.samples - ddof
        self.mean, self.variances = np.zeros((2, self._features))
        self.std = np.ones(self._features) if correlated else None
        gram = np.zeros((self.samples, self.samples))
        for columns in self._columns():
            panel = self._raw(columns)
            self.mean[columns], m2 = _scatter.moments(panel)
            self.variances[columns] = m2 / self._divisor
            if not np.isfinite(m2).all():
                _scatter.check_finite(table, self.variances)
            if self.std is not None:
                self.std[columns] = _std(self.variances[columns])
            gram += _features.gram(self._centred(panel, columns)[None])[0]
        # Products of the centred samples, with the eigenvalues of the covariance.
        self.gram = gram / self._divisor
        if self.std is not None:
            self.variances /= self.std**2

    @property
    def square(self) -> float:
        """The sum of the squares of the eigenvalues."""
        return float(np.einsum("ij,ij->", self.gram, self.gram))

    def spectrum(self, ridge: Ridge, wanted: int | None) -> Spectrum:
        """The eigenvalues that are not zero, or as many as are wanted."""
        values, vectors = np.linalg.eigh(self.gram)
        values, vectors = values[::-1], vectors[:, ::-1]
        # One direction is the mean's.
        count = min(self.samples - 1, wanted or self.samples)
        if count == 0 or values[0] <= 0.0:
            return Spectrum(np.zeros(0), np.zeros((self._features, 0)), 0, 1.0)
        condition = _condition(values[:count], ridge)
        ill = condition * _ILL > 1.0
        rows = self._mixed(vectors if ill else vectors[:, :count])
        if ill:
            run(_core.orthogonal_rows, rows, self._features)
            condition = float(np.sqrt(condition))
        rows = rows[:, : self._features]
        sizes = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        order = np.argsort(-sizes, kind="stable")[:count]
        noise = (8 * self.samples * _UNIT if ill else np.sqrt(self.samples * _UNIT)) * sizes[order[0]]
        order = order[sizes[order] > noise]
        sizes = sizes[order]
        return Spectrum(sizes**2, (rows[order] / sizes[:, None]).T, len(sizes), condition)

    def _mixed(self, vectors: Array) -> Array:
        """``vectors' X / sqrt(samples - ddof)`` of the centred samples X, padded with zeros."""
        result = np.zeros((vectors.shape[1], -(-self._features // _LANES) * _LANES))
        left = np.ascontiguousarray(vectors.T / np.sqrt(self._divisor))[None]
        for columns, panel in self._panels():
            result[:, columns] = _features.product(left, panel[None])[0]
        return result

    def _panels(self) -> Iterator[tuple[slice, Array]]:
        """Features of all samples, centred and in float64."""
        for columns in self._columns():
            yield columns, self._centred(self._raw(columns), columns)

    def _centred(self, panel: Array, columns: slice) -> Array:
        """The same panel."""
        panel -= self.mean[columns]
        if self.std is not None:
            panel /= self.std[columns]
        return panel

    def _columns(self) -> list[slice]:
        width = min(max(_PANEL // self.samples, _FEWEST), self._features)
        return [slice(i, min(i + width, self._features)) for i in range(0, self._features, width)]

    def _raw(self, columns: slice) -> Array:
        panel = np.array(self._table[:, columns], FLOAT64, order="C")
        return np.ldexp(panel, -self._exponent) if self._exponent else panel


Form: TypeAlias = Sums | Factor | Rows


def completed(vectors: Array, d: int) -> Array:
    """Orthonormal columns and others that make them a basis."""
    k = vectors.shape[1]
    if k == 0:
        return np.eye(d)
    return np.hstack([vectors, np.linalg.qr(vectors, mode="complete")[0][:, k:]])


def _rotated(upper: Array, d: int) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of R'R by rotations of the rows of R: accurate for features of any units.

    The features are sorted by size first, which makes the rows of the factor graded and the rotations few.
    """
    order = np.argsort(-np.einsum("ij,ij->j", upper, upper), kind="stable")
    factor = np.zeros((d, d))
    run(_core.triangular_factor, np.ascontiguousarray(upper[:, order]), None, factor)
    rows = np.zeros((d, -(-d // _LANES) * _LANES))
    rows[:, order] = factor
    run(_core.orthogonal_rows, rows, d)
    rows = rows[:, :d]
    sizes = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    largest = np.argsort(-sizes, kind="stable")
    sizes = sizes[largest]
    return sizes**2, (rows[largest] / np.where(sizes == 0.0, 1.0, sizes)[:, None]).T


def _condition(values: Array, ridge: Ridge) -> float:
    """The condition of what is decomposed, from eigenvalues of the covariance."""
    most, least = ridge.share * values[0] + ridge.added, ridge.share * max(values[-1], 0.0) + ridge.added
    return float(most / least) if least > 0.0 else np.inf


def correlation(covariance: Array) -> tuple[Array, Array]:
    """Correlations and standard deviations; a constant feature has no correlations, and standard deviation 1."""
    variances = np.diag(covariance)
    std = _std(variances)
    result = covariance / std / std[:, None]
    np.fill_diagonal(result, np.where(variances == 0.0, 0.0, 1.0))
    return result, std


def _std(variances: Array) -> Array:
    return np.sqrt(np.where(variances == 0.0, 1.0, variances))

"""The six whitening matrices of data and their inverses, in float64 from a covariance in one of three forms."""

from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from . import _features, _rank, _roots, _shrinkage
from ._dtypes import FLOAT64
from ._once import once
from ._scatter import Fourth
from ._spectra import Form, Ridge, Rows, Spectrum, completed
from ._types import Array

Method: TypeAlias = Literal["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
Sign: TypeAlias = Literal["max", "diag"]
Solver: TypeAlias = Literal["auto", "covariance", "qr", "dual"]
Shrinkage: TypeAlias = float | Literal["ledoit-wolf", "oas"] | None

METHODS: Final = ("pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor")
SIGNS: Final = ("max", "diag")
SOLVERS: Final = ("auto", "covariance", "qr", "dual")

# Entries that differ by less are equal: rounding must not decide about a sign.
_TIE: Final = 1 - 2.0**-20
# Where a direction has no variance, only eps, it is scaled by no more than this over the largest: rounding of the
# data would fill it.
_FLOOR: Final = 2.0**-64
# Samples are mapped in float64 if float32 would amplify rounding by more than this: the square times 2^-24 is 1e-3.
WIDE: Final = 130.0
_BLOCK: Final = 64  # rows of a large matrix that are looked at together
_ROWS: Final = 1024  # that are mapped at a time through a matrix of low rank


class Options(NamedTuple):
    """What a fit was asked for."""

    method: Method
    eps: float
    relative_eps: float
    shrinkage: Shrinkage
    power: float
    n_components: int | float | None
    ddof: float
    sign: Sign
    solver: Solver

    @property
    def correlated(self) -> bool:
        """Whether correlations are decomposed, not covariances."""
        return self.method.endswith("-cor")

    @property
    def triangular(self) -> bool:
        """Whether the whitening matrix is."""
        return self.method.startswith("cholesky")


class Whitener:
    """A whitening matrix, of shape (components, features), and what undoes it, in units of ``2^exponent``."""

    components: int

    def __init__(self, solver: str, condition: float, shrinkage: float, exponent: int) -> None:
        self.solver, self.condition, self.shrinkage, self._exponent = solver, condition, shrinkage, exponent
        self.sigma: Array | None = None  # standard deviations of the features

    @once
    def amplification(self) -> float:
        """How much larger than the result the terms are that it is a sum of."""
        assert self.sigma is not None
        return float(np.sqrt(np.einsum("ij,ij->i", *(2 * [self.matrix * self.sigma])).max()))

    @once
    def matrix(self) -> Array:
        """The whitening matrix."""
        return np.ascontiguousarray(self._scaled(self._matrix(), -self._exponent))

    @once
    def inverse(self) -> Array:
        """What undoes it."""
        return np.ascontiguousarray(self._scaled(self._inverse(), self._exponent))

    def transform(self, x: Array, y: Array, mean: Array) -> None:
        """Set ``y = matrix (x - mean)``."""
        wide = x.dtype != FLOAT64 and self.amplification > WIDE
        _features.table(x.shape).transform(x, y, self.matrix, mean, wide=wide)

    def inverse_transform(self, z: Array, x: Array, mean: Array) -> None:
        """Set ``x = inverse z + mean``."""
        _features.table(z.shape).transform(z, x, self.inverse, None, mean)

    def _matrix(self) -> Array:
        raise NotImplementedError

    def _inverse(self) -> Array:
        raise NotImplementedError

    def _scaled(self, a: Array, exponent: int) -> Array:
        return np.ldexp(a, exponent) if exponent else a

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "inverse"}


class Triangular(Whitener):
    """The inverse of a Cholesky factor."""

    def __init__(self, lower: Array, upper: bool, *rest: Any) -> None:
        super().__init__(*rest)
        self._order = slice(None, None, -1 if upper else 1)
        self._lower = np.ascontiguousarray(lower)
        self.components = len(lower)

    def _matrix(self) -> Array:
        return np.asarray(_roots.inverse_lower(self._lower[None])[0][self._order, self._order])

    def _inverse(self) -> Array:
        return self._lower[self._order, self._order]


class Spectral(Whitener):
    """Scaled eigenvectors U, or U times its transpose; features are divided by `std` first."""

    def __init__(self, vectors: Array, gains: Array, std: Array | None, symmetric: bool, *rest: Any) -> None:
        super().__init__(*rest)
        self._vectors, self._gains, self._std, self._symmetric = vectors, gains, std, symmetric
        self.components = len(vectors) if symmetric else len(gains)

    def _matrix(self) -> Array:
        matrix = self._root(self._gains)
        return matrix if self._std is None else matrix / self._std

    def _inverse(self) -> Array:
        inverse = self._root(1.0 / self._gains).T
        return inverse if self._std is None else np.asarray(self._std[:, None] * inverse)

    def _root(self, gains: Array) -> Array:
        if self._symmetric:
            # Gram matrices of roots are symmetric to the last bit.
            return np.asarray(_features.gram((self._vectors * np.sqrt(gains))[None])[0])
        return np.asarray((self._vectors * gains).T)


class LowRank(Spectral):
    """As `Spectral` and symmetric, of few eigenvectors: all other directions are scaled by `rest`."""

    def __init__(self, base: float, vectors: Array, gains: Array, std: Array | None, *rest: Any) -> None:
        super().__init__(vectors, gains, std, True, *rest)
        self._base = base

    def _root(self, gains: Array) -> Array:
        base = self._base if gains is self._gains else 1.0 / self._base
        matrix = _features.product(((gains - base) * self._vectors)[None], np.ascontiguousarray(self._vectors.T)[None])
        return np.asarray((matrix[0] + matrix[0].T) / 2.0 + base * np.eye(len(matrix[0])))

    def transform(self, x: Array, y: Array, mean: Array) -> None:
        """Set ``y = matrix (x - mean)`` without the matrix, in float64."""
        for rows in _rows(x):
            part = x[rows].astype(FLOAT64) - mean
            if self._std is not None:
                part /= self._std
            y[rows] = self._scaled(self._mapped(part, self._gains, self._base), -self._exponent)

    def inverse_transform(self, z: Array, x: Array, mean: Array) -> None:
        """Set ``x = inverse z + mean`` without the inverse, in float64."""
        for rows in _rows(z):
            part = self._mapped(z[rows].astype(FLOAT64), 1.0 / self._gains, 1.0 / self._base)
            if self._std is not None:
                part *= self._std
            x[rows] = self._scaled(part, self._exponent) + mean

    def _mapped(self, part: Array, gains: Array, base: float) -> Array:
        components, mapped = np.empty((len(part), len(gains))), np.empty_like(part)
        _features.table(part.shape).transform(part, components, self._vectors.T, None)
        if len(gains):
            _features.table(components.shape).transform(components, mapped, (gains - base) * self._vectors, None)
        else:
            mapped[...] = 0.0
        return np.asarray(mapped + base * part)


def _rows(x: Array) -> list[slice]:
    return [slice(i, i + _ROWS) for i in range(0, len(x), _ROWS)]


def whitener(form: Form, options: Options, exponent: int, fourth: Fourth | None) -> Whitener:
    """Whiten ``(1 - shrinkage) * covariance + (shrinkage * mean variance + eps) I``, or correlations likewise."""
    coefficient = _coefficient(form, options, fourth)
    mean_variance = 1.0 if options.correlated else float(form.variances.mean())
    eps = options.eps if options.correlated else float(np.ldexp(options.eps, -2 * exponent))
    added = coefficient * mean_variance + eps + options.relative_eps * mean_variance
    ridge = Ridge(1.0 - coefficient, added)
    result = (_triangular if options.triangular else _spectral)(form, options, ridge, coefficient, exponent)
    sigma = np.sqrt(form.variances)
    result.sigma = np.ldexp(sigma if form.std is None else sigma * form.std, exponent)
    return result


def _coefficient(form: Form, options: Options, fourth: Fourth | None) -> float:
    if options.shrinkage is None or isinstance(options.shrinkage, float):
        return options.shrinkage or 0.0
    n, d = form.samples, len(form.variances)
    to_biased = (n - options.ddof) / n
    trace, square = float(form.variances.sum()) * to_biased, form.square * to_biased**2
    if options.shrinkage == "oas":
        return _shrinkage.oas(trace, square, n, d)
    assert fourth is not None
    return _shrinkage.ledoit_wolf(trace, square, fourth.fourth, n, d)


def _triangular(form: Form, options: Options, ridge: Ridge, coefficient: float, exponent: int) -> Whitener:
    assert not isinstance(form, Rows)
    upper = options.method == "cholesky-prec"
    lower = form.lower(ridge, upper)
    if lower is None:
        raise _rank.deficient(form, options, ridge, exponent)
    result = Triangular(lower, upper, form.solver, 1.0, coefficient, exponent)
    # The trace of the inverse of the correlations.
    sigma = np.ldexp(np.sqrt(ridge.share * form.variances + ridge.added), exponent)
    trace = float(np.einsum("ij,ij->", *(2 * [result.matrix * sigma])))
    result.condition = trace if form.solver == "covariance" else float(np.sqrt(trace))
    return result


def _spectral(form: Form, options: Options, ridge: Ridge, coefficient: float, exponent: int) -> Whitener:
    d, symmetric = len(form.variances), options.method.startswith("zca")
    n_components = options.n_components
    found = form.spectrum(ridge, n_components if isinstance(n_components, int) else None)
    count = n_components or d
    if isinstance(count, float):
        count = _explaining(found.values, float(form.variances.sum()), count)
    if ridge.added == 0.0 and options.power > 0.0 and count > found.rank:
        raise _rank.deficient(form, options, ridge, exponent, found.rank)
    rest = (form.solver, found.condition, coefficient, exponent)
    if symmetric and found.vectors.shape[1] < d:
        base = float(_gains(np.zeros(1), found, ridge, options.power)[0])
        return LowRank(base, found.vectors, _gains(found.values, found, ridge, options.power), form.std, *rest)
    vectors = found.vectors
    if count > vectors.shape[1]:
        vectors = completed(vectors, d)
    values = np.zeros(vectors.shape[1])
    values[: len(found.values)] = found.values
    vectors = vectors[:, :count]
    gains = _gains(values[:count], found, ridge, options.power)
    if symmetric:
        return Spectral(np.ascontiguousarray(vectors), gains, form.std, symmetric, *rest)
    rows = _transposed(vectors)  # those of the whitening matrix
    rows *= _signs(rows, options.sign)[:, None]
    return Spectral(rows.T, gains, form.std, symmetric, *rest)


def _gains(values: Array, found: Spectrum, ridge: Ridge, power: float) -> Array:
    """What directions with these variances are scaled by."""
    total = ridge.share * values + ridge.added
    if len(found.values):
        total = np.where(
            values == 0.0, np.maximum(total, _FLOOR * (ridge.share * found.values[0] + ridge.added)), total
        )
    return np.asarray(total ** (-0.5 * power))


def _explaining(values: Array, total: float, share: float) -> int:
    """The least number of components with this share of the variance."""
    shares = np.cumsum(values) / total if total > 0.0 else np.ones(1)
    return min(int(np.searchsorted(shares, share)) + 1, max(len(values), 1))


def _transposed(a: Array) -> Array:
    """A new matrix, made block by block: NumPy's own copy would jump from line to line of the cache."""
    result = np.empty(a.shape[::-1])
    for first in range(0, len(a), _BLOCK):
        result[:, first : first + _BLOCK] = a[first : first + _BLOCK].T
    return result


def _signs(vectors: Array, sign: Sign) -> Array:
    """What makes the decisive entry of every row positive."""
    if sign == "diag":
        decisive = np.diag(vectors)
    else:
        decisive = np.empty(len(vectors))
        for first in range(0, len(vectors), _BLOCK):
            some = vectors[first : first + _BLOCK]
            size = np.abs(some)
            column = np.argmax(size >= _TIE * size.max(axis=1, keepdims=True), axis=1)
            decisive[first : first + _BLOCK] = some[np.arange(len(some)), column]
    return np.where(decisive < 0.0, -1.0, 1.0)

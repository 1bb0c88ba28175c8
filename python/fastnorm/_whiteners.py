"""The six whitening matrices of data and their inverses, in float64 from a covariance."""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from . import _features, _roots
from . import _validate as check
from ._types import Array

Method: TypeAlias = Literal["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
Sign: TypeAlias = Literal["max", "diag"]

METHODS: Final = ("pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor")
SIGNS: Final = ("max", "diag")

# Entries that differ by less are equal: rounding must not decide about a sign.
_TIE: Final = 1 - 2.0**-20


class Whitener(NamedTuple):
    """A whitening matrix, of shape (components, features), and what undoes it."""

    matrix: Array
    inverse: Array


def whitener(covariance: Array, method: Method, eps: float, n_components: int | None, sign: Sign) -> Whitener:
    """Whiten ``covariance + eps I``, or for the methods that end in ``-cor`` the correlations likewise."""
    std = np.ones(len(covariance))
    if method.endswith("-cor"):
        covariance, std = _correlation(covariance)
    if method.startswith("cholesky"):
        return _triangular(covariance, eps, upper=method == "cholesky-prec")
    values, vectors = _roots.spectrum(covariance, eps)
    values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    check.full_rank(values, len(covariance), eps)
    if method.startswith("zca"):
        # Gram matrices of fourth roots are symmetric to the last bit.
        fourth = np.sqrt(np.sqrt(values))
        matrix, inverse = (_features.gram(a[None])[0] for a in (vectors / fourth, vectors * fourth))
    else:
        vectors = vectors * _signs(vectors, sign)
        roots = np.sqrt(values)
        matrix, inverse = (vectors / roots).T, vectors * roots
    return Whitener(np.ascontiguousarray(matrix / std), np.ascontiguousarray(std[:, None] * inverse))


def _correlation(covariance: Array) -> tuple[Array, Array]:
    """Correlations and standard deviations; a constant feature has no correlations, and standard deviation 1."""
    constant = np.diag(covariance) == 0.0
    std = np.sqrt(np.where(constant, 1.0, np.diag(covariance)))
    correlation = covariance / std / std[:, None]
    np.fill_diagonal(correlation, np.where(constant, 0.0, 1.0))
    return correlation, std


def _triangular(covariance: Array, eps: float, upper: bool) -> Whitener:
    """The inverse of the lower Cholesky factor, or the same with the features in reverse order, which is upper."""
    order = slice(None, None, -1 if upper else 1)
    lower = _roots.factor(covariance[None, order, order], eps)
    matrix = _roots.inverse_lower(lower)
    return Whitener(*(np.ascontiguousarray(a[0, order, order]) for a in (matrix, lower)))


def _signs(vectors: Array, sign: Sign) -> Array:
    """What makes the decisive entry of every column positive."""
    if sign == "diag":
        decisive = np.diag(vectors)
    else:
        size = np.abs(vectors)
        row = np.argmax(size >= _TIE * size.max(axis=0), axis=0)
        decisive = vectors[row, np.arange(vectors.shape[1])]
    return np.where(decisive < 0.0, -1.0, 1.0)

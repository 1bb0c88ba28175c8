"""Whitening of data: a linear map, fitted to samples, that gives them the identity as covariance."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np

from .._types import Array
from ._core import deliver, promote, statistics

Method: TypeAlias = Literal["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
Sign: TypeAlias = Literal["max", "diag"]

_TIE: Final = 1 - 2.0**-20


class Whitening:
    """A fitted whitening: z = (x - mean) @ matrix.T, x = z @ inverse.T + mean.

    Made by `fit_whitening`. Its options stay with it when more samples come in.

    Attributes
    ----------
    mean : ndarray, shape (features,)
        Mean of the samples.
    covariance : ndarray, shape (features, features)
        Their covariance, divided by ``count - ddof``.
    matrix : ndarray, shape (components, features)
        Whitening matrix W.
    inverse : ndarray, shape (features, components)
        Its inverse (if there are fewer components than features: what projects back).
    method : str
        Method of the fit.
    """

    mean: Array
    covariance: Array
    matrix: Array
    inverse: Array
    method: Method

    def __init__(self, x: Array, method: Method, eps: float, ddof: float, n_components: int | None, sign: Sign) -> None:
        self.method, self._eps, self._ddof, self._n_components, self._sign = method, eps, ddof, n_components, sign
        self._count, self.mean, self._comoment = _comoments(x)
        self._decompose()

    def transform(self, x: Array, *, out: Array | None = None) -> Array:
        """Whiten samples: (x - mean) @ matrix.T."""
        return deliver((promote(x) - self.mean) @ self.matrix.T, out)

    def inverse_transform(self, z: Array, *, out: Array | None = None) -> Array:
        """Return the samples that `transform` takes to `z`: z @ inverse.T + mean."""
        return deliver(promote(z) @ self.inverse.T + self.mean, out)

    def update(self, x: Array) -> Whitening:
        """Take in more samples: afterwards the fit is that of all samples together. Returns itself."""
        return self._absorb(*_comoments(x))

    def merge(self, other: Whitening) -> Whitening:
        """Take in the samples of another fit. Returns itself."""
        return self._absorb(other._count, other.mean, other._comoment)

    def _absorb(self, count: int, mean: Array, comoment: Array) -> Whitening:
        if count:
            both, delta = self._count + count, mean - self.mean
            self._comoment = self._comoment + comoment + np.outer(delta, delta) * (self._count * count / both)
            self.mean = self.mean + delta * (count / both)
            self._count = both
            self._decompose()
        return self

    def _decompose(self) -> None:
        self.covariance = self._comoment / (self._count - self._ddof)
        covariance = self.covariance.astype(np.float64)
        self.matrix, self.inverse = _whitener(covariance, self.method, self._eps, self._n_components, self._sign)


def fit_whitening(
    x: Array,
    *,
    method: Method = "zca",
    eps: float = 0.0,
    ddof: float = 1,
    n_components: int | None = None,
    sign: Sign = "max",
) -> Whitening:
    """Fit a whitening matrix W to samples: W A W' = I with A = covariance + eps I.

    With eigenvalues L in descending order and eigenvectors U of A: W = L^-1/2 U' (``"pca"``), U L^-1/2 U'
    (``"zca"``), the inverse of the lower Cholesky factor of A (``"cholesky"``), the transpose of the lower Cholesky
    factor of A^-1 (``"cholesky-prec"``). With A = correlation + eps I and the variances V: W = U L^-1/2 U' V^-1/2
    (``"zca-cor"``), L^-1/2 U' V^-1/2 (``"pca-cor"``).

    Parameters
    ----------
    x : ndarray, shape (samples, features)
        Data.
    method : {"pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"}
        Which of the whitening matrices.
    eps : float
        Added to the diagonal.
    ddof : float
        The covariance is divided by ``samples - ddof``.
    n_components : int, optional
        Number of leading components to keep, for the pca methods.
    sign : {"max", "diag"}
        Sign of the eigenvectors: the first of their largest entries is positive (within 2^-20), or the diagonal is.

    Returns
    -------
    Whitening
        The fit.

    Raises
    ------
    numpy.linalg.LinAlgError
        If eps is 0 and the matrix has no full rank.

    References
    ----------
    Kessy, Lewin, Strimmer: Optimal whitening and decorrelation, 2018.
    """
    return Whitening(x, method, eps, ddof, n_components, sign)


def whiten(
    x: Array,
    *,
    method: Method = "zca",
    eps: float = 0.0,
    ddof: float = 1,
    n_components: int | None = None,
    sign: Sign = "max",
) -> Array:
    """Whiten samples: `fit_whitening` and `Whitening.transform` in one call, with the arguments of the former."""
    return fit_whitening(x, method=method, eps=eps, ddof=ddof, n_components=n_components, sign=sign).transform(x)


def _comoments(x: Array) -> tuple[int, Array, Array]:
    x = promote(x)
    s = statistics(x, (0,))
    return len(x), s.mean[0], s.deviation.T @ s.deviation


def _whitener(
    covariance: Array, method: Method, eps: float, n_components: int | None, sign: Sign
) -> tuple[Array, Array]:
    """W and its inverse."""
    d = len(covariance)
    std = np.ones(d)
    if method.endswith("-cor"):
        constant = np.diag(covariance) == 0
        std = np.sqrt(np.where(constant, 1, np.diag(covariance)))
        covariance = covariance / np.outer(std, std)
        np.fill_diagonal(covariance, np.where(constant, 0, 1))
    a = covariance + eps * np.eye(d)
    values, vectors = (part[..., ::-1][..., :n_components] for part in np.linalg.eigh(a))
    if eps == 0 and values[-1] <= d * 2.0**-52 * values[0]:
        raise np.linalg.LinAlgError("covariance has no full rank: pass eps > 0")
    if method == "cholesky":
        inverse = np.linalg.cholesky(a)
        return np.linalg.inv(inverse), inverse
    if method == "cholesky-prec":  # A = M M' with M upper triangular: A^-1 = L L' with L = (M^-1)'
        inverse = np.linalg.cholesky(a[::-1, ::-1])[::-1, ::-1]
        return np.linalg.inv(inverse), inverse
    vectors = vectors * _signs(vectors, sign)
    rotation = vectors if method.startswith("zca") else np.eye(len(values))
    matrix = rotation @ (vectors / np.sqrt(values)).T / std
    return matrix, std[:, None] * (vectors * np.sqrt(values)) @ rotation.T


def _signs(vectors: Array, sign: Sign) -> Array:
    """Return the signs that make the decisive entry of every column positive."""
    if sign == "diag":
        decisive = np.diag(vectors)
    else:
        size = np.abs(vectors)
        row = np.argmax(size >= _TIE * size.max(axis=0), axis=0)
        decisive = vectors[row, np.arange(vectors.shape[1])]
    return np.where(decisive < 0, -1, 1)

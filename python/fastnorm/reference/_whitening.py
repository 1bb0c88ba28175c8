"""Whitening of data: a linear map, fitted to samples, that gives them the identity as covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from .._once import once
from .._types import Array
from ._core import deliver, promote, statistics

Method: TypeAlias = Literal["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
Sign: TypeAlias = Literal["max", "diag"]
Solver: TypeAlias = Literal["auto", "covariance", "qr", "dual"]
Shrinkage: TypeAlias = float | Literal["ledoit-wolf", "oas"] | None

_TIE: Final = 1 - 2.0**-20
_UNIT: Final = 2.0**-52


class Whitening:
    """A fitted whitening: z = (x - mean) @ matrix.T, x = z @ inverse.T + mean.

    Made by `fit_whitening`. It keeps all samples, and the matrices are computed when they are needed.

    Attributes
    ----------
    samples : int
        How many samples there have been.
    mean : ndarray, shape (features,)
        Mean of the samples.
    covariance : ndarray, shape (features, features)
        Their covariance, divided by ``samples - ddof``, without eps and shrinkage.
    shrinkage : float
        The coefficient of the shrinkage.
    matrix : ndarray, shape (components, features)
        Whitening matrix W.
    inverse : ndarray, shape (features, components)
        Its inverse (if there are fewer components than features: what projects back).
    method : str
        Method of the fit.
    """

    def __init__(self, x: Array, options: dict[str, Any]) -> None:
        self._x, self._options = promote(x), options
        self.method: Method = options["method"]

    @property
    def samples(self) -> int:
        """How many samples there have been."""
        return len(self._x)

    @property
    def mean(self) -> Array:
        """Mean of the samples."""
        return np.asarray(statistics(self._x, (0,)).mean[0])

    @property
    def covariance(self) -> Array:
        """Their covariance."""
        deviation = statistics(self._x, (0,)).deviation
        return np.asarray(deviation.T @ deviation / (self.samples - self._options["ddof"]))

    @property
    def shrinkage(self) -> float:
        """The coefficient of the shrinkage."""
        return self._fitted[0]

    @property
    def matrix(self) -> Array:
        """Whitening matrix."""
        return self._fitted[1]

    @property
    def inverse(self) -> Array:
        """Its inverse."""
        return self._fitted[2]

    def transform(self, x: Array, *, out: Array | None = None) -> Array:
        """Whiten samples: (x - mean) @ matrix.T."""
        return deliver((promote(x) - self.mean) @ self.matrix.T, out)

    def inverse_transform(self, z: Array, *, out: Array | None = None) -> Array:
        """Return the samples that `transform` takes to `z`: z @ inverse.T + mean."""
        return deliver(promote(z) @ self.inverse.T + self.mean, out)

    def update(self, x: Array) -> Whitening:
        """Take in more samples: afterwards the fit is that of all samples together. Returns itself."""
        self._x = np.concatenate([self._x, promote(x)])
        self.__dict__.pop("_fitted", None)
        return self

    def merge(self, other: Whitening) -> Whitening:
        """Take in the samples of another fit. Returns itself."""
        return self.update(other._x)

    @once
    def _fitted(self) -> tuple[float, Array, Array]:
        return _fit(statistics(self._x, (0,)).deviation, **self._options)


def fit_whitening(
    x: Array,
    *,
    method: Method = "zca",
    eps: float = 0.0,
    relative_eps: float = 0.0,
    shrinkage: Shrinkage = None,
    power: float = 1.0,
    n_components: int | float | None = None,
    ddof: float = 1,
    sign: Sign = "max",
    solver: Solver = "auto",
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
    eps, relative_eps : float
        Added to the diagonal: eps and relative_eps times the mean variance.
    shrinkage : float or {"ledoit-wolf", "oas"}, optional
        The covariance is replaced by (1 - shrinkage) covariance + shrinkage * mean variance * I.
    power : float
        L^(-power/2) takes the place of L^-1/2.
    n_components : int or float, optional
        Number of leading components to keep, for the pca methods, or the share of the variance that they explain.
    ddof : float
        The covariance is divided by ``samples - ddof``.
    sign : {"max", "diag"}
        Sign of the eigenvectors: the first of their largest entries is positive (within 2^-20), or the diagonal is.
    solver : str
        Without meaning here: the singular values of the centred samples are the definition.

    Returns
    -------
    Whitening
        The fit.

    Raises
    ------
    numpy.linalg.LinAlgError
        If nothing is added to the diagonal and the matrix has no full rank.

    References
    ----------
    Kessy, Lewin, Strimmer: Optimal whitening and decorrelation, 2018.
    """
    options = {"method": method, "eps": eps, "relative_eps": relative_eps, "shrinkage": shrinkage, "power": power}
    return Whitening(x, options | {"n_components": n_components, "ddof": ddof, "sign": sign})


def whiten(x: Array, **options: Any) -> Array:
    """Whiten samples: `fit_whitening` and `Whitening.transform` in one call, with the arguments of the former."""
    return fit_whitening(x, **options).transform(x)


def merge_whitenings(fits: Sequence[Whitening]) -> Whitening:
    """Fit to the samples of all fits, with the options of the first one."""
    return Whitening(np.concatenate([fit._x for fit in fits]), fits[0]._options)


def _fit(
    deviation: Array,
    method: Method,
    eps: float,
    relative_eps: float,
    shrinkage: Shrinkage,
    power: float,
    n_components: int | float | None,
    ddof: float,
    sign: Sign,
) -> tuple[float, Array, Array]:
    """Coefficient of the shrinkage, W and its inverse."""
    n, d = deviation.shape
    std = np.ones(d)
    if method.endswith("-cor"):
        variances = (deviation**2).sum(0) / (n - ddof)
        std = np.sqrt(np.where(variances == 0, 1, variances)).astype(np.float64)
    scaled = (deviation / std / np.sqrt(n - ddof)).astype(np.float64)
    variance = 1.0 if method.endswith("-cor") else float((scaled**2).sum() / d)
    share = _shrinkage(scaled * np.sqrt(1 - ddof / n), shrinkage)
    added = share * variance + eps + relative_eps * variance
    # The singular values of the samples, with as many rows of zeros as make them a square matrix at least.
    sizes, vectors = np.linalg.svd(np.vstack([scaled, np.zeros((max(d - n, 0), d))]), full_matrices=False)[1:]
    vectors, variances = vectors.T, sizes**2
    values = (1 - share) * variances + added
    count = n_components or d
    if isinstance(count, float):
        count = 1 + int(np.argmax(np.cumsum(variances) >= count * variances.sum()))
    if added == 0 and power > 0 and count > _rank(scaled):
        raise np.linalg.LinAlgError("covariance has no full rank: pass eps > 0")
    if method.startswith("cholesky"):
        order = slice(None, None, 1 if method == "cholesky" else -1)
        rows = np.vstack([np.sqrt(1 - share) * scaled, np.sqrt(added) * np.eye(d)])[:, order]
        upper = np.linalg.qr(rows, mode="r")
        inverse = (upper * np.sign(np.diag(upper))[:, None]).T
        return share, np.tril(np.linalg.inv(inverse))[order, order], inverse[order, order]
    vectors, values = vectors[:, :count], values[:count]
    vectors = vectors * _signs(vectors, sign)
    rotation = vectors if method.startswith("zca") else np.eye(len(values))
    gains = values ** (-power / 2)
    return share, rotation @ (vectors * gains).T / std, std[:, None] * (vectors / gains) @ rotation.T


def _rank(scaled: Array) -> int:
    """The rank of the correlations: units do not matter."""
    lengths = np.sqrt((scaled**2).sum(0))
    sizes = np.linalg.svd(scaled / np.where(lengths == 0, 1, lengths), compute_uv=False)
    return int((sizes > 8 * max(scaled.shape) * _UNIT * sizes[0]).sum())


def _shrinkage(scaled: Array, kind: Shrinkage) -> float:
    """Coefficient for samples that are centred and divided by the root of their number."""
    n, d = scaled.shape
    if kind is None or isinstance(kind, float):
        return kind or 0.0
    if d == 1:
        return 0.0
    covariance = scaled.T @ scaled
    mean, square = np.trace(covariance) / d, (covariance**2).sum()
    if kind == "oas":
        numerator, denominator = square / d**2 + mean**2, (n + 1) * (square / d**2 - mean**2 / d)
        return 1.0 if denominator == 0 else float(min(numerator / denominator, 1))
    delta = square / d - mean**2
    beta = min((n * ((scaled**2).sum(1) ** 2).sum() - square) / (d * n), delta)
    return float(beta / delta) if beta > 0 else 0.0


def _signs(vectors: Array, sign: Sign) -> Array:
    """Return the signs that make the decisive entry of every column positive."""
    if sign == "diag":
        decisive = np.diag(vectors)
    else:
        size = np.abs(vectors)
        row = np.argmax(size >= _TIE * size.max(axis=0), axis=0)
        decisive = vectors[row, np.arange(vectors.shape[1])]
    return np.where(decisive < 0, -1, 1)

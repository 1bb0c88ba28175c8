"""Whitening as a transformer of scikit-learn."""

import warnings
from typing import Any

import numpy as np

from ._peers import needs
from ._types import Array
from ._whiteners import Method, Shrinkage, Sign, Solver
from .whitening import Whitening, fit_whitening

with needs("scikit-learn", extra="sklearn"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Whitener"]

_DTYPES = ("float64", "float32", "float16")  # others become the first

# Parameters of the estimator that are options of the fit, by the same names.
_OPTIONS = ("method", "eps", "relative_eps", "shrinkage", "power", "n_components", "ddof", "sign", "solver")


class Whitener(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Whiten features: a linear map, fitted to samples, that gives them the identity as covariance.

    ``Whitener()`` does what ``sklearn.decomposition.PCA(whiten=True)`` does, up to signs and `eps`, and loses no
    digits where the means are large against the spread. Sums are taken in float64 from centred data, whatever the
    dtype of the samples.

    Parameters
    ----------
    n_components : int or float, optional
        How many of the largest components to keep; all if None. Between 0 and 1, the least number that explains that
        share of the variance. Methods without components warn and ignore it.
    method : {"pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"}, optional
        Which whitening matrix, as in :func:`fastnorm.fit_whitening`.
    eps : float, optional
        Added to the variances, so that features without variance do no harm; finite and >= 0.
    relative_eps : float, optional
        This times the mean variance is added besides.
    shrinkage : float, "ledoit-wolf" or "oas", optional
        How far the covariance is drawn towards a multiple of the identity, from 0 to 1, or who estimates it.
    power : float, optional
        1 whitens, 0 leaves the scales as they are.
    ddof : float, optional
        Sums are divided by ``samples - ddof``.
    sign : {"max", "diag"}, optional
        Which entry of an eigenvector is positive, in the pca methods.
    solver : {"auto", "covariance", "qr", "dual"}, optional
        What the fit keeps of the samples, as in :func:`fastnorm.fit_whitening`.

    Attributes
    ----------
    whitening_ : fastnorm.Whitening
        The fit.
    mean_ : ndarray, shape (features,)
        Mean of the samples.
    components_ : ndarray, shape (components, features)
        The whitening matrix: ``transform(X)`` is ``(X - mean_) @ components_.T``.
    n_samples_seen_ : int
        How many samples the fit has seen.
    n_features_in_ : int
        How many features they have.
    feature_names_in_ : ndarray of str
        Their names, if `X` had names.

    See Also
    --------
    fastnorm.fit_whitening : What this wraps, with the formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm.sklearn import Whitener
    >>> x = np.random.default_rng(0).normal(loc=1000, size=(500, 3)).astype(np.float32)
    >>> z = Whitener(method="zca").fit_transform(x)
    >>> z.dtype, bool(np.abs(np.cov(z.T) - np.eye(3)).max() < 1e-5)
    (dtype('float32'), True)
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        method: Method = "pca",
        eps: float = 1e-6,
        relative_eps: float = 0.0,
        shrinkage: Shrinkage = None,
        power: float = 1.0,
        ddof: float = 1,
        sign: Sign = "max",
        solver: Solver = "auto",
    ) -> None:
        self.n_components = n_components
        self.method = method
        self.eps = eps
        self.relative_eps = relative_eps
        self.shrinkage = shrinkage
        self.power = power
        self.ddof = ddof
        self.sign = sign
        self.solver = solver

    def fit(self, X: Any, y: None = None) -> "Whitener":
        """Fit to samples, and forget those seen before.

        Parameters
        ----------
        X : array_like, shape (samples, features)
            Finite data.
        y : None
            Ignored.

        Returns
        -------
        Whitener
            This one.
        """
        return self._fit(validate_data(self, X, dtype=_DTYPES, ensure_min_samples=2))

    def partial_fit(self, X: Any, y: None = None) -> "Whitener":
        """Take in more samples; afterwards this is the fit to all of them, but for rounding.

        Parameters
        ----------
        X : array_like, shape (samples, features)
            Finite data, from one sample on; what is asked for needs as many as determine it.
        y : None
            Ignored.

        Returns
        -------
        Whitener
            This one.
        """
        if not hasattr(self, "whitening_"):
            return self._fit(validate_data(self, X, dtype=_DTYPES))
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        self.whitening_.update(X)
        self.n_samples_seen_ += len(X)
        return self

    def transform(self, X: Any) -> Array:
        """Whiten samples.

        Parameters
        ----------
        X : array_like, shape (samples, features)
            Finite data.

        Returns
        -------
        ndarray, shape (samples, components)
            In the dtype of `X` if that is a floating one, else float64.
        """
        check_is_fitted(self)
        return self.whitening_.transform(validate_data(self, X, dtype=_DTYPES, reset=False))

    def inverse_transform(self, X: Any) -> Array:
        """Return the samples that `transform` takes to `X`, as far as the kept components tell.

        Parameters
        ----------
        X : array_like, shape (samples, components)
            Whitened samples.

        Returns
        -------
        ndarray, shape (samples, features)
            In the dtype of `X` if that is a floating one, else float64.
        """
        check_is_fitted(self)
        X = np.asarray(X)
        return self.whitening_.inverse_transform(X if X.dtype.name in _DTYPES else X.astype(_DTYPES[0]))

    @property
    def mean_(self) -> Array:
        """Mean of the samples."""
        return self.whitening_.mean

    @property
    def components_(self) -> Array:
        """The whitening matrix."""
        return self.whitening_.matrix

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = list(_DTYPES)
        return tags

    def _fit(self, samples: Array) -> "Whitener":
        self.whitening_: Whitening = fit_whitening(samples, **self._options())
        self.n_samples_seen_ = len(samples)
        return self

    def _options(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in _OPTIONS}
        if self.n_components is not None and not self.method.startswith("pca"):
            warnings.warn(f"n_components is ignored, since method {self.method!r} has no components", stacklevel=4)
            options["n_components"] = None
        return options

"""Whitening of data: a linear map, fitted to samples, that gives them the identity as covariance."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _comoments, _features, _layout
from . import _validate as check
from ._comoments import Comoments
from ._types import Array
from ._whiteners import METHODS, SIGNS, Method, Sign, Whitener, whitener


class _Options(NamedTuple):
    method: Method
    eps: float
    ddof: float
    n_components: int | None
    sign: Sign


class Whitening:
    """A fitted whitening: ``z = (x - mean) @ matrix.T`` and back, ``x = z @ inverse.T + mean``.

    Made by :func:`fit_whitening`, whose options stay with it when more samples come in. The matrices are computed when
    they are first needed after that.

    Attributes
    ----------
    method : str
        The method of the fit.
    mean : ndarray, shape (features,)
        Mean of the samples.
    covariance : ndarray, shape (features, features)
        Their covariance: sums divided by ``samples - ddof``, without eps.
    matrix : ndarray, shape (components, features)
        The whitening matrix; not writeable.
    inverse : ndarray, shape (features, components)
        Its inverse, of fewer components than features what projects back; not writeable.

    See Also
    --------
    fit_whitening : Fit one.

    Notes
    -----
    All arrays are float64. Sums over samples and maps of samples have the same bits for every number of threads and
    every memory layout of the data. The decomposition of the covariance is LAPACK's, as NumPy calls it: from about a
    hundred features its last bits may depend on the number of threads of NumPy's BLAS.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.random.default_rng(0).standard_normal((1000, 3)) @ [[1, 2, 0], [0, 1, 0], [0, 3, 1]] + 5
    >>> fit = fn.fit_whitening(x, method="pca")
    >>> fit
    Whitening(method='pca', samples=1000, features=3, components=3)
    >>> z = fit.transform(x)
    >>> np.allclose(np.cov(z.T), np.eye(3)), np.allclose(fit.inverse_transform(z), x)
    (True, True)
    """

    def __init__(self, comoments: Comoments, options: _Options) -> None:
        self._comoments = comoments
        self._options = options
        self._whitener: Whitener | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _freeze(self._whitener)

    def __repr__(self) -> str:
        components = self._options.n_components or len(self._comoments.mean)
        return (
            f"{type(self).__name__}(method={self.method!r}, samples={self._comoments.samples},"
            f" features={len(self._comoments.mean)}, components={components})"
        )

    @property
    def method(self) -> Method:
        """The method of the fit."""
        return self._options.method

    @property
    def mean(self) -> Array:
        """Mean of the samples."""
        return np.array(self._comoments.mean)

    @property
    def covariance(self) -> Array:
        """Covariance of the samples."""
        return np.asarray(self._comoments.sums / (self._comoments.samples - self._options.ddof))

    @property
    def matrix(self) -> Array:
        """The whitening matrix."""
        return self._decomposed().matrix

    @property
    def inverse(self) -> Array:
        """What undoes it."""
        return self._decomposed().inverse

    def transform(self, x: npt.ArrayLike, *, out: Array | None = None) -> Array:
        """Whiten samples: ``(x - mean) @ matrix.T``.

        Parameters
        ----------
        x : array_like, shape (n, features), floating point
            Samples, in any memory layout.
        out : ndarray, shape (n, components), optional
            Where to put the result: of the dtype of `x`, in any memory layout, `x` itself also if it has the shape.

        Returns
        -------
        ndarray, shape (n, components)
            `out` if given, else a new array of the dtype of `x`.

        Raises
        ------
        ValueError
            If a shape does not fit, or `out` cannot be written to.
        TypeError
            If an argument has another type or dtype.
        numpy.linalg.LinAlgError
            If the covariance after an :meth:`update` or :meth:`merge` has no full rank and eps is 0.
        """
        x = check.samples("x", x, len(self._comoments.mean), "features")
        return _mapped(x, self.matrix, self._comoments.mean, None, out)

    def inverse_transform(self, z: npt.ArrayLike, *, out: Array | None = None) -> Array:
        """Return the samples that :meth:`transform` takes to `z`: ``z @ inverse.T + mean``.

        Parameters
        ----------
        z : array_like, shape (n, components), floating point
            Whitened samples, in any memory layout.
        out : ndarray, shape (n, features), optional
            Where to put the result: of the dtype of `z`, in any memory layout, `z` itself also if it has the shape.

        Returns
        -------
        ndarray, shape (n, features)
            `out` if given, else a new array of the dtype of `z`.

        Raises
        ------
        ValueError, TypeError, numpy.linalg.LinAlgError
            As :meth:`transform`.
        """
        inverse = self.inverse
        z = check.samples("z", z, inverse.shape[1], "components")
        return _mapped(z, inverse, None, self._comoments.mean, out)

    def update(self, x: npt.ArrayLike) -> "Whitening":
        """Take in more samples; afterwards this is the fit to all of them, but for rounding.

        Data that do not fit into memory come in part by part.

        Parameters
        ----------
        x : array_like, shape (n, features), floating point
            Samples; there may be none.

        Returns
        -------
        Whitening
            This one.

        Raises
        ------
        ValueError
            If the shape does not fit, or a value is not finite. Then nothing has changed.
        TypeError
            If `x` has another type or dtype.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnorm as fn
        >>> x = np.random.default_rng(0).standard_normal((1000, 3))
        >>> fit = fn.fit_whitening(x[:100]).update(x[100:400]).update(x[400:])
        >>> np.allclose(fit.matrix, fn.fit_whitening(x).matrix)
        True
        """
        x = check.samples("x", x, len(self._comoments.mean), "features")
        return self._absorb(_comoments.comoments(x))

    def merge(self, other: "Whitening") -> "Whitening":
        """Take in the samples of another fit, whose options do not matter; exact but for rounding.

        Parameters
        ----------
        other : Whitening
            A fit to samples of as many features. It stays as it is.

        Returns
        -------
        Whitening
            This one.

        Raises
        ------
        ValueError
            If it has another number of features.
        TypeError
            If it is no Whitening.

        Examples
        --------
        >>> import numpy as np
        >>> import fastnorm as fn
        >>> x = np.random.default_rng(0).standard_normal((1000, 3))
        >>> fit = fn.fit_whitening(x[:600]).merge(fn.fit_whitening(x[600:]))
        >>> np.allclose(fit.matrix, fn.fit_whitening(x).matrix)
        True
        """
        check.kind("other", other, Whitening)
        check.same_features("other", len(other._comoments.mean), len(self._comoments.mean))
        return self._absorb(other._comoments)

    def _absorb(self, comoments: Comoments) -> "Whitening":
        self._comoments, self._whitener = self._comoments.merged(comoments), None
        return self

    def _decomposed(self) -> Whitener:
        result = self._whitener
        if result is None:
            method, eps, _, n_components, sign = self._options
            result = self._whitener = whitener(self.covariance, method, eps, n_components, sign)
            _freeze(result)
        return result


def fit_whitening(
    x: npt.ArrayLike,
    *,
    method: Method = "zca",
    eps: float = 0.0,
    ddof: float = 1,
    n_components: int | None = None,
    sign: Sign = "max",
) -> Whitening:
    """Fit a whitening matrix W to samples, with ``W A W' = I`` [1]_.

    A is ``covariance + eps I``, for the methods that end in ``-cor`` with correlations in place of covariances and
    the variances V. With its eigenvalues L, the largest first, and its eigenvectors U:

    =================  ===========================  ====================================================================
    method             W                            result
    =================  ===========================  ====================================================================
    "pca"              ``L^-1/2 U'``                principal components, the largest first
    "zca"              ``U L^-1/2 U'``              closest to the data
    "cholesky"         inverse of the lower factor  lower triangular: each feature freed of those before it
    "cholesky-prec"    lower factor of the inverse  its transpose, upper triangular: each feature freed of those after
    "zca-cor"          ``U L^-1/2 U' V^-1/2``       closest to the standardized data
    "pca-cor"          ``L^-1/2 U' V^-1/2``         principal components of the standardized data
    =================  ===========================  ====================================================================

    Parameters
    ----------
    x : array_like, shape (samples, features), floating point
        Finite data, in any memory layout. They are read in panels: no copy of them is made.
    method : {'zca', 'pca', 'cholesky', 'cholesky-prec', 'zca-cor', 'pca-cor'}, optional
        Which whitening matrix.
    eps : float, optional
        Added to the diagonal; finite and >= 0. Needed if there are no more samples than features, or if a feature is
        a combination of others. The covariance of the result is ``I - eps W W'``.
    ddof : float, optional
        Sums are divided by ``samples - ddof``.
    n_components : int, optional
        How many of the largest components to keep; the pca methods only.
    sign : {'max', 'diag'}, optional
        Which entry of an eigenvector is positive, in the pca methods: the largest, and of several within 2^-20 of it
        the first; or the one on the diagonal.

    Returns
    -------
    Whitening
        The fit.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or a value of `x` is not finite: the first such feature is named.
    TypeError
        If an argument has another type or dtype.
    numpy.linalg.LinAlgError
        If eps is 0 and A has no full rank.

    Notes
    -----
    The covariance is summed in float64 from centred data. Peak memory is a few matrices of features x features.

    References
    ----------
    .. [1] Kessy, Lewin, Strimmer: Optimal whitening and decorrelation, 2018, https://arxiv.org/abs/1512.00809

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 1.0], [-1.0, -1.0], [2.0, -2.0], [-2.0, 2.0]])
    >>> fit = fn.fit_whitening(x, method="pca", ddof=0)
    >>> fit.covariance
    array([[ 2.5, -1.5],
           [-1.5,  2.5]])
    >>> fit.transform(x).round(3) + 0.0
    array([[ 0.   ,  1.414],
           [ 0.   , -1.414],
           [ 1.414,  0.   ],
           [-1.414,  0.   ]])
    """
    x = check.samples("x", x)
    check.choice("method", method, METHODS)
    eps = check.eps(eps)
    ddof = check.ddof_of_samples(ddof, x)
    n_components = check.components(n_components, method, x)
    check.choice("sign", sign, SIGNS)
    fit = Whitening(_comoments.comoments(x), _Options(method, eps, ddof, n_components, sign))
    fit._decomposed()
    return fit


def whiten(
    x: npt.ArrayLike,
    *,
    method: Method = "zca",
    eps: float = 0.0,
    ddof: float = 1,
    n_components: int | None = None,
    sign: Sign = "max",
) -> Array:
    """Whiten samples by the whitening that is fitted to them.

    Parameters
    ----------
    x, method, eps, ddof, n_components, sign
        As in :func:`fit_whitening`.

    Returns
    -------
    ndarray, shape (samples, components)
        Samples whose covariance is the identity, in the dtype of `x`.

    Raises
    ------
    ValueError, TypeError, numpy.linalg.LinAlgError
        As in :func:`fit_whitening`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 1.0], [-1.0, -1.0], [2.0, -2.0], [-2.0, 2.0]])
    >>> z = fn.whiten(x)
    >>> np.allclose(np.cov(z.T), np.eye(2))
    True
    """
    x = check.samples("x", x)
    return fit_whitening(x, method=method, eps=eps, ddof=ddof, n_components=n_components, sign=sign).transform(x)


def _freeze(arrays: Whitener | None) -> None:
    """Make the matrices of a fit read-only: what they are changed to would not be the fit's. Pickles lose that."""
    for array in arrays or ():
        array.flags.writeable = False


def _mapped(x: Array, matrix: Array, centre: Array | None, shift: Array | None, out: Array | None) -> Array:
    """``(x - centre) @ matrix.T + shift``, to `out` if there is one."""
    shape = (len(x), len(matrix))
    out = check.out_of_shape(out, shape, x)
    in_place = out is not None and (not _layout.overlap(x, out) or (shape == x.shape and _layout.same_memory(x, out)))
    y = np.asarray(out) if in_place else np.empty(shape, x.dtype)
    _features.table(x.shape).transform(x, y, matrix, centre, shift)
    if out is None:
        return y
    if not in_place:
        np.copyto(out, y)
    return out

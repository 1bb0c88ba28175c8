"""Whitening of data: a linear map, fitted to samples, that gives them the identity as covariance."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from . import _fitting, _layout
from . import _validate as check
from ._fitting import State
from ._tree import merged
from ._types import Array
from ._whiteners import METHODS, SIGNS, SOLVERS, Method, Options, Shrinkage, Sign, Solver, Whitener


class Whitening:
    """A fitted whitening: ``z = (x - mean) @ matrix.T`` and back, ``x = z @ inverse.T + mean``.

    Made by :func:`fit_whitening`, whose options stay with it when more samples come in. The matrices are computed when
    they are first needed after that.

    Attributes
    ----------
    method : str
        The method of the fit.
    solver : {'covariance', 'qr', 'dual'}
        How the matrices are found from the samples so far; what 'auto' chose.
    samples : int
        How many samples there have been.
    mean : ndarray, shape (features,)
        Mean of the samples.
    covariance : ndarray, shape (features, features)
        Their covariance: sums divided by ``samples - ddof``, without eps and shrinkage.
    shrinkage : float
        The coefficient that the covariance was shrunk by.
    matrix : ndarray, shape (components, features)
        The whitening matrix; not writeable.
    inverse : ndarray, shape (features, components)
        Its inverse, of fewer components than features what projects back; not writeable.

    See Also
    --------
    fit_whitening : Fit one.
    merge_whitenings : Merge several.

    Notes
    -----
    All arrays are float64. Sums over samples, their QR factorization and maps of samples have the same bits for every
    number of threads and every memory layout of the data. The decomposition of the covariance is LAPACK's, as NumPy
    calls it: from about a hundred features its last bits may depend on the number of threads of NumPy's BLAS.

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

    def __init__(self, comoments: State, options: Options, whitener: Whitener | None = None) -> None:
        self._comoments = comoments
        self._options = options
        self._whitener = whitener
        self._mean: Array | None = None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(method={self.method!r}, samples={self.samples},"
            f" features={self._features}, components={self._options.n_components or self._features})"
        )

    @property
    def method(self) -> Method:
        """The method of the fit."""
        return self._options.method

    @property
    def solver(self) -> str:
        """How the matrices are found."""
        return self._whitener.solver if self._whitener else _fitting.solver_of(self._comoments, self._options)

    @property
    def samples(self) -> int:
        """How many samples there have been."""
        return self._comoments.samples

    @property
    def mean(self) -> Array:
        """Mean of the samples."""
        return np.array(self._centre())

    @property
    def covariance(self) -> Array:
        """Covariance of the samples."""
        return _fitting.covariance_of(self._comoments, self._options.ddof)

    @property
    def shrinkage(self) -> float:
        """The coefficient of the shrinkage."""
        return self._decomposed().shrinkage

    @property
    def matrix(self) -> Array:
        """The whitening matrix."""
        return _fixed(self._decomposed().matrix)

    @property
    def inverse(self) -> Array:
        """What undoes it."""
        return _fixed(self._decomposed().inverse)

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
            If the covariance of the samples so far has no full rank and eps is 0.
        """
        x = check.samples("x", x, self._features, "features")
        fit, mean = self._decomposed(), self._centre()
        return _mapped(x, fit.components, out, lambda y: fit.transform(x, y, mean))

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
        fit, mean = self._decomposed(), self._centre()
        z = check.samples("z", z, fit.components, "components")
        return _mapped(z, self._features, out, lambda x: fit.inverse_transform(z, x, mean))

    def update(self, x: npt.ArrayLike) -> "Whitening":
        """Take in more samples; afterwards this is the fit to all of them, but for rounding.

        Data that do not fit into memory come in part by part, which may be smaller than the number of features.

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
        x = check.samples("x", x, self._features, "features")
        return self._absorb(_fitting.with_more(self._comoments, x, self._options))

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
        check.same_features("other", other._features, self._features)
        return self._absorb(_fitting.joined(self._comoments, other._comoments, self._options))

    @property
    def _features(self) -> int:
        return self._comoments.features

    def _absorb(self, comoments: State) -> "Whitening":
        self._comoments, self._whitener, self._mean = comoments, None, None
        return self

    def _centre(self) -> Array:
        if self._mean is None:
            self._mean = _fitting.mean_of(self._comoments)
        return self._mean

    def _decomposed(self) -> Whitener:
        if self._whitener is None:
            self._whitener = _fitting.decomposed(self._comoments, self._options)
        return self._whitener


def fit_whitening(
    x: npt.ArrayLike,
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
    """Fit a whitening matrix W to samples, with ``W A W' = I``.

    A is ``covariance + eps I`` [1]_, for the methods that end in ``-cor`` with correlations in place of covariances and
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
        Finite data, in any memory layout. There may be fewer samples than features, or none: the matrices are computed
        when they are first needed, and :meth:`Whitening.update` takes more.
    method : {'zca', 'pca', 'cholesky', 'cholesky-prec', 'zca-cor', 'pca-cor'}, optional
        Which whitening matrix.
    eps : float, optional
        Added to the diagonal; finite and >= 0. Needed if there are no more samples than features, or if a feature is
        a combination of others. The covariance of the result is ``I - eps W W'``.
    relative_eps : float, optional
        The same in units of the mean variance, of correlations 1: it goes with data of any scale.
    shrinkage : float or {'ledoit-wolf', 'oas'}, optional
        ``(1 - shrinkage) * covariance + shrinkage * mean variance * I`` takes the place of the covariance, for the
        ``-cor`` methods of the correlations. The names stand for the estimates of Ledoit and Wolf [2]_ and of
        Chen et al. [3]_, as scikit-learn computes them; the first is not for the ``-cor`` methods.
    power : float, optional
        Eigenvalues are raised to ``-power / 2``: 1 whitens, 0 leaves the variances as they are, and what is between
        whitens in part. Not for the Cholesky methods.
    n_components : int or float, optional
        How many of the largest components to keep; a number between 0 and 1 is the share of the variance that they
        explain at least. The pca methods only.
    ddof : float, optional
        Sums are divided by ``samples - ddof``.
    sign : {'max', 'diag'}, optional
        Which entry of an eigenvector is positive, in the pca methods: the largest, and of several within 2^-20 of it
        the first; or the one on the diagonal.
    solver : {'auto', 'covariance', 'qr', 'dual'}, optional
        How the decomposition is found; all of them stream and merge.

        'covariance'
            From sums of products in float64. The fastest; the relative error is 2^-53 times the ratio of the largest to
            the smallest variance.
        'qr'
            From a QR factorization of the samples: the root of that ratio, and about five times the work. Float64
            samples that come all at once are whitened to the last digits even so: where rounding would show, the map is
            applied without it, and a second map takes out what it was off.
        'dual'
            From the products of the samples with each other: for fewer samples than features, which are kept. With more
            of them than features, 'qr'. Not for the Cholesky methods.
        'auto'
            Keeps samples while there are fewer than twice as many as features, and is 'dual' while they are no more
            than the features. Else 'covariance', but 'qr' if the condition of A is beyond 2^26, of data narrower than
            float64 beyond 2^36. Of features of different units that are well-conditioned once they are standardized,
            the condition of their correlations counts. A stream keeps the solver that was chosen then.

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

    See Also
    --------
    whiten : Fit and map in one call.
    merge_whitenings : Fits to parts become one.
    batch_whitening_forward : Whitening as a layer of a network.

    Notes
    -----
    Rank is judged on correlations, so that units do not matter. If A has no full rank the matrices raise
    ``numpy.linalg.LinAlgError`` when they are needed; the error says what would help.

    Samples are mapped in float32, unless rounding would be amplified by more than 130, then in float64. Memory: no copy
    of the data unless they are kept, else a few matrices of features x features.

    References
    ----------
    .. [1] Kessy, Lewin, Strimmer: Optimal whitening and decorrelation, 2018, https://arxiv.org/abs/1512.00809
    .. [2] Ledoit, Wolf: A well-conditioned estimator for large-dimensional covariance matrices, 2004,
       https://doi.org/10.1016/S0047-259X(03)00096-4
    .. [3] Chen, Wiesel, Eldar, Hero: Shrinkage algorithms for MMSE covariance estimation, 2010,
       https://arxiv.org/abs/0907.4698

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
    options = _options(x, method, eps, relative_eps, shrinkage, power, n_components, ddof, sign, solver)
    state, whitener = _fitting.state_of(x, options, copy=True)
    return Whitening(state, options, whitener)


def whiten(
    x: npt.ArrayLike,
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
) -> Array:
    """Whiten samples by the whitening that is fitted to them.

    Parameters
    ----------
    x, method, eps, relative_eps, shrinkage, power, n_components, ddof, sign, solver
        As in :func:`fit_whitening`.

    Returns
    -------
    ndarray, shape (samples, components)
        Samples whose covariance is the identity, in the dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fit_whitening`.
    numpy.linalg.LinAlgError
        If the covariance has no full rank and nothing is added to it.

    See Also
    --------
    fit_whitening : The same, with a fit to keep.
    Whitening : What the fit is.

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
    options = _options(x, method, eps, relative_eps, shrinkage, power, n_components, ddof, sign, solver)
    state, whitener = _fitting.state_of(x, options, copy=False)
    return Whitening(state, options, whitener).transform(x)


def merge_whitenings(fits: Sequence[Whitening]) -> Whitening:
    """Merge fits to parts of the samples into the fit to all of them, in the given order; exact but for rounding.

    Neighbours merge in pairs, then pairs of those: the same fits in the same order give the same bits, whoever made
    them.

    Parameters
    ----------
    fits : sequence of Whitening
        Fits to as many features. They stay as they are. Some may be to no samples.

    Returns
    -------
    Whitening
        A new fit, with the options of the first one.

    Raises
    ------
    ValueError
        If there are none, or the numbers of features differ.
    TypeError
        If one is no Whitening.

    See Also
    --------
    fit_whitening : Make a fit.
    Whitening.merge : The same in place, of two.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.random.default_rng(0).standard_normal((1000, 3))
    >>> fit = fn.merge_whitenings([fn.fit_whitening(part) for part in (x[:2], x[2:600], x[600:])])
    >>> fit.samples, np.allclose(fit.matrix, fn.fit_whitening(x).matrix)
    (1000, True)
    """
    every: list[Whitening] = check.fits("fits", fits, Whitening)
    options = every[0]._options
    for i, fit in enumerate(every):
        check.same_features(f"fits[{i}]", fit._features, every[0]._features)
    state = merged((fit._comoments for fit in every), lambda a, b: _fitting.joined(a, b, options))
    return Whitening(state, options)


def _options(
    x: Array,
    method: Method,
    eps: float,
    relative_eps: float,
    shrinkage: Shrinkage,
    power: float,
    n_components: int | float | None,
    ddof: float,
    sign: Sign,
    solver: Solver,
) -> Options:
    check.choice("method", method, METHODS)
    check.choice("sign", sign, SIGNS)
    check.choice("solver", solver, SOLVERS)
    check.solver_of_method(solver, method)
    return Options(
        method=method,
        eps=check.eps(eps),
        relative_eps=check.relative_eps(relative_eps),
        shrinkage=check.shrinkage(shrinkage, method),
        power=check.power(power, method),
        n_components=check.components(n_components, method, x),
        ddof=check.ddof_of_samples(ddof),
        sign=sign,
        solver=solver,
    )


def _fixed(array: Array) -> Array:
    """The same memory, not writeable."""
    view: Array = array.view()
    view.flags.writeable = False
    return view


def _new(shape: tuple[int, int], x: Array) -> Array:
    """An array for the result; if it is as large as the data the memory of a dead one."""
    return _layout.empty_like(x.dtype, x) if shape == x.shape and x.flags.c_contiguous else np.empty(shape, x.dtype)


def _mapped(x: Array, width: int, out: Array | None, apply: Callable[[Array], None]) -> Array:
    """What `apply` writes for the samples of `x`, to `out` if there is one."""
    shape = (len(x), width)
    out = check.out_of_shape(out, shape, x)
    in_place = out is not None and (not _layout.overlap(x, out) or (shape == x.shape and _layout.same_memory(x, out)))
    y = np.asarray(out) if in_place else _new(shape, x)
    apply(y)
    if out is None:
        return y
    if not in_place:
        np.copyto(out, y)
    return out

"""Whitening of samples in blocks: a fit for each, merged in a fixed tree, and maps of blocks."""

from typing import Any

import numpy as np

from .. import _validate as check
from .. import whitening
from .._types import Array
from ..whitening import Whitening
from ._blocks import Delayed, data, delayed, mapped, on_blocks, reduced, whole


def fit_whitening(x: Any, *, split_every: int = 8, **options: Any) -> Any:
    """Do :func:`fastnorm.fit_whitening` block by block, and merge the fits.

    Parameters
    ----------
    x : dask.array.Array, shape (samples, features)
        Finite data. Samples stay in their blocks, of any sizes; features get one block (they are rechunked).
    split_every : int, optional
        How many fits a task merges. Powers of two give one result, others may differ in the last bits.
    **options
        Those of :func:`fastnorm.fit_whitening`.

    Returns
    -------
    dask.delayed.Delayed
        Of :class:`fastnorm.Whitening`, its matrices computed. Its bits depend on the blocks of `x` and on nothing else:
        they are those of :func:`fastnorm.merge_whitenings` of the fits to the blocks. A task needs memory for a block
        and a few matrices of features x features.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or there are no samples; at the call.
    numpy.linalg.LinAlgError
        If the covariance has no full rank and nothing is added to it; when it is computed.

    See Also
    --------
    fastnorm.fit_whitening : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastnorm.dask
    >>> x = da.random.default_rng(0).standard_normal((5000, 3), chunks=(1000, 3)) @ np.tri(3)
    >>> fit = fastnorm.dask.fit_whitening(x, method="pca").compute()
    >>> fit
    Whitening(method='pca', samples=5000, features=3, components=3)
    >>> z = fastnorm.dask.transform(fit, x)
    >>> np.allclose(np.cov(z.compute().T), np.eye(3))
    True
    """
    x = data("x", x, "fastnorm.fit_whitening")
    check.table_in_blocks("x", x)
    check.some_samples("x", len(x), "in its blocks")
    whitening.fit_whitening(np.empty((0, x.shape[1]), x.dtype), **options)
    x = whole(x, [1])
    fit = on_blocks("fit_whitening", whitening.fit_whitening, x)
    parts = [fit(block, **options) for block in x.to_delayed()[:, 0]]
    return delayed(_decomposed, pure=True)(reduced(parts, whitening.merge_whitenings, split_every))


def transform(fit: Any, x: Any) -> Any:
    """Whiten samples block by block.

    Parameters
    ----------
    fit : Whitening, or dask.delayed.Delayed of one
        A fit. Of one that is not computed yet the number of components is unknown here.
    x : dask.array.Array, shape (n, features)
        Samples, which stay in their blocks; features get one block (they are rechunked).

    Returns
    -------
    dask.array.Array, shape (n, components)
        In the dtype of `x`. It has the bits of ``fit.transform`` of the whole.

    Raises
    ------
    ValueError, TypeError
        If a shape or a dtype does not fit; at the call, if the fit is there.

    See Also
    --------
    fit_whitening : Make a fit.
    inverse_transform : The way back.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm as fn
    >>> import fastnorm.dask
    >>> x = da.random.default_rng(0).standard_normal((500, 3), chunks=(100, 3))
    >>> z = fastnorm.dask.transform(fn.fit_whitening(x.compute(), method="pca", n_components=2), x)
    >>> z.shape, z.chunks[0]
    ((500, 2), (100, 100, 100, 100, 100))
    """
    return _mapped("transform", _transformed, fit, "x", x, "features")


def inverse_transform(fit: Any, z: Any) -> Any:
    """Return the samples that :func:`transform` takes to `z`, block by block.

    Parameters
    ----------
    fit : Whitening, or dask.delayed.Delayed of one
        A fit.
    z : dask.array.Array, shape (n, components)
        Whitened samples, which stay in their blocks; components get one block (they are rechunked).

    Returns
    -------
    dask.array.Array, shape (n, features)
        In the dtype of `z`. It has the bits of ``fit.inverse_transform`` of the whole.

    Raises
    ------
    ValueError, TypeError
        If a shape or a dtype does not fit; at the call, if the fit is there.

    See Also
    --------
    transform : The way there.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.random.default_rng(0).standard_normal((500, 3), chunks=(100, 3))
    >>> fit = fastnorm.dask.fit_whitening(x).compute()
    >>> z = fastnorm.dask.transform(fit, x)
    >>> bool(da.allclose(fastnorm.dask.inverse_transform(fit, z), x).compute())
    True
    """
    return _mapped("inverse_transform", _restored, fit, "z", z, "components")


def _mapped(function: str, operation: Any, fit: Any, name: str, x: Any, columns: str) -> Any:
    x = data(name, x, f"Whitening.{function}")
    check.table_in_blocks(name, x, columns)
    x = whole(x, [1])
    if isinstance(fit, Delayed):
        width = np.nan
    else:
        width = operation(np.empty((0, x.shape[1]), x.dtype), fit).shape[1]
        fit = delayed(fit, pure=True)  # one copy for all blocks
    return mapped(function, operation, x, name, chunks=(x.chunks[0], (width,)), fit=fit)


def _transformed(block: Array, fit: Whitening) -> Array:
    check.kind("fit", fit, Whitening)
    return fit.transform(block)


def _restored(block: Array, fit: Whitening) -> Array:
    check.kind("fit", fit, Whitening)
    return fit.inverse_transform(block)


def _decomposed(fit: Whitening) -> Whitening:
    """The same fit, which brings its matrices along."""
    assert fit.matrix is not None
    return fit

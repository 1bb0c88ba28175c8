"""Normalization of rows and samples: every block for itself."""

from typing import Any

import numpy.typing as npt

from .. import _validate as check
from .. import batch, group, layer
from .._types import Activation
from ._blocks import data, empty, mapped, whole


def layer_norm(
    x: Any,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """Do :func:`fastnorm.layer_norm` block by block.

    Parameters
    ----------
    x : dask.array.Array
        Data. Axes that are normalized get one block (they are rechunked), all others stay in their blocks.
    weight, bias, axis, eps, activation
        As in :func:`fastnorm.layer_norm`.

    Returns
    -------
    dask.array.Array
        Like `x`, computed when it is asked for. It has the bits of :func:`fastnorm.layer_norm` of the whole.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.layer_norm : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.arange(12.0, chunks=4).reshape(6, 2)
    >>> fastnorm.dask.layer_norm(x, eps=0.0)[:2].compute()
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = data("x", x, "fastnorm.layer_norm")
    options = {"weight": weight, "bias": bias, "axis": axis, "eps": eps, "activation": activation}
    return _rows(layer.layer_norm, x, axis, options)


def rms_norm(
    x: Any,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
) -> Any:
    """Do :func:`fastnorm.rms_norm` block by block.

    Parameters
    ----------
    x : dask.array.Array
        Data. Axes that are normalized get one block (they are rechunked), all others stay in their blocks.
    weight, bias, axis, eps, offset, activation
        As in :func:`fastnorm.rms_norm`.

    Returns
    -------
    dask.array.Array
        Like `x`, computed when it is asked for. It has the bits of :func:`fastnorm.rms_norm` of the whole.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.rms_norm : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> fastnorm.dask.rms_norm(da.full((4, 3), 5.0, chunks=2), eps=0.0)[0].compute()
    array([1., 1., 1.])
    """
    x = data("x", x, "fastnorm.rms_norm")
    options = {"weight": weight, "bias": bias, "axis": axis, "eps": eps, "offset": offset, "activation": activation}
    return _rows(layer.rms_norm, x, axis, options)


def group_norm(
    x: Any,
    num_groups: int,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """Do :func:`fastnorm.group_norm` block by block.

    Parameters
    ----------
    x : dask.array.Array
        Data, whose samples, on axis 0, stay in their blocks. All other axes get one block (they are rechunked).
    num_groups, weight, bias, axis, eps, activation
        As in :func:`fastnorm.group_norm`.

    Returns
    -------
    dask.array.Array
        Like `x`, computed when it is asked for. It has the bits of :func:`fastnorm.group_norm` of the whole.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.group_norm : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.arange(16.0, chunks=4).reshape(4, 2, 2)
    >>> fastnorm.dask.group_norm(x, 2, eps=0.0)[3].compute()
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = data("x", x, "fastnorm.group_norm")
    options = {"weight": weight, "bias": bias, "axis": axis, "eps": eps, "activation": activation}
    return _samples(group.group_norm, x, {"num_groups": num_groups, **options})


def instance_norm(
    x: Any,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """Do :func:`fastnorm.instance_norm` block by block.

    Parameters
    ----------
    x : dask.array.Array
        Data, whose samples, on axis 0, stay in their blocks. All other axes get one block (they are rechunked).
    weight, bias, axis, eps, activation
        As in :func:`fastnorm.instance_norm`.

    Returns
    -------
    dask.array.Array
        Like `x`, computed when it is asked for. It has the bits of :func:`fastnorm.instance_norm` of the whole.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.instance_norm : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.arange(16.0, chunks=4).reshape(4, 2, 2)
    >>> fastnorm.dask.instance_norm(x, eps=0.0)[3].compute()
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x = data("x", x, "fastnorm.instance_norm")
    options = {"weight": weight, "bias": bias, "axis": axis, "eps": eps, "activation": activation}
    return _samples(group.instance_norm, x, options)


def batch_norm(
    x: Any,
    running_mean: npt.ArrayLike,
    running_var: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """Do :func:`fastnorm.batch_norm`, with given statistics, block by block.

    Parameters
    ----------
    x : dask.array.Array
        Data. The channel axis gets one block (it is rechunked), all others stay in their blocks.
    running_mean, running_var, weight, bias, axis, eps, activation
        As in :func:`fastnorm.batch_norm`.

    Returns
    -------
    dask.array.Array
        Like `x`, computed when it is asked for. It has the bits of :func:`fastnorm.batch_norm` of the whole.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.batch_norm : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.from_array([[1.0, 40.0], [3.0, 40.0]], chunks=1)
    >>> fastnorm.dask.batch_norm(x, [2.0, 20.0], [1.0, 100.0], eps=0.0).compute()
    array([[-1.,  2.],
           [ 1.,  2.]])
    """
    x = data("x", x, "fastnorm.batch_norm")
    channels = check.channel_axis(axis, x)
    statistics = {"running_mean": running_mean, "running_var": running_var}
    options: dict[str, Any] = {
        **statistics,
        "weight": weight,
        "bias": bias,
        "axis": axis,
        "eps": eps,
        "activation": activation,
    }
    batch.batch_norm(empty(x, 0 if channels else 1), **options)
    return mapped("batch_norm", batch.batch_norm, whole(x, [channels]), **options)


def _rows(operation: Any, x: Any, axis: Any, options: dict[str, Any]) -> Any:
    axes = check.normalized_axes(axis, x)
    kept = [a for a in range(x.ndim) if a not in axes]
    if kept:
        operation(empty(x, kept[0]), **options)
    return mapped(operation.__name__, operation, whole(x, axes), **options)


def _samples(operation: Any, x: Any, options: dict[str, Any]) -> Any:
    operation(empty(x, 0), **options)
    return mapped(operation.__name__, operation, whole(x, range(1, x.ndim)), **options)

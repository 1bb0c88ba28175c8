"""Moments over blocks, and batch normalization with them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _running, batch, statistics
from .. import _validate as check
from .._types import Activation, Array, BatchNormForward, Moments
from ._blocks import da, data, delayed, empty, mapped, on_blocks, reduced, whole


def moments(x: Any, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False, split_every: int = 8) -> Any:
    """Do :func:`fastnorm.moments` block by block, and merge the moments of the blocks.

    Parameters
    ----------
    x : dask.array.Array
        Data in blocks along any axes.
    axis : int or tuple of ints, optional
        The axes that they are taken over; None stands for all.
    keepdims : bool, optional
        Whether these axes stay, with length 1.
    split_every : int, optional
        How many partial results a task merges. Powers of two give one result, others may differ in the last bits.

    Returns
    -------
    dask.delayed.Delayed
        Of :class:`fastnorm.Moments`. Its bits depend on the blocks of `x` and on nothing else.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.moments : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> count, mean, m2 = fastnorm.dask.moments(da.arange(10.0, chunks=3), axis=0).compute()
    >>> float(mean), float(m2 / count)
    (4.5, 8.25)
    """
    x = data("x", x, "fastnorm.moments")
    axes = tuple(range(x.ndim)) if axis is None else check.normalized_axes(axis, x)
    keepdims = check.boolean("keepdims", keepdims)
    kept = [a for a in range(x.ndim) if a not in axes]
    task = on_blocks("moments", statistics.moments, x)
    # One tree for each run of blocks along the axes that are summed over.
    blocks = x.to_delayed().transpose(*kept, *axes).reshape(*(x.numblocks[a] for a in kept), -1)
    results = np.empty(blocks.shape[:-1], object)
    for index in np.ndindex(results.shape):
        parts = [task(block, axis=axes, keepdims=True) for block in blocks[index]]
        results[index] = reduced(parts, statistics.merge_moments, split_every)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a in kept)
    places = [tuple(1 if a in axes else n for a, n in enumerate(x.numblocks))]
    return delayed(_joined, pure=True)(results.ravel().tolist(), *places, shape)


def _joined(parts: list[Moments], places: tuple[int, ...], shape: tuple[int, ...]) -> Moments:
    """Moments of neighbouring blocks as those of the whole."""
    return Moments(*(_block([part[field] for part in parts], places).reshape(shape) for field in range(3)))


def _block(parts: list[Array], places: tuple[int, ...]) -> Array:
    for axis in reversed(range(len(places))):
        n = places[axis]
        parts = [np.concatenate(parts[i : i + n], axis=axis) if n > 1 else parts[i] for i in range(0, len(parts), n)]
    return parts[0]


def batch_norm_forward(
    x: Any,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
    split_every: int = 8,
) -> BatchNormForward:
    """Normalize blocks with the statistics of each channel over all of them.

    There are no running statistics here: what is computed later cannot update an array now. Compute ``mean`` and
    ``rstd`` and do it then.

    Parameters
    ----------
    x : dask.array.Array
        Data. The channel axis gets one block (it is rechunked), all others stay in their blocks. Blocks are needed
        twice: ``x.persist()`` if they are dear to make and there is room.
    weight, bias, axis, eps, activation
        As in :func:`fastnorm.batch_norm_forward`.
    split_every : int, optional
        As in :func:`moments`.

    Returns
    -------
    BatchNormForward
        Dask arrays: ``y`` like `x`, and ``mean`` and ``rstd`` of shape (C,) in float64. Their bits depend on the blocks
        of `x` and on nothing else.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; at the call.

    See Also
    --------
    fastnorm.batch_norm_forward : The same of an array in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastnorm.dask
    >>> x = da.from_array([[1.0, 40.0], [3.0, 40.0]], chunks=1)
    >>> y, mean, rstd = fastnorm.dask.batch_norm_forward(x, eps=0.0)
    >>> y.compute()
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    x = data("x", x, "fastnorm.batch_norm_forward")
    channels = check.channel_axis(axis, x)
    options: dict[str, Any] = {"axis": axis, "eps": eps, "activation": activation}
    batch.batch_norm_forward(empty(x, 0 if channels else 1), weight, bias, **options)
    count, size = x.shape[channels], x.size
    if size == count > 0:
        raise ValueError(f"expected more than one value per channel when training, got x with shape {x.shape}")
    x = whole(x, [channels])
    others = tuple(a for a in range(x.ndim) if a != channels)
    found = delayed(_statistics, pure=True)(moments(x, others, split_every=split_every), eps)
    y = mapped("batch_norm_forward", _normalized, x, statistics=found, weight=weight, bias=bias, **options)
    mean, rstd = (da.from_delayed(found[i], (count,), np.float64) for i in (0, 2))
    return BatchNormForward(y, mean, rstd)


@np.errstate(all="ignore")
def _statistics(whole: Moments, eps: float) -> tuple[Array, Array, Array]:
    """Mean, variance and rstd."""
    mean = np.where(whole.count == 0.0, np.nan, whole.mean)
    var = whole.m2 * (1.0 / whole.count)
    return mean, var, _running.scale(var, eps)


def _normalized(block: Array, statistics: tuple[Array, Array, Array], **options: Any) -> Array:
    mean, var, _ = statistics
    return batch.batch_norm(block, mean, var, **options)

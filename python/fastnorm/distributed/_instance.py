"""Instance normalization of samples that are themselves spread over ranks."""

from typing import NamedTuple

import numpy.typing as npt

from .._types import ALL, Activation, Array, Gradients, GradMask
from . import _norms
from ._exchange import Allgather


class SyncInstanceNormForward(NamedTuple):
    """Output of a rank and saved statistics of the whole samples.

    Attributes
    ----------
    y : ndarray
        Output, in the form of the input.
    mean, rstd, count : ndarray, shape (N, C)
        Mean, ``1 / sqrt(var + eps)`` and number of values of every channel of every sample, over all ranks.

    See Also
    --------
    sync_instance_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array
    count: Array  # type: ignore[assignment]  # it hides tuple.count


def sync_instance_norm_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    *,
    allgather: Allgather | None,
    axis: int = 1,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
) -> SyncInstanceNormForward:
    """Do :func:`fastnorm.instance_norm_forward` on samples whose positions are spread over the ranks.

    Every rank has a part of each sample, as when images or volumes too large for one machine are cut into tiles.

    Parameters
    ----------
    x : array_like, or list of array_like
        This rank's positions of all samples; there may be none. The numbers of samples and channels and the dtype are
        the same on all ranks. A list is taken for blocks, as if each were a rank's.
    weight, bias, running_mean, running_var, axis, momentum, ddof, eps, offset, activation
        As in :func:`fastnorm.instance_norm_forward`. The options are the same on all ranks.
    allgather : callable or None
        As in :func:`sync_batch_norm_forward`.

    Returns
    -------
    SyncInstanceNormForward
        ``y`` in the form of `x`; ``mean``, ``rstd`` and ``count`` of shape (N, C) in float64, for the backward.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in :func:`sync_batch_norm_forward`.

    See Also
    --------
    fastnorm.instance_norm_forward : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import sync_instance_norm_forward
    >>> x = np.random.default_rng(0).standard_normal((2, 3, 10))
    >>> y, mean, rstd, count = sync_instance_norm_forward([x[..., :4], x[..., 4:]], allgather=None)
    >>> np.allclose(np.concatenate(y, axis=2), fn.instance_norm(x))
    True
    """
    options = {"momentum": momentum, "ddof": ddof, "eps": eps, "offset": offset, "activation": activation}
    forward = _norms.Forward(_norms.INSTANCE, axis, x, weight, bias, (running_mean, running_var), **options)
    return SyncInstanceNormForward(*forward.run(allgather))


def sync_instance_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    count: npt.ArrayLike,
    *,
    allgather: Allgather | None,
    axis: int = 1,
    offset: float = 0.0,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of :func:`sync_instance_norm_forward`.

    Parameters
    ----------
    dy, x, weight, allgather, axis, offset, grad_mask
        As in :func:`sync_batch_norm_backward`.
    mean, rstd, count : array_like, shape (N, C)
        What the forward pass returned.

    Returns
    -------
    Gradients
        As in :func:`sync_batch_norm_backward`.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in :func:`sync_batch_norm_forward`.

    See Also
    --------
    fastnorm.instance_norm_backward : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import sync_instance_norm_backward, sync_instance_norm_forward
    >>> x, dy = np.random.default_rng(0).standard_normal((2, 2, 3, 10))
    >>> parts, dys = [x[..., :4], x[..., 4:]], [dy[..., :4], dy[..., 4:]]
    >>> y, mean, rstd, count = sync_instance_norm_forward(parts, allgather=None)
    >>> dx, dweight, dbias = sync_instance_norm_backward(dys, parts, None, mean, rstd, count, allgather=None)
    >>> np.allclose(np.concatenate(dx, axis=2), fn.instance_norm_backward(dy, x, None, mean, rstd).dx)
    True
    """
    saved = mean, rstd, count
    return _norms.Backward(_norms.INSTANCE, axis, dy, x, (weight, offset), saved, grad_mask).run(allgather)

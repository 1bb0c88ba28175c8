"""Batch normalization of a batch whose samples lie on several ranks."""

from typing import NamedTuple

import numpy.typing as npt

from .._types import ALL, Activation, Array, Gradients, GradMask
from . import _norms
from ._exchange import Allgather


class SyncBatchNormForward(NamedTuple):
    """Output of a rank and saved statistics of the whole batch.

    Attributes
    ----------
    y : ndarray
        Output, in the form of the input.
    mean, rstd : ndarray, shape (C,)
        Mean and ``1 / sqrt(var + eps)`` of every channel, over all ranks.
    count : ndarray, shape (C,)
        Values per channel on all ranks together.

    See Also
    --------
    sync_batch_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array
    count: Array  # type: ignore[assignment]  # it hides tuple.count


def sync_batch_norm_forward(
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
) -> SyncBatchNormForward:
    """Do :func:`fastnorm.batch_norm_forward` with the statistics of the samples on all ranks.

    Every rank calls this at the same time with its own samples. The results are those of one process with the whole
    batch but for rounding, and the statistics have the same bits on every rank.

    Parameters
    ----------
    x : array_like, or list of array_like
        The samples of this rank, as in :func:`fastnorm.batch_norm_forward`; there may be none. The number of channels
        and the dtype are the same on all ranks. A list is taken for blocks, as if each were a rank's.
    weight, bias, running_mean, running_var, axis, momentum, ddof, eps, offset, activation
        As in :func:`fastnorm.batch_norm_forward`. The options are the same on all ranks.
    allgather : callable or None
        ``allgather(obj)`` returns the list of the objects of all ranks, in rank order, on every rank: the method of
        that name of an mpi4py communicator is one. It is called twice, with three numbers per channel and with none.
        None: this process has all samples.

    Returns
    -------
    SyncBatchNormForward
        ``y`` in the form of `x`; ``mean``, ``rstd`` and ``count`` of shape (C,) in float64, for the backward.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, if a channel has one value on all ranks together, if ranks disagree on what
        must be the same, or if `allgather` returns something else.
    TypeError
        If an argument has another type or dtype.
    RuntimeError
        If another rank raised an error of any other type.

    See Also
    --------
    fastnorm.batch_norm_forward : The same of data in one process.

    Notes
    -----
    An error of one rank is raised on all ranks, and no running statistics have changed then.

    Examples
    --------
    Two ranks as blocks of one process:

    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import sync_batch_norm_forward
    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> y, mean, rstd, count = sync_batch_norm_forward([x[:1], x[1:]], allgather=None)
    >>> mean, count
    (array([3.]), array([3.]))
    >>> np.allclose(np.concatenate(y), fn.batch_norm_forward(x).y)
    True
    """
    options = {"momentum": momentum, "ddof": ddof, "eps": eps, "offset": offset, "activation": activation}
    forward = _norms.Forward(_norms.BATCH, axis, x, weight, bias, (running_mean, running_var), **options)
    return SyncBatchNormForward(*forward.run(allgather))


def sync_batch_norm_backward(
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
    """Gradients of :func:`sync_batch_norm_forward`.

    Parameters
    ----------
    dy, x : array_like, or lists of array_like
        Gradient of the output, and the input of the forward pass, of this rank.
    weight : array_like, shape (C,), or None
        Scale of the forward pass.
    mean, rstd, count : array_like, shape (C,)
        What the forward pass returned.
    allgather : callable or None
        As in the forward; it is called twice, with two numbers per channel and with none.
    axis : int, optional
        The channel axis.
    offset : float, optional
        That of the forward pass, the same on all ranks.
    grad_mask : three bools, optional
        Which of ``dx``, ``dweight``, ``dbias`` to compute; the others are None.

    Returns
    -------
    Gradients
        ``dx`` in the form of `x`. ``dweight`` and ``dbias`` are this rank's part: the program adds them up over the
        ranks, with the gradients of all other parameters.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in the forward.

    See Also
    --------
    fastnorm.batch_norm_backward : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import sync_batch_norm_backward, sync_batch_norm_forward
    >>> x, dy = np.random.default_rng(0).standard_normal((2, 6, 3))
    >>> parts, dys = [x[:2], x[2:]], [dy[:2], dy[2:]]
    >>> y, mean, rstd, count = sync_batch_norm_forward(parts, allgather=None)
    >>> dx, dweight, dbias = sync_batch_norm_backward(dys, parts, None, mean, rstd, count, allgather=None)
    >>> np.allclose(np.concatenate(dx), fn.batch_norm_backward(dy, x, None, mean, rstd).dx)
    True
    """
    saved = mean, rstd, count
    return _norms.Backward(_norms.BATCH, axis, dy, x, (weight, offset), saved, grad_mask).run(allgather)

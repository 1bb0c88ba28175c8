"""Group and instance normalization: statistics per sample and group of channels, or per sample and channel.

Instance normalization is group normalization with one channel to a group.
"""

import numpy.typing as npt

from . import _core
from ._types import ALL, Activation, Array, Gradients, GradMask, GroupNormForward, InstanceNormForward


def group_norm(
    x: npt.ArrayLike,
    num_groups: int,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Normalize every group of neighbouring channels of every sample.

    ``y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias`` [1]_, with the statistics of the ``C // num_groups``
    channels of a group over all axes but the sample axis 0, and ``weight`` and ``bias`` per channel.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data with two or more dimensions, in any memory layout; axis 0 is the sample axis.
    num_groups : int
        A divisor of the number of channels.
    weight, bias : array_like, shape (C,), optional
        Scale and shift, in the dtype of `x` or a wider one; None stands for ones and zeros. Also of as many dimensions
        as `x` and a shape that broadcasts against it: ``(N, C, 1, 1)`` are a scale and a shift for every sample.
    axis : int, optional
        The channel axis, with C channels; not 0.
    eps : float, optional
        Added to the variance; finite and >= 0.
    offset : float, optional
        Added to the weight, also to the ones that None stands for.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count in the statistics, but are
        normalized too. A group without an element that counts has mean and rstd 0, so that `y` is `bias`.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    group_norm_forward : The statistics too, for training.
    group_norm_backward : The gradients.
    nn.GroupNorm : The layer.

    References
    ----------
    .. [1] Wu, He: Group normalization, 2018, https://arxiv.org/abs/1803.08494

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), num_groups=2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    return _core.group_norm(x, num_groups, axis, weight, bias, eps, offset, activation, None, where, out)


def group_norm_forward(
    x: npt.ArrayLike,
    num_groups: int,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> GroupNormForward:
    """Do :func:`group_norm` and keep the statistics for the backward.

    Parameters
    ----------
    x, num_groups, weight, bias, axis, eps, offset, activation, where, out
        As in :func:`group_norm`.

    Returns
    -------
    GroupNormForward
        ``y`` like `x`; ``mean`` and ``rstd = 1 / sqrt(var + eps)`` of shape (N, num_groups) in float64.

    Raises
    ------
    ValueError, TypeError
        As in :func:`group_norm`.

    See Also
    --------
    group_norm : The output alone, for inference.
    group_norm_backward : The gradients.
    nn.GroupNorm : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, mean, rstd = fn.group_norm_forward(np.array([[1.0, 3.0, 10.0, 30.0]]), num_groups=2, eps=0.0)
    >>> mean, rstd
    (array([[ 2., 20.]]), array([[1. , 0.1]]))
    """
    return GroupNormForward(
        *_core.group_norm_forward(x, num_groups, axis, weight, bias, eps, offset, activation, None, where, out)
    )


def group_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    num_groups: int,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    axis: int = 1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of group normalization.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * (offset + weight)``, and averages over a group::

        dx = rstd * (g - average(g) - xhat * average(g * xhat))

    ``dweight`` and ``dbias`` are the sums of ``dy * xhat`` and ``dy`` over all axes but `axis`.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, float16, bfloat16, float32 or float64
        Input of the forward pass.
    num_groups : int
        A divisor of the number of channels.
    weight : array_like, shape (C,), or None
        Scale of the forward pass.
    mean, rstd : array_like, shape (N, num_groups)
        Statistics of the forward pass, in float64 as it returned them or in float32.
    axis : int, optional
        The channel axis, with C channels; not 0.
    offset : float, optional
        That of the forward pass.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        That of the forward pass, whose result is computed again.
    bias : array_like, optional
        Shift of the forward pass; it counts only if there is an activation.
    where : array_like of bool, optional
        The mask of the forward pass; elements outside do not count in any sum, and their `dx` is ``g * rstd``.
    grad_mask : three bools, optional
        Which of ``dx``, ``dweight``, ``dbias`` to compute; the others are None.

    Returns
    -------
    Gradients
        ``dx`` like `x`; ``dweight`` and ``dbias`` of the shape and dtype of `weight` (``dbias`` of the shape of `bias`
        if that is given); without one, of shape (C,) in the dtype of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    group_norm : The output alone, for inference.
    group_norm_forward : The statistics too, for training.
    nn.GroupNorm : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[1.0, 3.0, 10.0, 30.0]]), np.ones((1, 4))
    >>> y, mean, rstd = fn.group_norm_forward(x, 2, eps=0.0)
    >>> fn.group_norm_backward(dy, x, 2, None, mean, rstd).dweight
    array([-1.,  1., -1.,  1.])
    """
    options = weight, bias, offset, activation, where
    return Gradients(*_core.group_norm_backward(dy, x, num_groups, mean, rstd, axis, *options, grad_mask))


def instance_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Normalize every channel of every sample.

    ``y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias`` [1]_, with the statistics of one channel of one
    sample, and ``weight`` and ``bias`` per channel. With running statistics instead it is :func:`batch_norm`.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data with two or more dimensions, in any memory layout; axis 0 is the sample axis.
    weight, bias : array_like, shape (C,), optional
        Scale and shift, in the dtype of `x` or a wider one; None stands for ones and zeros. Also of as many dimensions
        as `x` and a shape that broadcasts against it: ``(N, C, 1, 1)`` are a scale and a shift for every sample.
    axis : int, optional
        The channel axis, with C channels; not 0.
    eps : float, optional
        Added to the variance; finite and >= 0.
    offset : float, optional
        Added to the weight, also to the ones that None stands for.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count in the statistics, but are
        normalized too. A group without an element that counts has mean and rstd 0, so that `y` is `bias`.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    instance_norm_forward : The statistics too, for training.
    instance_norm_backward : The gradients.
    nn.InstanceNorm : The layer.

    References
    ----------
    .. [1] Ulyanov, Vedaldi, Lempitsky: Instance normalization: the missing ingredient for fast stylization, 2016,
       https://arxiv.org/abs/1607.08022

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    return _core.instance_norm(x, axis, weight, bias, eps, offset, activation, None, where, out)


def instance_norm_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    *,
    axis: int = 1,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> InstanceNormForward:
    """Do :func:`instance_norm`, keep the statistics for the backward, and update the running ones.

    In place, ``running = (1 - momentum) * running + momentum * batch``, where ``batch`` is the average of the samples'
    statistics, their variances divided by ``n - ddof`` with n values per channel and sample.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, activation, where, out
        As in :func:`instance_norm`.
    running_mean, running_var : ndarray, shape (C,), optional
        Buffers to update, in the dtype of `x` or float64: both or neither. They must not share memory with each other
        or with any other argument.
    momentum : float, optional
        The share of this batch in the running statistics, from 0 to 1.
    ddof : float, optional
        Taken off n in the running variance.

    Returns
    -------
    InstanceNormForward
        ``y`` like `x`; ``mean`` and ``rstd = 1 / sqrt(var + eps)`` of shape (N, C) in float64.

    Raises
    ------
    ValueError
        As in :func:`instance_norm`, and if a channel of a sample has one value only.
    TypeError
        As in :func:`instance_norm`.

    See Also
    --------
    instance_norm : The output alone, for inference.
    instance_norm_backward : The gradients.
    nn.InstanceNorm : The layer.

    Notes
    -----
    If `x` is empty the buffers stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, mean, rstd = fn.instance_norm_forward(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=0.0)
    >>> mean, rstd
    (array([[ 2., 20.]]), array([[1. , 0.1]]))
    """
    running = running_mean, running_var, momentum, ddof
    return InstanceNormForward(
        *_core.instance_norm_forward(x, *running, axis, weight, bias, eps, offset, activation, None, where, out)
    )


def instance_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    axis: int = 1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of instance normalization: those of :func:`group_norm_backward` with one channel to a group.

    Parameters
    ----------
    dy, x, weight, axis, offset, activation, bias, where, grad_mask
        As in :func:`group_norm_backward`.
    mean, rstd : array_like, shape (N, C)
        Statistics of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    Gradients
        As in :func:`group_norm_backward`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`group_norm_backward`.

    See Also
    --------
    instance_norm : The output alone, for inference.
    instance_norm_forward : The statistics too, for training.
    nn.InstanceNorm : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[[1.0, 3.0, 5.0]]]), np.array([[[0.0, 1.0, 0.0]]])
    >>> y, mean, rstd = fn.instance_norm_forward(x)
    >>> fn.instance_norm_backward(dy, x, None, mean, rstd).dx.round(3)
    array([[[-0.204,  0.408, -0.204]]])
    """
    options = weight, bias, offset, activation, where
    return Gradients(*_core.instance_norm_backward(dy, x, mean, rstd, True, axis, *options, grad_mask))

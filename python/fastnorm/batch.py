"""Batch normalization: statistics per channel, over samples and positions."""

import numpy.typing as npt

from . import _core
from ._types import ALL, Activation, Array, BatchNormForward, Gradients, GradMask
from .quantization import Quantize


def batch_norm(
    x: npt.ArrayLike,
    running_mean: npt.ArrayLike,
    running_var: npt.ArrayLike | None,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    mean_only: bool = False,
    activation: Activation | None = None,
    quantize: Quantize | None = None,
    out: Array | None = None,
) -> Array:
    """Normalize with the running statistics of each channel (evaluation mode).

    ``y = (x - running_mean) / sqrt(running_var + eps) * (offset + weight) + bias`` [1]_, and ``running_mean``
    subtracted first, so that a mean that is large against the spread costs no digits.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data with two or more dimensions, in any memory layout.
    running_mean, running_var : array_like, shape (C,)
        Statistics of the channels, in the dtype of `x` or float64.
    weight, bias : array_like, shape (C,), optional
        Scale and shift, in the dtype of `x` or a wider one; None stands for ones and zeros. Also of as many dimensions
        as `x` and a shape that broadcasts against it: ``(N, C, 1, 1)`` are a scale and a shift for every sample.
    axis : int, optional
        The channel axis, with C channels.
    eps : float, optional
        Added to the variance; finite and >= 0. Where the sum is 0 the result is `bias`, where it is negative NaN.
    offset : float, optional
        Added to the weight, also to the ones that None stands for.
    mean_only : bool, optional
        Subtract the mean and divide by nothing, ``y = (x - running_mean) * (offset + weight) + bias``, as goes with
        weight normalization; then `running_var` is not used and may be None [2]_.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    quantize : Quantize, optional
        How the result is rounded to int8 or uint8, which `out` has to have then.
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
    batch_norm_forward : The statistics too, for training.
    batch_norm_backward : The gradients.
    nn.BatchNorm : The layer.
    fold_batch_norm : Inference as part of the layer before.

    References
    ----------
    .. [1] Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate
       shift, 2015, https://arxiv.org/abs/1502.03167
    .. [2] Salimans, Kingma: Weight normalization: a simple reparameterization to accelerate training of deep neural
       networks, 2016, https://arxiv.org/abs/1602.07868

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 40.0], [3.0, 40.0]])
    >>> fn.batch_norm(x, running_mean=[2.0, 20.0], running_var=[1.0, 100.0], eps=0.0)
    array([[-1.,  2.],
           [ 1.,  2.]])
    """
    return _core.batch_norm(
        x, running_mean, running_var, mean_only, axis, weight, bias, eps, offset, activation, quantize, None, out
    )


def batch_norm_forward(
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
    mean_only: bool = False,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> BatchNormForward:
    """Normalize with the batch's own statistics of each channel, and update the running ones (training mode).

    ``y = (x - mean) * rstd * (offset + weight) + bias`` [1]_ with ``rstd = 1 / sqrt(var + eps)``, where ``var`` is the
    sum of squared deviations divided by their number n. In place, ``running = (1 - momentum) * running + momentum *
    batch``, where the batch's variance is divided by ``n - ddof``.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data with two or more dimensions, in any memory layout.
    weight, bias : array_like, shape (C,), optional
        Scale and shift, in the dtype of `x` or a wider one; None stands for ones and zeros. Also of as many dimensions
        as `x` and a shape that broadcasts against it: ``(N, C, 1, 1)`` are a scale and a shift for every sample.
    running_mean, running_var : ndarray, shape (C,), optional
        Buffers to update, in the dtype of `x` or float64: both or neither. They must not share memory with each other
        or with any other argument.
    axis : int, optional
        The channel axis, with C channels.
    momentum : float, optional
        The share of this batch in the running statistics, from 0 to 1, as in PyTorch; that of ONNX, Keras and Flax
        is one minus this.
    ddof : float, optional
        Taken off n in the running variance: 1 as in PyTorch, 0 as in ONNX, Keras and Flax.
    eps : float, optional
        Added to the variance; finite and >= 0.
    offset : float, optional
        Added to the weight, also to the ones that None stands for.
    mean_only : bool, optional
        Subtract the mean and divide by nothing, ``y = (x - mean) * (offset + weight) + bias``, as goes with weight
        normalization; then ``rstd`` is 1, and `running_var` is left alone and may be None [2]_.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count in the statistics, but are
        normalized too. A group without an element that counts has mean and rstd 0, so that `y` is `bias`.
    out : ndarray, optional
        Where to put `y`: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    BatchNormForward
        ``y`` like `x`; ``mean`` and ``rstd`` of shape (C,) in float64, for the backward.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, if a channel has one value only, or if `out` or a buffer cannot be
        written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    batch_norm : The output alone, for inference.
    batch_norm_backward : The gradients.
    nn.BatchNorm : The layer.
    fold_batch_norm : Inference as part of the layer before.

    Notes
    -----
    If `x` is empty the buffers stay as they are; the statistics of channels without a value are NaN.

    References
    ----------
    .. [1] Ioffe, Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate
       shift, 2015, https://arxiv.org/abs/1502.03167
    .. [2] Salimans, Kingma: Weight normalization: a simple reparameterization to accelerate training of deep neural
       networks, 2016, https://arxiv.org/abs/1602.07868

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 40.0], [3.0, 40.0]])
    >>> running_mean, running_var = np.zeros(2), np.ones(2)
    >>> y, mean, rstd = fn.batch_norm_forward(x, running_mean=running_mean, running_var=running_var, eps=0.0)
    >>> y
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> running_mean, running_var
    (array([0.2, 4. ]), array([1.1, 0.9]))
    """
    running = running_mean, running_var, momentum, ddof, mean_only
    return BatchNormForward(
        *_core.batch_norm_forward(x, *running, axis, weight, bias, eps, offset, activation, None, where, out)
    )


def batch_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    axis: int = 1,
    training: bool = True,
    offset: float = 0.0,
    mean_only: bool = False,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of batch normalization.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * (offset + weight)``, and sums over all axes but `axis`::

        dx = rstd * (g - sum(g) / n - xhat * sum(g * xhat) / n)      dweight = sum(dy * xhat)      dbias = sum(dy)

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, float16, bfloat16, float32 or float64
        Input of the forward pass.
    weight : array_like, shape (C,), or None
        Scale of the forward pass.
    mean, rstd : array_like, shape (C,)
        Statistics of the forward pass, in float64 as it returned them or in float32.
    axis : int, optional
        The channel axis, with C channels.
    training : bool, optional
        False if the statistics were constants, as in :func:`batch_norm`: ``dx = g * rstd``.
    offset : float, optional
        That of the forward pass.
    mean_only : bool, optional
        That of the forward pass: ``dx = rstd * (g - sum(g) / n)``.
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
    batch_norm : The output alone, for inference.
    batch_norm_forward : The statistics too, for training.
    nn.BatchNorm : The layer.
    fold_batch_norm : Inference as part of the layer before.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> dy = np.array([[1.0], [0.0], [0.0]])
    >>> y, mean, rstd = fn.batch_norm_forward(x)
    >>> dx, dweight, dbias = fn.batch_norm_backward(dy, x, None, mean, rstd)
    >>> dx.round(3), dbias
    (array([[ 0.102],
           [-0.204],
           [ 0.102]]), array([1.]))
    """
    options = weight, bias, offset, activation, where
    return Gradients(*_core.batch_norm_backward(dy, x, mean, rstd, training, mean_only, axis, *options, grad_mask))

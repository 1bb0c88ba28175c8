"""Layer and root mean square normalization: statistics per sample, over the normalized axes.

The two are one computation: root mean square normalization leaves out the mean, and may add a constant to the weight.
"""

from collections.abc import Sequence
from typing import TypeAlias, overload

import numpy.typing as npt

from . import _core
from ._types import ALL, Activation, Array, Gradients, GradMask, LayerNormForward, Quantized, RMSNormForward
from .quantization import Quantize, QuantizeRows

# Where rows in bytes go: y, scale, zero point.
Triple: TypeAlias = tuple[Array | None, Array | None, Array | None]


@overload
def layer_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = ...,
    bias: npt.ArrayLike | None = ...,
    *,
    axis: int | Sequence[int] = ...,
    eps: float = ...,
    offset: float = ...,
    activation: Activation | None = ...,
    quantize: Quantize | None = ...,
    where: npt.ArrayLike | None = ...,
    out: Array | None = ...,
) -> Array: ...


@overload
def layer_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = ...,
    bias: npt.ArrayLike | None = ...,
    *,
    axis: int | Sequence[int] = ...,
    eps: float = ...,
    offset: float = ...,
    activation: Activation | None = ...,
    quantize: QuantizeRows,
    where: npt.ArrayLike | None = ...,
    out: Triple | None = ...,
) -> Quantized: ...


def layer_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    quantize: Quantize | QuantizeRows | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | Triple | None = None,
) -> Array | Quantized:
    """Normalize over the given axes, to mean 0 and variance 1 before scale and shift.

    ``y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias`` [1]_, where ``var`` is the sum of squared deviations
    divided by their number. Where all values are the same, ``y`` is exactly `bias`.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data in any memory layout.
    weight, bias : array_like, optional
        Scale and shift, of the shape of the normalized axes in the order they stand in `x`, or of as many dimensions
        as `x` and a shape that broadcasts against it (one of their own for every sample, say), in the dtype of `x` or
        a wider one; None stands for ones and zeros.
    axis : int or sequence of ints, optional
        The normalized axes: any, in any order.
    eps : float, optional
        Added to the variance; finite and >= 0.
    offset : float, optional
        Added to the weight, also to the ones that None stands for.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    quantize : Quantize or QuantizeRows, optional
        How the result is rounded to int8 or uint8, which `out` has to have then. With a scale for every row
        (:class:`QuantizeRows`) the result is ``(y, scale, zero_point)``, and so is `out`.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count in the statistics, but are
        normalized too. A group without an element that counts has mean and rstd 0, so that `y` is `bias`.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `x`; with
        :class:`QuantizeRows` a :class:`Quantized`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    layer_norm_forward : The statistics too, for training.
    layer_norm_backward : The gradients.
    nn.LayerNorm : The layer.
    add_layer_norm : The same of a residual sum.

    References
    ----------
    .. [1] Ba, Kiros, Hinton: Layer normalization, 2016, https://arxiv.org/abs/1607.06450

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), weight=[2.0, 2.0], bias=[0.0, 7.0], eps=0.0)
    array([[-2.,  9.],
           [ 0.,  7.]])
    """
    return _core.layer_norm(x, axis, weight, bias, eps, offset, activation, quantize, where, out)


def layer_norm_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> LayerNormForward:
    """Do :func:`layer_norm` and keep the statistics for the backward.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, activation, where, out
        As in :func:`layer_norm`.

    Returns
    -------
    LayerNormForward
        ``y`` like `x`; ``mean`` and ``rstd = 1 / sqrt(var + eps)`` in float64, of the shape of `x` with length 1 along
        the normalized axes, so that they broadcast against it.

    Raises
    ------
    ValueError, TypeError
        As in :func:`layer_norm`.

    See Also
    --------
    layer_norm : The output alone, for inference.
    layer_norm_backward : The gradients.
    nn.LayerNorm : The layer.
    add_layer_norm : The same of a residual sum.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, mean, rstd = fn.layer_norm_forward(np.array([[1.0, 3.0], [4.0, 8.0]]), eps=0.0)
    >>> mean, rstd
    (array([[2.],
           [6.]]), array([[1. ],
           [0.5]]))
    """
    return LayerNormForward(*_core.layer_norm_forward(x, axis, weight, bias, eps, offset, activation, None, where, out))


def layer_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of layer normalization.

    With ``xhat = (x - mean) * rstd`` and ``g = dy * (offset + weight)``, and averages over the normalized axes::

        dx = rstd * (g - average(g) - xhat * average(g * xhat))

    ``dweight`` and ``dbias`` are the sums of ``dy * xhat`` and ``dy`` over the other axes.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, float16, bfloat16, float32 or float64
        Input of the forward pass.
    weight : array_like or None
        Scale of the forward pass.
    mean, rstd : array_like
        Statistics of the forward pass, in float64 as it returned them or in float32.
    axis : int or sequence of ints, optional
        The normalized axes.
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
        if that is given); without one, of the shape of the normalized axes and the dtype of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    layer_norm : The output alone, for inference.
    layer_norm_forward : The statistics too, for training.
    nn.LayerNorm : The layer.
    add_layer_norm : The same of a residual sum.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[1.0, 3.0, 5.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> y, mean, rstd = fn.layer_norm_forward(x)
    >>> fn.layer_norm_backward(dy, x, None, mean, rstd).dx.round(3)
    array([[-0.204,  0.408, -0.204]])
    """
    return Gradients(
        *_core.layer_norm_backward(dy, x, mean, rstd, axis, weight, bias, offset, activation, where, grad_mask)
    )


@overload
def rms_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = ...,
    bias: npt.ArrayLike | None = ...,
    *,
    axis: int | Sequence[int] = ...,
    eps: float | None = ...,
    offset: float = ...,
    activation: Activation | None = ...,
    quantize: Quantize | None = ...,
    where: npt.ArrayLike | None = ...,
    out: Array | None = ...,
) -> Array: ...


@overload
def rms_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = ...,
    bias: npt.ArrayLike | None = ...,
    *,
    axis: int | Sequence[int] = ...,
    eps: float | None = ...,
    offset: float = ...,
    activation: Activation | None = ...,
    quantize: QuantizeRows,
    where: npt.ArrayLike | None = ...,
    out: Triple | None = ...,
) -> Quantized: ...


def rms_norm(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    quantize: Quantize | QuantizeRows | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | Triple | None = None,
) -> Array | Quantized:
    """Normalize over the given axes, to mean square 1 before scale and shift.

    ``y = x / sqrt(mean(x**2) + eps) * (offset + weight) + bias`` [1]_. The mean is not subtracted.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data in any memory layout.
    weight, bias : array_like, optional
        Scale and shift, of the shape of the normalized axes in the order they stand in `x`, or of as many dimensions
        as `x` and a shape that broadcasts against it (one of their own for every sample, say), in the dtype of `x` or
        a wider one; None stands for ones and zeros.
    axis : int or sequence of ints, optional
        The normalized axes: any, in any order.
    eps : float or None, optional
        Added to the mean square; finite and >= 0. None is the machine epsilon of the arithmetic, which is done in
        the dtype of `x`.
    offset : float, optional
        Added to the weight, also to the ones that None stands for; 1 as in Gemma.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        What the result goes through in the end.
    quantize : Quantize or QuantizeRows, optional
        How the result is rounded to int8 or uint8, which `out` has to have then. With a scale for every row
        (:class:`QuantizeRows`) the result is ``(y, scale, zero_point)``, and so is `out`.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count in the statistics, but are
        normalized too. A group without an element that counts has mean and rstd 0, so that `y` is `bias`.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `x`; with
        :class:`QuantizeRows` a :class:`Quantized`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    rms_norm_forward : The statistics too, for training.
    rms_norm_backward : The gradients.
    nn.RMSNorm : The layer.
    add_rms_norm : The same of a residual sum.

    References
    ----------
    .. [1] Zhang, Sennrich: Root mean square layer normalization, 2019, https://arxiv.org/abs/1910.07467

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.rms_norm(np.array([[1.0, 7.0]]), weight=[5.0, 10.0], eps=0.0)
    array([[ 1., 14.]])
    """
    return _core.rms_norm(x, axis, weight, bias, eps, offset, activation, quantize, where, out)


def rms_norm_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: npt.ArrayLike | None = None,
    out: Array | None = None,
) -> RMSNormForward:
    """Do :func:`rms_norm` and keep the statistic for the backward.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, activation, where, out
        As in :func:`rms_norm`.

    Returns
    -------
    RMSNormForward
        ``y`` like `x`; ``rstd = 1 / sqrt(mean(x**2) + eps)`` in float64, of the shape of `x` with length 1 along the
        normalized axes.

    Raises
    ------
    ValueError, TypeError
        As in :func:`rms_norm`.

    See Also
    --------
    rms_norm : The output alone, for inference.
    rms_norm_backward : The gradients.
    nn.RMSNorm : The layer.
    add_rms_norm : The same of a residual sum.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, rstd = fn.rms_norm_forward(np.array([[1.0, 7.0]]), eps=0.0)
    >>> rstd
    array([[0.2]])
    """
    return RMSNormForward(*_core.rms_norm_forward(x, axis, weight, bias, eps, offset, activation, None, where, out))


def rms_norm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    rstd: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of root mean square normalization.

    With ``xhat = x * rstd`` and ``g = dy * (offset + weight)``, and the average over the normalized axes::

        dx = rstd * (g - xhat * average(g * xhat))

    ``dweight`` and ``dbias`` are the sums of ``dy * xhat`` and ``dy`` over the other axes.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, float16, bfloat16, float32 or float64
        Input of the forward pass.
    weight : array_like or None
        Scale of the forward pass.
    rstd : array_like
        Statistic of the forward pass, in float64 as it returned it or in float32.
    axis : int or sequence of ints, optional
        The normalized axes.
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
        if that is given); without one, of the shape of the normalized axes and the dtype of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    rms_norm : The output alone, for inference.
    rms_norm_forward : The statistics too, for training.
    nn.RMSNorm : The layer.
    add_rms_norm : The same of a residual sum.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[1.0, 7.0]]), np.array([[1.0, 0.0]])
    >>> y, rstd = fn.rms_norm_forward(x, eps=0.0)
    >>> fn.rms_norm_backward(dy, x, None, rstd).dx
    array([[ 0.196, -0.028]])
    """
    return Gradients(*_core.rms_norm_backward(dy, x, rstd, axis, weight, bias, offset, activation, where, grad_mask))

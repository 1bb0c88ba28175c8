"""Normalization of a residual sum in one pass: ``h = x + residual``, ``y = norm(h)``.

The sum is rounded to the dtype of the data before it is normalized, so that the fused functions return the same bits
as an addition followed by a normalization, and the backward, which sees only the rounded sum, fits.
"""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from . import _core
from ._types import ALL, Activation, AddNorm, AddNormForward, AddRMSNormForward, Array, Gradients, GradMask
from .quantization import Quantize, QuantizeRows

Out = Array | tuple[Any, ...]


def add_layer_norm(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    quantize: Quantize | QuantizeRows | None = None,
    out: Out | None = None,
) -> AddNorm:
    """Add and do :func:`layer_norm`: ``h = x + residual``, ``y = layer_norm(h)``.

    Parameters
    ----------
    x, residual : array_like, float16, bfloat16, float32 or float64
        Two arrays of one shape and dtype, in any memory layout.
    weight, bias, axis, eps, offset, activation, quantize
        As in :func:`layer_norm`.
    out : ndarray or pair of ndarrays, optional
        Where to put `y`, or `y` and `h`; None in the pair allocates. Either may be `x` or `residual`, so that
        ``out=(y, residual)`` updates a residual stream in place. With :class:`QuantizeRows` `y` is a triple.

    Returns
    -------
    AddNorm
        ``y``, and ``h`` rounded to the dtype of `x`. With :class:`QuantizeRows` ``y`` is a :class:`Quantized`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    add_layer_norm_forward : The statistics too, for training.
    add_layer_norm_backward : The gradients.
    layer_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, residual = np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]])
    >>> fn.add_layer_norm(x, residual, eps=0.0)
    AddNorm(y=array([[-1.,  1.]]), h=array([[2., 4.]]))
    """
    return AddNorm(*_core.add_layer_norm(x, residual, axis, weight, bias, eps, offset, activation, quantize, None, out))


def add_layer_norm_forward(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Out | None = None,
) -> AddNormForward:
    """Do :func:`add_layer_norm` and keep the statistics for the backward.

    Parameters
    ----------
    x, residual, weight, bias, axis, eps, offset, activation, out
        As in :func:`add_layer_norm`.

    Returns
    -------
    AddNormForward
        ``y``, and ``h`` rounded to the dtype of `x`; ``mean`` and ``rstd`` of ``h`` as in :func:`layer_norm_forward`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`add_layer_norm`.

    See Also
    --------
    add_layer_norm : The output alone, for inference.
    add_layer_norm_backward : The gradients.
    layer_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, h, mean, rstd = fn.add_layer_norm_forward(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]), eps=0.0)
    >>> mean, rstd
    (array([[3.]]), array([[1.]]))
    """
    return AddNormForward(
        *_core.add_layer_norm_forward(x, residual, axis, weight, bias, eps, offset, activation, None, None, out)
    )


def add_layer_norm_backward(
    dy: npt.ArrayLike,
    dh: npt.ArrayLike | None,
    h: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of :func:`add_layer_norm_forward`: ``dx = layer_norm_backward(dy, h) + dh``.

    Parameters
    ----------
    dy : array_like
        Gradient of ``y``, of the shape and dtype of `h`.
    dh : array_like or None
        Gradient that reaches ``h`` from elsewhere; it is added before `dx` is rounded.
    h : array_like
        The sum that the forward pass returned.
    weight, mean, rstd, axis, offset, activation, bias, grad_mask
        As in :func:`layer_norm_backward`.

    Returns
    -------
    Gradients
        ``dx`` is the gradient of both `x` and `residual`; ``dweight`` and ``dbias`` as in
        :func:`layer_norm_backward`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`layer_norm_backward`.

    See Also
    --------
    add_layer_norm : The output alone, for inference.
    add_layer_norm_forward : The statistics too, for training.
    layer_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> h, dy = np.array([[1.0, 3.0, 5.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> y, mean, rstd = fn.layer_norm_forward(h)
    >>> fn.add_layer_norm_backward(dy, np.ones_like(h), h, None, mean, rstd).dx.round(3)
    array([[0.796, 1.408, 0.796]])
    """
    return Gradients(
        *_core.add_layer_norm_backward(dy, dh, h, mean, rstd, axis, weight, bias, offset, activation, None, grad_mask)
    )


def add_rms_norm(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    quantize: Quantize | QuantizeRows | None = None,
    out: Out | None = None,
) -> AddNorm:
    """Add and do :func:`rms_norm`: ``h = x + residual``, ``y = rms_norm(h)``.

    Parameters
    ----------
    x, residual : array_like, float16, bfloat16, float32 or float64
        Two arrays of one shape and dtype, in any memory layout.
    weight, axis, eps, offset, activation, quantize
        As in :func:`rms_norm`.
    out : ndarray or pair of ndarrays, optional
        As in :func:`add_layer_norm`.

    Returns
    -------
    AddNorm
        ``y``, and ``h`` rounded to the dtype of `x`. With :class:`QuantizeRows` ``y`` is a :class:`Quantized`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`add_layer_norm`.

    See Also
    --------
    add_rms_norm_forward : The statistics too, for training.
    add_rms_norm_backward : The gradients.
    rms_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> y, h = fn.add_rms_norm(np.array([[1.0, 6.0]]), np.array([[0.0, 1.0]]), eps=0.0)
    >>> y, h
    (array([[0.2, 1.4]]), array([[1., 7.]]))
    """
    return AddNorm(*_core.add_rms_norm(x, residual, axis, weight, None, eps, offset, activation, quantize, None, out))


def add_rms_norm_forward(
    x: npt.ArrayLike,
    residual: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Out | None = None,
) -> AddRMSNormForward:
    """Do :func:`add_rms_norm` and keep the statistic for the backward.

    Parameters
    ----------
    x, residual, weight, axis, eps, offset, activation, out
        As in :func:`add_rms_norm`.

    Returns
    -------
    AddRMSNormForward
        ``y``, and ``h`` rounded to the dtype of `x`; ``rstd`` of ``h`` as in :func:`rms_norm_forward`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`add_layer_norm`.

    See Also
    --------
    add_rms_norm : The output alone, for inference.
    add_rms_norm_backward : The gradients.
    rms_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.add_rms_norm_forward(np.array([[1.0, 6.0]]), np.array([[0.0, 1.0]]), eps=0.0).rstd
    array([[0.2]])
    """
    return AddRMSNormForward(
        *_core.add_rms_norm_forward(x, residual, axis, weight, None, eps, offset, activation, None, None, out)
    )


def add_rms_norm_backward(
    dy: npt.ArrayLike,
    dh: npt.ArrayLike | None,
    h: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    rstd: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    grad_mask: GradMask = ALL,
) -> Gradients:
    """Gradients of :func:`add_rms_norm_forward`: ``dx = rms_norm_backward(dy, h) + dh``.

    Parameters
    ----------
    dy : array_like
        Gradient of ``y``, of the shape and dtype of `h`.
    dh : array_like or None
        Gradient that reaches ``h`` from elsewhere; it is added before `dx` is rounded.
    h : array_like
        The sum that the forward pass returned.
    weight, rstd, axis, offset, activation, grad_mask
        As in :func:`rms_norm_backward`.

    Returns
    -------
    Gradients
        ``dx`` is the gradient of both `x` and `residual`; ``dweight`` and ``dbias`` as in :func:`rms_norm_backward`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`rms_norm_backward`.

    See Also
    --------
    add_rms_norm : The output alone, for inference.
    add_rms_norm_forward : The statistics too, for training.
    rms_norm : The norm alone.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> h, dy = np.array([[1.0, 7.0]]), np.array([[1.0, 0.0]])
    >>> y, rstd = fn.rms_norm_forward(h, eps=0.0)
    >>> fn.add_rms_norm_backward(dy, None, h, None, rstd).dx
    array([[ 0.196, -0.028]])
    """
    return Gradients(
        *_core.add_rms_norm_backward(dy, dh, h, rstd, axis, weight, None, offset, activation, None, grad_mask)
    )

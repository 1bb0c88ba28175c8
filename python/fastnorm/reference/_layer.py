"""Layer normalization: one group per position, over the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Activation, Array, Gradients, GradMask, LayerNormForward
from ._core import Layout, backward, forward


def layout(x: Array, axis: int | Sequence[int]) -> Layout:
    """View of data that are normalized over `axis`."""
    shape = np.shape(x)
    axes = tuple(sorted(int(a) % len(shape) for a in np.atleast_1d(axis)))
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    return Layout(shape, axes, axes, tuple(shape[a] for a in axes), kept)


def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Layer normalization: the output ``y`` of `layer_norm_forward` and nothing else."""
    return layer_norm_forward(x, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out).y


def layer_norm_forward(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: Array | None = None,
    out: Array | None = None,
) -> LayerNormForward:
    """Layer normalization: y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias.

    Parameters
    ----------
    x : ndarray
        Data.
    weight, bias : ndarray, optional
        Scale and shift, in the shape of the normalized axes of `x`, in the order they stand there; ones and zeros
        if absent.
    axis : int or sequence of int
        Axes that mean and biased variance run over.
    eps : float
        Added to the variance, inside the square root.
    offset : float
        Added to the weight, also to the implicit ones.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        Applied to the result.
    where : ndarray of bool, optional
        Mask that broadcasts against `x`: only the True elements count in the statistics.
    out : ndarray, optional
        Where ``y`` goes.

    Returns
    -------
    LayerNormForward
        ``y`` in the shape of `x`; ``mean`` and ``rstd`` with the normalized axes of length 1.

    References
    ----------
    Ba, Kiros, Hinton: Layer normalization, 2016.
    """
    y, mean, rstd, _ = forward(
        x, layout(x, axis), weight, bias, eps=eps, offset=offset, activation=activation, where=where, out=out
    )
    return LayerNormForward(y, mean, rstd)


def layer_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: Array | None = None,
    where: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of layer normalization.

    With xhat = (x - mean) * rstd, g = dy * (offset + weight) and averages over each group,
    dx = rstd * (g - mean(g) - xhat * mean(g * xhat)); dweight = sum(dy * xhat) and dbias = sum(dy) over the axes
    that are not normalized.

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input.
    weight, bias : ndarray or None
        As in the forward; `bias` counts only with an `activation`.
    mean, rstd : ndarray
        Statistics that the forward returned.
    axis, offset, activation, where
        As in the forward.
    grad_mask : (bool, bool, bool)
        Which of the three gradients to compute.

    Returns
    -------
    Gradients
        ``dx`` in the shape of `x`, ``dweight`` and ``dbias`` in the shape of the normalized axes.
    """
    return backward(
        dy,
        x,
        layout(x, axis),
        weight,
        bias,
        mean,
        rstd,
        offset=offset,
        activation=activation,
        where=where,
        grad_mask=grad_mask,
    )

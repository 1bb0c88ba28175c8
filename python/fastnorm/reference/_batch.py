"""Batch normalization: one group per channel, over the samples and all positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._types import Activation, Array, BatchNormForward, Gradients, GradMask
from ._activation import activate
from ._core import Layout, affine, backward, deliver, forward, promote, reciprocal_root
from ._running import update


def layout(x: Array, axis: int) -> Layout:
    """View of data that are normalized per index of `axis`."""
    shape, axis = np.shape(x), axis % np.ndim(x)
    channels = (shape[axis],)
    return Layout(shape, tuple(a for a in range(len(shape)) if a != axis), (axis,), channels, channels)


@np.errstate(all="ignore")
def batch_norm(
    x: Array,
    running_mean: Array,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    mean_only: bool = False,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Batch normalization with running statistics.

    y = (x - running_mean) / sqrt(running_var + eps) * (offset + weight) + bias

    Parameters
    ----------
    x : ndarray
        Data, C channels along `axis`.
    running_mean, running_var : ndarray, shape (C,)
        Statistics, constants here.
    weight, bias : ndarray, shape (C,), optional
        Scale and shift; ones and zeros if absent.
    axis : int
        Channel axis.
    eps : float
        Added to the variance, inside the square root.
    offset : float
        Added to the weight, also to the implicit ones.
    mean_only : bool
        y = (x - running_mean) * (offset + weight) + bias.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        Applied to the result.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        In the shape of `x`.

    References
    ----------
    Ioffe, Szegedy: Batch normalization: Accelerating deep network training by reducing internal covariate shift,
    2015.
    """
    x, view = promote(x), layout(x, axis)
    rstd = np.asarray(1.0) if mean_only or running_var is None else reciprocal_root(view.statistic(running_var) + eps)
    xhat = (x - view.statistic(running_mean)) * rstd
    return deliver(activate(activation, affine(xhat, view, weight, bias, offset)), out)


def batch_norm_forward(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
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
    where: Array | None = None,
    out: Array | None = None,
) -> BatchNormForward:
    """Batch normalization with the batch's statistics: y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias.

    Mean and biased variance are those of each channel, over the elements where `where` is True.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, mean_only, activation, out
        As in `batch_norm`.
    running_mean, running_var : ndarray, shape (C,), optional
        Updated in place: new = (1 - momentum) * old + momentum * batch, the batch's variance divided by
        ``count - ddof``.
    momentum, ddof : float
        Of that update.
    where : ndarray of bool, optional
        Mask that broadcasts against `x`.

    Returns
    -------
    BatchNormForward
        ``y`` in the shape of `x`, ``mean`` and ``rstd`` in the shape (C,).

    References
    ----------
    Ioffe, Szegedy, 2015.
    """
    options: dict[str, Any] = {"eps": eps, "offset": offset, "mean_only": mean_only, "activation": activation}
    y, mean, rstd, s = forward(x, layout(x, axis), weight, bias, where=where, out=out, **options)
    update(running_mean, None if mean_only else running_var, s, (1, mean.size), momentum, ddof)
    return BatchNormForward(y, mean, rstd)


def batch_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    axis: int = 1,
    training: bool = True,
    offset: float = 0.0,
    mean_only: bool = False,
    activation: Activation | None = None,
    bias: Array | None = None,
    where: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of batch normalization.

    With xhat = (x - mean) * rstd and averages over each channel's elements,
    dx = (offset + weight) * rstd * (dy - mean(dy) - xhat * mean(dy * xhat)), dweight = sum(dy * xhat), dbias = sum(dy).

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input.
    weight, bias : ndarray, shape (C,), or None
        As in the forward; `bias` counts only with an `activation`.
    mean, rstd : ndarray, shape (C,)
        Statistics that the forward returned, or if not `training` those it was given.
    axis, offset, mean_only, activation, where
        As in the forward.
    training : bool
        Whether the statistics were those of `x`. If they were constants, dx = dy * (offset + weight) * rstd.
    grad_mask : (bool, bool, bool)
        Which of the three gradients to compute.

    Returns
    -------
    Gradients
        ``dx`` in the shape of `x`, ``dweight`` and ``dbias`` in the shape (C,).
    """
    return backward(
        dy,
        x,
        layout(x, axis),
        weight,
        bias,
        mean,
        rstd,
        training=training,
        mean_only=mean_only,
        offset=offset,
        activation=activation,
        where=where,
        grad_mask=grad_mask,
    )

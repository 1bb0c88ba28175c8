"""Instance normalization: one group per sample and channel, over all positions."""

from __future__ import annotations

import numpy as np

from .._types import Activation, Array, Gradients, GradMask, InstanceNormForward
from ._core import forward
from ._group import group_norm_backward, layout
from ._running import update


def instance_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Instance normalization: the output ``y`` of `instance_norm_forward` and nothing else."""
    return instance_norm_forward(x, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out).y


def instance_norm_forward(
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
    activation: Activation | None = None,
    where: Array | None = None,
    out: Array | None = None,
) -> InstanceNormForward:
    """Instance normalization: group normalization with one channel per group.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, activation, where, out
        As in `group_norm_forward`.
    running_mean, running_var : ndarray, shape (C,), optional
        Updated in place: new = (1 - momentum) * old + momentum * batch, where batch is the average over the samples
        of their means, or of their variances divided by ``count - ddof``.
    momentum, ddof : float
        Of that update.

    Returns
    -------
    InstanceNormForward
        ``y`` in the shape of `x`, ``mean`` and ``rstd`` in the shape (N, C).

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky: Instance normalization: The missing ingredient for fast stylization, 2016.
    """
    y, mean, rstd, s = forward(
        x,
        layout(x, np.shape(x)[axis], axis),
        weight,
        bias,
        eps=eps,
        offset=offset,
        activation=activation,
        where=where,
        out=out,
    )
    update(running_mean, running_var, s, (mean.shape[0], mean.shape[1]), momentum, ddof)
    return InstanceNormForward(y, mean, rstd)


def instance_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    axis: int = 1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: Array | None = None,
    where: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of instance normalization: those of group normalization with one channel per group.

    Parameters
    ----------
    dy, x, weight, axis, offset, activation, bias, where, grad_mask
        As in `group_norm_backward`.
    mean, rstd : ndarray, shape (N, C)
        Statistics that the forward returned.

    Returns
    -------
    Gradients
        ``dx`` in the shape of `x`, ``dweight`` and ``dbias`` in the shape (C,).
    """
    return group_norm_backward(
        dy,
        x,
        np.shape(x)[axis],
        weight,
        mean,
        rstd,
        axis=axis,
        offset=offset,
        activation=activation,
        bias=bias,
        where=where,
        grad_mask=grad_mask,
    )

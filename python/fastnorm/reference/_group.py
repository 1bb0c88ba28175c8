"""Group normalization: one group per sample and run of channels, over these and all positions."""

from __future__ import annotations

import numpy as np

from .._types import Activation, Array, Gradients, GradMask, GroupNormForward
from ._core import Layout, backward, forward


def layout(x: Array, num_groups: int, axis: int) -> Layout:
    """View of data whose channels are normalized in groups."""
    shape, axis = np.shape(x), axis % np.ndim(x)
    channels = shape[axis]
    view = (*shape[:axis], num_groups, channels // max(num_groups, 1), *shape[axis + 1 :])
    reduced = tuple(a for a in range(1, len(view)) if a != axis)
    return Layout(view, reduced, (axis, axis + 1), (channels,), (shape[0], num_groups), axis)


def group_norm(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Group normalization: the output ``y`` of `group_norm_forward` and nothing else."""
    return group_norm_forward(
        x, num_groups, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out
    ).y


def group_norm_forward(
    x: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: Array | None = None,
    out: Array | None = None,
) -> GroupNormForward:
    """Group normalization: y = (x - mean) / sqrt(var + eps) * (offset + weight) + bias.

    Mean and biased variance are those of ``C // num_groups`` consecutive channels of one sample, at all positions.

    Parameters
    ----------
    x : ndarray
        Data, N samples along axis 0 and C channels along `axis`.
    num_groups : int
        Number of groups, which divides C.
    weight, bias : ndarray, shape (C,), optional
        Scale and shift; ones and zeros if absent.
    axis : int
        Channel axis, not 0.
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
    GroupNormForward
        ``y`` in the shape of `x`, ``mean`` and ``rstd`` in the shape (N, num_groups).

    References
    ----------
    Wu, He: Group normalization, 2018.
    """
    y, mean, rstd, _ = forward(
        x,
        layout(x, num_groups, axis),
        weight,
        bias,
        eps=eps,
        offset=offset,
        activation=activation,
        where=where,
        out=out,
    )
    return GroupNormForward(y, mean, rstd)


def group_norm_backward(
    dy: Array,
    x: Array,
    num_groups: int,
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
    """Gradients of group normalization.

    With xhat = (x - mean) * rstd, g = dy * (offset + weight) and averages over each group,
    dx = rstd * (g - mean(g) - xhat * mean(g * xhat)); dweight = sum(dy * xhat) and dbias = sum(dy) over samples and
    positions.

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input.
    weight, bias : ndarray, shape (C,), or None
        As in the forward; `bias` counts only with an `activation`.
    mean, rstd : ndarray, shape (N, num_groups)
        Statistics that the forward returned.
    num_groups, axis, offset, activation, where
        As in the forward.
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
        layout(x, num_groups, axis),
        weight,
        bias,
        mean,
        rstd,
        offset=offset,
        activation=activation,
        where=where,
        grad_mask=grad_mask,
    )

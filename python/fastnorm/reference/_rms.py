"""Root mean square normalization: one group per position, over the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Activation, Array, Gradients, GradMask, RMSNormForward
from ._core import backward, forward
from ._layer import layout


def resolve_eps(eps: float | None, x: Array) -> float:
    """Return `eps`, for None the spacing of the numbers at 1 in the type that data like `x` are computed in."""
    if eps is not None:
        return eps
    return float(np.finfo(np.float32 if np.asarray(x).dtype.itemsize <= 4 else np.float64).eps)


def rms_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Root mean square normalization: the output ``y`` of `rms_norm_forward` and nothing else."""
    return rms_norm_forward(x, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out).y


def rms_norm_forward(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    where: Array | None = None,
    out: Array | None = None,
) -> RMSNormForward:
    """Root mean square normalization: y = x / sqrt(mean(x**2) + eps) * (offset + weight) + bias.

    Parameters
    ----------
    x, weight, bias, axis, activation, where, out
        As in `layer_norm_forward`.
    eps : float, optional
        Added to the mean square, inside the square root. None is the machine epsilon of float64 for float64, of
        float32 for narrower data.
    offset : float
        Added to the weight, also to the implicit ones.

    Returns
    -------
    RMSNormForward
        ``y`` in the shape of `x`; ``rstd`` with the normalized axes of length 1.

    References
    ----------
    Zhang, Sennrich: Root mean square layer normalization, 2019.
    """
    y, _, rstd, _ = forward(
        x,
        layout(x, axis),
        weight,
        bias,
        eps=resolve_eps(eps, x),
        offset=offset,
        centred=False,
        activation=activation,
        where=where,
        out=out,
    )
    return RMSNormForward(y, rstd)


def rms_norm_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    rstd: Array,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: Array | None = None,
    where: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of root mean square normalization.

    With xhat = x * rstd, g = dy * (offset + weight) and averages over each group,
    dx = rstd * (g - xhat * mean(g * xhat)); dweight = sum(dy * xhat) and dbias = sum(dy) over the axes that are not
    normalized.

    Parameters
    ----------
    dy, x, weight, rstd, axis, activation, bias, where, grad_mask
        As in `layer_norm_backward`.
    offset : float
        As in the forward.

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
        None,
        rstd,
        offset=offset,
        activation=activation,
        where=where,
        grad_mask=grad_mask,
    )

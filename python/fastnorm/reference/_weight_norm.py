"""Weight normalization: weights as directions and lengths."""

from __future__ import annotations

import numpy as np

from .._types import Array, WeightNormForward, WeightNormGradients
from ._core import deliver, others, promote, total


def weight_norm(v: Array, g: Array, *, axis: int | None = 0, eps: float = 0.0, out: Array | None = None) -> Array:
    """Weight normalization: the weights ``w`` of `weight_norm_forward` and nothing else."""
    return weight_norm_forward(v, g, axis=axis, eps=eps, out=out).w


@np.errstate(all="ignore")
def weight_norm_forward(
    v: Array, g: Array, *, axis: int | None = 0, eps: float = 0.0, out: Array | None = None
) -> WeightNormForward:
    """Weight normalization: w = g * v / norm, norm = sqrt(sum(v**2) + eps).

    Parameters
    ----------
    v : ndarray
        Directions.
    g : ndarray
        Lengths, with length 1 everywhere but along `axis`; for ``axis=None`` any array of one element.
    axis : int or None
        The axis that the norm does not run over; None is one norm of the whole array.
    eps : float
        Added inside the square root. Without it a zero norm gives NaN.
    out : ndarray, optional
        Where ``w`` goes.

    Returns
    -------
    WeightNormForward
        ``w`` in the shape of `v`, ``norm`` with length 1 everywhere but along `axis`.

    References
    ----------
    Salimans, Kingma: Weight normalization: A simple reparameterization to accelerate training of deep neural
    networks, 2016.
    """
    v = promote(v)
    norm = np.sqrt(total(v * v, others(v, axis)) + eps)
    w = promote(g).reshape(norm.shape) * v / norm
    return WeightNormForward(deliver(w, out), norm)


@np.errstate(all="ignore")
def weight_norm_backward(dw: Array, v: Array, g: Array, norm: Array, *, axis: int | None = 0) -> WeightNormGradients:
    """Gradients of weight normalization.

    With s = sum(v * dw) over the axes of the norm, dg = s / norm and dv = g / norm * (dw - v * s / norm**2).

    Parameters
    ----------
    dw, v, g : ndarray
        Gradient of the weights, and the arguments of the forward.
    norm : ndarray
        What the forward returned.
    axis : int or None
        As in the forward.

    Returns
    -------
    WeightNormGradients
        ``dv`` in the shape of `v`, ``dg`` in the shape of `g`.
    """
    dw, v, norm = promote(dw), promote(v), promote(norm)
    norm = norm.reshape(total(v, others(v, axis)).shape)
    s = total(v * dw, others(v, axis))
    dv = promote(g).reshape(norm.shape) / norm * (dw - v * s / norm**2)
    return WeightNormGradients(dv, (s / norm).reshape(np.shape(g)))

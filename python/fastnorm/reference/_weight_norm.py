"""Weight normalization: weights as directions and lengths."""

from __future__ import annotations

import numpy as np

from .._types import Array, WeightNormForward, WeightNormGradients, WeightNormInit
from ._core import deliver, promote, reciprocal_root, statistics, total
from ._filters import Axis, filters


def weight_norm(
    v: Array, g: Array, *, axis: Axis = 0, groups: int = 1, eps: float = 0.0, out: Array | None = None
) -> Array:
    """Weight normalization: the weights ``w`` of `weight_norm_forward` and nothing else."""
    return weight_norm_forward(v, g, axis=axis, groups=groups, eps=eps, out=out).w


@np.errstate(all="ignore")
def weight_norm_forward(
    v: Array, g: Array, *, axis: Axis = 0, groups: int = 1, eps: float = 0.0, out: Array | None = None
) -> WeightNormForward:
    """Weight normalization: w = g * v / norm, norm = sqrt(sum(v**2) + eps).

    Parameters
    ----------
    v : ndarray
        Directions.
    g : ndarray
        Lengths, with length 1 everywhere but along `axis`; for ``axis=None`` any array of one element.
    axis : int, sequence of ints or None
        The axes that the norm does not run over; None is one norm of the whole array.
    groups : int
        Parts of axis 0 with norms of their own, counted along the first of `axis` if axis 0 is none of them.
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
    f = filters(v, axis, groups)
    parts = v.reshape(f.view)
    norm = np.sqrt(total(parts * parts, f.reduced) + eps)
    w = promote(g).reshape(norm.shape) * parts / norm
    return WeightNormForward(deliver(w.reshape(v.shape), out), norm.reshape(f.kept))


@np.errstate(all="ignore")
def weight_norm_backward(
    dw: Array, v: Array, g: Array, norm: Array, *, axis: Axis = 0, groups: int = 1
) -> WeightNormGradients:
    """Gradients of weight normalization.

    With s = sum(v * dw) over the axes of the norm, dg = s / norm and dv = g / norm * (dw - v * s / norm**2).

    Parameters
    ----------
    dw, v, g : ndarray
        Gradient of the weights, and the arguments of the forward.
    norm : ndarray
        What the forward returned.
    axis, groups
        As in the forward.

    Returns
    -------
    WeightNormGradients
        ``dv`` in the shape of `v`, ``dg`` in the shape of `g`.
    """
    v = promote(v)
    f = filters(v, axis, groups)
    dw, parts, norm = promote(dw).reshape(f.view), v.reshape(f.view), promote(norm).reshape(f.one_each)
    s = total(parts * dw, f.reduced)
    dv = promote(g).reshape(norm.shape) / norm * (dw - parts * s / norm**2)
    return WeightNormGradients(dv.reshape(v.shape), (s / norm).reshape(np.shape(g)))


def weight_norm_init(t: Array, *, axis: int = 1) -> WeightNormInit:
    """Start of weight normalization from data: g = 1 / std(t), bias = -mean(t) / std(t), both 0 where std(t) is.

    Parameters
    ----------
    t : ndarray
        What the layer makes of a batch with lengths of 1 and no bias.
    axis : int
        Channel axis.

    Returns
    -------
    WeightNormInit
        ``g`` and ``bias`` in the shape (C,).

    References
    ----------
    Salimans, Kingma, 2016.
    """
    t = promote(t)
    s = statistics(t, tuple(a for a in range(t.ndim) if a != axis % t.ndim))
    g = reciprocal_root(s.m2 / s.size).reshape(-1)
    return WeightNormInit(g, -s.mean.reshape(-1) * g)

"""Normalization of a residual sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Activation, AddNorm, AddNormForward, AddRMSNormForward, Array, Gradients, GradMask
from ._core import promote
from ._layer import layer_norm_backward, layer_norm_forward
from ._rms import rms_norm_backward, rms_norm_forward


def _residual_sum(x: Array, residual: Array) -> Array:
    """Return x + residual, rounded to the dtype of `x` if that is real and narrower than float64.

    The sum in float64 rounds twice to the same as once, since float64 has more than twice the digits of the result;
    float32, which conversions to bfloat16 pass through, has enough for the 16-bit types.
    """
    x = np.asarray(x)
    h = promote(x) + promote(residual)
    return h if x.dtype.kind in "fc" and x.dtype.itemsize >= 8 else h.astype(np.float32).astype(x.dtype)


def add_layer_norm(
    x: Array,
    residual: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> AddNorm:
    """Layer normalization of a residual sum: ``y`` and ``h`` of `add_layer_norm_forward` and nothing else."""
    r = add_layer_norm_forward(
        x, residual, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out
    )
    return AddNorm(r.y, r.h)


def add_layer_norm_forward(
    x: Array,
    residual: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> AddNormForward:
    """Layer normalization of h = x + residual, rounded to the dtype of `x` before it is normalized.

    Parameters
    ----------
    x, residual : ndarray
        Data, of one shape.
    weight, bias, axis, eps, offset, activation, out
        As in `layer_norm_forward`.

    Returns
    -------
    AddNormForward
        ``y`` and ``h`` in the shape of `x`, ``h`` in its dtype; ``mean`` and ``rstd`` with the normalized axes of
        length 1.
    """
    h = _residual_sum(x, residual)
    y, mean, rstd = layer_norm_forward(
        h, weight, bias, axis=axis, eps=eps, offset=offset, activation=activation, out=out
    )
    return AddNormForward(y, h, mean, rstd)


def add_layer_norm_backward(
    dy: Array,
    dh: Array | None,
    h: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of `add_layer_norm_forward`: those of layer normalization at h, plus `dh` in the input's.

    Parameters
    ----------
    dy : ndarray
        Gradient of ``y``.
    dh : ndarray or None
        Gradient that reaches ``h`` from elsewhere.
    h, weight, mean, rstd, axis, offset, activation, bias, grad_mask
        As `layer_norm_backward` takes them, h in place of x.

    Returns
    -------
    Gradients
        ``dx`` is the gradient of both `x` and `residual`.
    """
    grads = layer_norm_backward(
        dy, h, weight, mean, rstd, axis=axis, offset=offset, activation=activation, bias=bias, grad_mask=grad_mask
    )
    return _with_upstream(grads, dh)


def add_rms_norm(
    x: Array,
    residual: Array,
    weight: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> AddNorm:
    """Root mean square normalization of a residual sum: ``y`` and ``h`` of `add_rms_norm_forward`."""
    r = add_rms_norm_forward(x, residual, weight, axis=axis, eps=eps, offset=offset, activation=activation, out=out)
    return AddNorm(r.y, r.h)


def add_rms_norm_forward(
    x: Array,
    residual: Array,
    weight: Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    eps: float | None = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> AddRMSNormForward:
    """Root mean square normalization of h = x + residual, rounded to the dtype of `x` before it is normalized.

    Parameters
    ----------
    x, residual : ndarray
        Data, of one shape.
    weight, axis, eps, offset, activation, out
        As in `rms_norm_forward`.

    Returns
    -------
    AddRMSNormForward
        ``y`` and ``h`` in the shape of `x`, ``h`` in its dtype; ``rstd`` with the normalized axes of length 1.
    """
    h = _residual_sum(x, residual)
    y, rstd = rms_norm_forward(h, weight, axis=axis, eps=eps, offset=offset, activation=activation, out=out)
    return AddRMSNormForward(y, h, rstd)


def add_rms_norm_backward(
    dy: Array,
    dh: Array | None,
    h: Array,
    weight: Array | None,
    rstd: Array,
    *,
    axis: int | Sequence[int] = -1,
    offset: float = 0.0,
    activation: Activation | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of `add_rms_norm_forward`: those of root mean square normalization at h, plus `dh` in the input's.

    Parameters
    ----------
    dy : ndarray
        Gradient of ``y``.
    dh : ndarray or None
        Gradient that reaches ``h`` from elsewhere.
    h, weight, rstd, axis, offset, activation, grad_mask
        As `rms_norm_backward` takes them, h in place of x.

    Returns
    -------
    Gradients
        ``dx`` is the gradient of both `x` and `residual`.
    """
    grads = rms_norm_backward(dy, h, weight, rstd, axis=axis, offset=offset, activation=activation, grad_mask=grad_mask)
    return _with_upstream(grads, dh)


def _with_upstream(grads: Gradients, dh: Array | None) -> Gradients:
    return grads if grads.dx is None or dh is None else grads._replace(dx=grads.dx + promote(dh))

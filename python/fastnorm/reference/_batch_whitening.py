"""Batch whitening: decorrelated batch normalization within groups of channels."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from .._types import Activation, Array, BatchWhiteningForward, BatchWhiteningSaved, Gradients, GradMask
from ._activation import activate, derivative
from ._core import deliver, promote, statistics, total
from ._roots import eigen, newton_schulz_backward, transpose, whitener
from ._running import advance

BatchMethod: TypeAlias = Literal["zca", "cholesky", "iternorm"]


def _split(x: Array, axis: int, groups: int) -> Array:
    """Reshape to (groups, d, m), the m values of every channel in a row."""
    channels = x.shape[axis]
    return np.moveaxis(x, axis, 0).reshape(groups, channels // groups, x.size // max(channels, 1))


def _join(parts: Array, shape: tuple[int, ...], axis: int) -> Array:
    moved = (shape[axis], *np.delete(shape, axis))
    return np.moveaxis(parts.reshape(moved), 0, axis)


def _channels(p: Array | None, groups: int, default: float) -> Array:
    """Shape a parameter or a mean to broadcast against the split array."""
    return np.full((1, 1, 1), default) if p is None else promote(p).reshape(groups, -1, 1)


def _affine(y: Array, weight: Array | None, bias: Array | None, offset: float) -> Array:
    groups = len(y)
    return np.asarray((offset + _channels(weight, groups, 1.0)) * y + _channels(bias, groups, 0.0))


def batch_whitening(
    x: Array,
    running_mean: Array,
    running_cov: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axis: int = 1,
    groups: int = 1,
    method: BatchMethod = "zca",
    iterations: int = 5,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Batch whitening with running statistics: W (x - running_mean) * (offset + weight) + bias.

    W is that of running_cov + eps I.

    Parameters
    ----------
    x, weight, bias, axis, groups, method, iterations, eps, offset, activation, out
        As in `batch_whitening_forward`.
    running_mean : ndarray, shape (C,)
        Mean, a constant here.
    running_cov : ndarray, shape (groups, C // groups, C // groups)
        Covariances without eps, constants here.

    Returns
    -------
    ndarray
        In the shape of `x`.
    """
    x = promote(x)
    parts = _split(x, axis, groups) - _channels(running_mean, groups, 0.0)
    covariance = promote(running_cov)
    matrix = whitener(covariance + eps * np.eye(covariance.shape[-1]), method, iterations)
    y = activate(activation, _affine(matrix @ parts, weight, bias, offset))
    return deliver(_join(y, x.shape, axis), out)


def batch_whitening_forward(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    running_mean: Array | None = None,
    running_cov: Array | None = None,
    *,
    axis: int = 1,
    groups: int = 1,
    method: BatchMethod = "zca",
    iterations: int = 5,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
    offset: float = 0.0,
    activation: Activation | None = None,
    out: Array | None = None,
) -> BatchWhiteningForward:
    """Batch whitening: y = W (x - mean) * (offset + weight) + bias, W of the batch's covariance.

    In every group of d = C // groups channels, with m values per channel, S = sum((x - mean) (x - mean)') / m + eps I.
    W is S^-1/2 (``"zca"``), the inverse of the lower Cholesky factor of S (``"cholesky"``), or the approximation of
    S^-1/2 by some steps of Newton and Schulz (``"iternorm"``).

    Parameters
    ----------
    x : ndarray
        Data, C channels along `axis`.
    weight, bias : ndarray, shape (C,), optional
        Scale and shift; ones and zeros if absent.
    running_mean, running_cov : ndarray, shapes (C,) and (groups, d, d), optional
        Updated in place: new = (1 - momentum) * old + momentum * batch, the batch's covariance divided by
        ``m - ddof`` and without eps.
    axis : int
        Channel axis.
    groups : int
        Number of groups, which divides C.
    method : {"zca", "cholesky", "iternorm"}
        Which whitening matrix.
    iterations : int
        Steps of method ``"iternorm"``.
    momentum, ddof : float
        Of the update of the buffers.
    eps : float
        Added to the diagonal of the covariance.
    offset : float
        Added to the weight.
    activation : {"relu", "silu", "gelu", "gelu_tanh"}, optional
        Applied to the result.
    out : ndarray, optional
        Where ``y`` goes.

    Returns
    -------
    BatchWhiteningForward
        ``y`` in the shape of `x`, and what the backward needs.

    References
    ----------
    Huang, Yang, Lang, Deng: Decorrelated batch normalization, 2018. Huang, Zhou, Zhu, Liu, Shao: Iterative
    normalization: Beyond standardization towards efficient whitening, 2019.
    """
    x = promote(x)
    s = statistics(_split(x, axis, groups), (2,))
    m = s.deviation.shape[2]
    comoment = s.deviation @ transpose(s.deviation)
    covariance = comoment / max(m, 1) + eps * np.eye(comoment.shape[-1])
    matrix = whitener(covariance, method, iterations)
    y = _join(activate(activation, _affine(matrix @ s.deviation, weight, bias, offset)), x.shape, axis)
    mean = s.mean.reshape(-1)
    if running_mean is not None and m > 0:
        advance(running_mean, mean, momentum)
    if running_cov is not None and m > ddof:
        advance(running_cov, comoment / (m - ddof), momentum)
    values, vectors = eigen(np.real(covariance)) if method == "zca" else (None, None)
    saved = BatchWhiteningSaved(mean, matrix, covariance, values, vectors, axis, groups, method, iterations)
    return BatchWhiteningForward(deliver(y, out), saved)


def batch_whitening_backward(
    dy: Array,
    x: Array,
    weight: Array | None,
    saved: BatchWhiteningSaved,
    *,
    offset: float = 0.0,
    activation: Activation | None = None,
    bias: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of batch whitening.

    With g = dy * (offset + weight), Y the whitened data and M = g Y', all of one group of channels,
    dx = W' (g - mean(g) - T Y / m). T is the lower triangle of M mirrored (``"cholesky"``), or
    U T~ U' with T~_ij = (sqrt(l_j) M~_ij + sqrt(l_i) M~_ji) / (sqrt(l_i) + sqrt(l_j)) and M~ = U' M U, U and l being
    eigenvectors and eigenvalues of the covariance (``"zca"``). No eigenvalues are subtracted, so equal ones do no
    harm. ``"iternorm"`` goes back through its steps.

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input.
    weight, bias : ndarray, shape (C,), or None
        As in the forward; `bias` counts only with an `activation`.
    saved : BatchWhiteningSaved
        What the forward returned.
    offset, activation
        As in the forward.
    grad_mask : (bool, bool, bool)
        Which of the three gradients to compute.

    Returns
    -------
    Gradients
        ``dx`` in the shape of `x`, ``dweight`` and ``dbias`` in the shape (C,).
    """
    x, w = promote(x), saved.matrix
    parts = _split(x, saved.axis, saved.groups) - _channels(saved.mean, saved.groups, 0.0)
    m = max(parts.shape[2], 1)
    parts = parts - total(parts, (2,)) / m
    y = w @ parts
    dy = _split(promote(dy), saved.axis, saved.groups)
    if activation is not None:
        dy = dy * derivative(activation, _affine(y, weight, bias, offset))

    dx = None
    if grad_mask[0]:
        g = dy * (offset + _channels(weight, saved.groups, 1.0))
        centred = g - total(g, (2,)) / m
        if saved.method == "iternorm":
            slope = newton_schulz_backward(g @ transpose(parts), saved.covariance, saved.iterations)
            dx = transpose(w) @ centred + 2 / m * slope @ parts
        else:
            dx = transpose(w) @ (centred - _symmetric_part(g @ transpose(y), saved) @ y / m)
        dx = _join(dx, x.shape, saved.axis)
    dweight = np.sum(dy * y, axis=2).reshape(-1) if grad_mask[1] else None
    dbias = np.sum(dy, axis=2).reshape(-1) if grad_mask[2] else None
    return Gradients(dx, dweight, dbias)


def _symmetric_part(product: Array, saved: BatchWhiteningSaved) -> Array:
    """T, from M = g Y'."""
    if saved.eigenvectors is None or saved.eigenvalues is None:  # cholesky
        return np.tril(product) + transpose(np.tril(product, -1))
    u, roots = saved.eigenvectors, np.sqrt(saved.eigenvalues)
    rows, columns = roots[:, :, None], roots[:, None, :]
    rotated = transpose(u) @ product @ u
    mixed = (columns * rotated + rows * transpose(rotated)) / (rows + columns)
    return np.asarray(u @ mixed @ transpose(u))

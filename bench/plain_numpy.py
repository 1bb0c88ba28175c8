"""The operations as a NumPy user writes them, straightforward, in the dtype of the data: fastnorm's measure.

Names, arguments and results are those of :mod:`fastnorm`, as far as the comparisons need them. Each function computes
every array once and makes no copy that it could do without, but it is no hand-tuned code either: no ``out=`` buffers,
no blocking for the caches. Data of 16 bits are computed in float32 and rounded.
"""

import numpy as np

from fastnorm import (
    BatchNormForward,
    Gradients,
    GroupNormForward,
    InstanceNormForward,
    LayerNormForward,
    RMSNormForward,
    WeightNormForward,
    WeightNormGradients,
    WeightStandardizationForward,
    WeightStandardizationGradients,
)
from plain_whitening import batch_whitening_backward, batch_whitening_forward, whiten
from problems import Array

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_whitening_backward",
    "batch_whitening_forward",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
    "instance_norm",
    "instance_norm_backward",
    "instance_norm_forward",
    "layer_norm",
    "layer_norm_backward",
    "layer_norm_forward",
    "rms_norm",
    "rms_norm_backward",
    "rms_norm_forward",
    "weight_norm",
    "weight_norm_backward",
    "weight_norm_forward",
    "weight_standardization",
    "weight_standardization_backward",
    "weight_standardization_forward",
    "whiten",
]

Axes = tuple[int, ...]


# ---- over any axes ---------------------------------------------------------------------------------------------------


def _forward(x: Array, axes: Axes, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    wide = _wide(x)
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    rstd = 1 / np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)
    return (centred * rstd * weight + bias).astype(x.dtype, copy=False), mean, rstd


def _backward(
    dy: Array, x: Array, axes: Axes, weight: Array, mean: Array, rstd: Array, along: Axes
) -> tuple[Array, Array, Array]:
    """Return dx, dweight and dbias; the weight varies along the axes `along`."""
    dtype, dy, xhat = x.dtype, _wide(dy), (_wide(x) - mean) * rstd
    g = dy * weight
    average, correlation = g.mean(axis=axes, keepdims=True), (g * xhat).mean(axis=axes, keepdims=True)
    dx = rstd * (g - average - xhat * correlation)
    gradients = dx, (dy * xhat).sum(axis=_but(x, along)), dy.sum(axis=_but(x, along))
    dx, dweight, dbias = (a.astype(dtype, copy=False) for a in gradients)
    return dx, dweight, dbias


def _wide(x: Array) -> Array:
    return x.astype(np.float32) if x.itemsize == 2 else x


def _but(x: Array, axes: Axes) -> Axes:
    return tuple(a for a in range(x.ndim) if a not in axes)


def _at(values: Array, x: Array, axes: Axes) -> Array:
    """Shape parameters or statistics to broadcast against `x`, along whose axes `axes` they vary."""
    return values.reshape([n if a in axes else 1 for a, n in enumerate(x.shape)])


def _axes(x: Array, axis: int | Axes) -> Axes:
    return tuple(sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)))


# ---- batch -----------------------------------------------------------------------------------------------------------


def batch_norm(
    x: Array, running_mean: Array, running_var: Array, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5
) -> Array:
    """Batch normalization with given statistics."""
    c = _axes(x, axis)
    scale = _wide(weight) / np.sqrt(_wide(running_var) + eps)
    y = (_wide(x) - _at(running_mean, x, c)) * _at(scale, x, c) + _at(bias, x, c)
    return y.astype(x.dtype, copy=False)


def batch_norm_forward(x: Array, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5) -> BatchNormForward:
    """Batch normalization with the batch's statistics."""
    c = _axes(x, axis)
    y, mean, rstd = _forward(x, _but(x, c), _at(weight, x, c), _at(bias, x, c), eps)
    return BatchNormForward(y, mean.ravel(), rstd.ravel())


def batch_norm_backward(dy: Array, x: Array, weight: Array, mean: Array, rstd: Array, *, axis: int = 1) -> Gradients:
    """Gradients of batch normalization."""
    c = _axes(x, axis)
    scale, mean, rstd = _at(weight, x, c), _at(mean, x, c), _at(rstd, x, c)
    return Gradients(*_backward(dy, x, _but(x, c), scale, mean, rstd, along=c))


# ---- layer and root mean square --------------------------------------------------------------------------------------


def layer_norm(x: Array, weight: Array, bias: Array, *, axis: int | Axes = -1, eps: float = 1e-5) -> Array:
    """Layer normalization."""
    return layer_norm_forward(x, weight, bias, axis=axis, eps=eps).y


def layer_norm_forward(
    x: Array, weight: Array, bias: Array, *, axis: int | Axes = -1, eps: float = 1e-5
) -> LayerNormForward:
    """Layer normalization with its statistics."""
    axes = _axes(x, axis)
    return LayerNormForward(*_forward(x, axes, _at(weight, x, axes), _at(bias, x, axes), eps))


def layer_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, rstd: Array, *, axis: int | Axes = -1
) -> Gradients:
    """Gradients of layer normalization."""
    axes = _axes(x, axis)
    return Gradients(*_backward(dy, x, axes, _at(weight, x, axes), mean, rstd, along=axes))


def rms_norm(x: Array, weight: Array, *, axis: int | Axes = -1, eps: float = 1e-6) -> Array:
    """Root mean square normalization."""
    return rms_norm_forward(x, weight, axis=axis, eps=eps).y


def rms_norm_forward(x: Array, weight: Array, *, axis: int | Axes = -1, eps: float = 1e-6) -> RMSNormForward:
    """Root mean square normalization with its statistic."""
    axes = _axes(x, axis)
    wide = _wide(x)
    rstd = 1 / np.sqrt((wide * wide).mean(axis=axes, keepdims=True) + eps)
    return RMSNormForward((wide * rstd * _at(weight, x, axes)).astype(x.dtype, copy=False), rstd)


def rms_norm_backward(
    dy: Array,
    x: Array,
    weight: Array,
    rstd: Array,
    *,
    axis: int | Axes = -1,
    grad_mask: tuple[bool, bool, bool] = (True, True, False),
) -> Gradients:
    """Gradients of root mean square normalization without bias: `grad_mask` is what it is."""
    axes = _axes(x, axis)
    xhat, g = _wide(x) * rstd, _wide(dy) * _at(weight, x, axes)
    dx = rstd * (g - xhat * (g * xhat).mean(axis=axes, keepdims=True))
    dweight = (dy * xhat).sum(axis=_but(x, axes))
    return Gradients(dx.astype(x.dtype, copy=False), dweight.astype(x.dtype, copy=False), None)


# ---- group and instance ----------------------------------------------------------------------------------------------


def group_norm(x: Array, num_groups: int, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5) -> Array:
    """Group normalization."""
    return group_norm_forward(x, num_groups, weight, bias, axis=axis, eps=eps).y


def group_norm_forward(
    x: Array, num_groups: int, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5
) -> GroupNormForward:
    """Group normalization with its statistics."""
    groups, c = _grouped(x, num_groups, axis)
    scale, shift = _at(weight, groups, (c, c + 1)), _at(bias, groups, (c, c + 1))
    y, mean, rstd = _forward(groups, _but(groups, (0, c)), scale, shift, eps)
    return GroupNormForward(y.reshape(x.shape), mean.reshape(-1, num_groups), rstd.reshape(-1, num_groups))


def group_norm_backward(
    dy: Array, x: Array, num_groups: int, weight: Array, mean: Array, rstd: Array, *, axis: int = 1
) -> Gradients:
    """Gradients of group normalization."""
    groups, c = _grouped(x, num_groups, axis)
    scale, mean, rstd = _at(weight, groups, (c, c + 1)), _at(mean, groups, (0, c)), _at(rstd, groups, (0, c))
    dy = dy.reshape(groups.shape)
    dx, dweight, dbias = _backward(dy, groups, _but(groups, (0, c)), scale, mean, rstd, along=(c, c + 1))
    return Gradients(dx.reshape(x.shape), dweight.ravel(), dbias.ravel())


def _grouped(x: Array, num_groups: int, axis: int) -> tuple[Array, int]:
    """View the channel axis as two: groups, and the channels of a group. Return the first's number too."""
    c = axis % x.ndim
    return x.reshape(*x.shape[:c], num_groups, x.shape[c] // num_groups, *x.shape[c + 1 :]), c


def instance_norm(x: Array, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5) -> Array:
    """Instance normalization."""
    return instance_norm_forward(x, weight, bias, axis=axis, eps=eps).y


def instance_norm_forward(
    x: Array, weight: Array, bias: Array, *, axis: int = 1, eps: float = 1e-5
) -> InstanceNormForward:
    """Instance normalization with its statistics."""
    (c,) = _axes(x, axis)
    y, mean, rstd = _forward(x, _but(x, (0, c)), _at(weight, x, (c,)), _at(bias, x, (c,)), eps)
    return InstanceNormForward(y, mean.reshape(-1, x.shape[c]), rstd.reshape(-1, x.shape[c]))


def instance_norm_backward(dy: Array, x: Array, weight: Array, mean: Array, rstd: Array, *, axis: int = 1) -> Gradients:
    """Gradients of instance normalization."""
    (c,) = _axes(x, axis)
    scale, mean, rstd = _at(weight, x, (c,)), _at(mean, x, (0, c)), _at(rstd, x, (0, c))
    return Gradients(*_backward(dy, x, _but(x, (0, c)), scale, mean, rstd, along=(c,)))


# ---- weights ---------------------------------------------------------------------------------------------------------


def weight_norm(v: Array, g: Array, *, axis: int) -> Array:
    """Weight normalization."""
    return weight_norm_forward(v, g, axis=axis).w


def weight_norm_forward(v: Array, g: Array, *, axis: int) -> WeightNormForward:
    """Weight normalization with the norms."""
    wide = _wide(v)
    norm = np.sqrt((wide * wide).sum(axis=_but(v, _axes(v, axis)), keepdims=True))
    return WeightNormForward((wide * (g / norm)).astype(v.dtype, copy=False), norm)


def weight_norm_backward(dw: Array, v: Array, g: Array, norm: Array, *, axis: int) -> WeightNormGradients:
    """Gradients of weight normalization."""
    dtype, v = v.dtype, _wide(v)
    s = (v * dw).sum(axis=_but(v, _axes(v, axis)), keepdims=True)
    dv = g / norm * (dw - v * (s / (norm * norm)))
    return WeightNormGradients(dv.astype(dtype, copy=False), (s / norm).astype(dtype, copy=False))


def weight_standardization(w: Array, gain: Array, *, axis: int) -> Array:
    """Weight standardization by the variance."""
    return weight_standardization_forward(w, gain, axis=axis).w


def weight_standardization_forward(w: Array, gain: Array, *, axis: int) -> WeightStandardizationForward:
    """Weight standardization with its statistics."""
    o, wide = _axes(w, axis), _wide(w)
    mean = wide.mean(axis=_but(w, o), keepdims=True)
    centred = wide - mean
    var = (centred * centred).mean(axis=_but(w, o), keepdims=True)
    result = (centred * (_at(gain, w, o) / np.sqrt(var + 1e-6))).astype(w.dtype, copy=False)
    return WeightStandardizationForward(result, mean.ravel(), var.ravel())


def weight_standardization_backward(
    dw: Array, w: Array, gain: Array, mean: Array, var: Array, *, axis: int
) -> WeightStandardizationGradients:
    """Gradients of weight standardization."""
    o = _axes(w, axis)
    mean, rstd = _at(mean, w, o), _at(1 / np.sqrt(var + 1e-6), w, o)
    dx, dgain, _ = _backward(dw, w, _but(w, o), _at(gain, w, o), mean, rstd, along=o)
    return WeightStandardizationGradients(dx, dgain)

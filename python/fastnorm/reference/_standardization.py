"""Weight standardization: the weights of every filter centred and scaled."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np

from .._types import Array, WeightStandardizationForward, WeightStandardizationGradients
from ._core import deliver, promote, reciprocal_root, statistics, total
from ._filters import Axis, filters

Mode: TypeAlias = Literal["var", "std_unbiased", "std_biased", "max"]

DEFAULT_EPS: Final = {"var": 1e-6, "std_unbiased": 1e-5, "std_biased": 1e-5, "max": 1e-4}


@np.errstate(all="ignore")
def multiplier(var: Array, size: int, mode: Mode, eps: float | None) -> tuple[Array, Array]:
    """Return what deviations are multiplied by, a function of the biased variance, and its derivative."""
    if eps is None:
        eps = DEFAULT_EPS[mode]
    if mode == "var":
        s = reciprocal_root(var + eps)
        return s, -(s**3) / 2
    if mode == "max":
        above = np.real(size * var) > eps
        s = reciprocal_root(np.where(above, size * var, eps))
        return s, np.where(above, -size * s**3 / 2, 0)
    if mode == "std_unbiased" and size == 1:
        raise ValueError("mode 'std_unbiased' needs more than one weight per filter")
    bessel = size / (size - 1) if mode == "std_unbiased" else 1.0
    std = np.sqrt(bessel * var)
    s = np.where(std + eps == 0, 0, 1 / (std + eps))
    return s, np.where(std == 0, 0, -(s**2) * bessel / (2 * std))


def weight_standardization(
    w: Array,
    gain: Array | None = None,
    *,
    axis: Axis = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Weight standardization: the weights ``w`` of `weight_standardization_forward` and nothing else."""
    return weight_standardization_forward(w, gain, axis=axis, groups=groups, mode=mode, eps=eps, scale=scale, out=out).w


def weight_standardization_forward(
    w: Array,
    gain: Array | None = None,
    *,
    axis: Axis = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
    out: Array | None = None,
) -> WeightStandardizationForward:
    """Weight standardization: gain * scale * (w - mean) * s(var), with the statistics of every filter.

    ==============  ==============================================  ===========
    mode            s(var), K weights per filter                    default eps
    ==============  ==============================================  ===========
    "var"           1 / sqrt(var + eps)                             1e-6
    "std_unbiased"  1 / (sqrt(var * K / (K - 1)) + eps)             1e-5
    "std_biased"    1 / (sqrt(var) + eps)                           1e-5
    "max"           1 / sqrt(max(K * var, eps))                     1e-4
    ==============  ==============================================  ===========

    Parameters
    ----------
    w : ndarray
        Weights, one filter per index of `axis`.
    gain : ndarray, shape (filters,), optional
        Scale of every filter; ones if absent.
    axis : int or sequence of ints
        The axes that filters stand along.
    groups : int
        Parts of axis 0 with filters of their own, counted along the first of `axis` if axis 0 is none of them.
    mode : {"var", "std_unbiased", "std_biased", "max"}
        Form of the denominator.
    eps : float, optional
        As in the table.
    scale : float
        Constant factor.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    WeightStandardizationForward
        ``w`` in the shape of `w`; ``mean`` and biased ``var`` in the shape (filters,).

    References
    ----------
    Qiao, Wang, Liu, Shen, Yuille: Micro-batch training with batch-channel normalization and weight standardization,
    2019. Mode "max": Brock, De, Smith, Simonyan: High-performance large-scale image recognition without
    normalization, 2021.
    """
    w = promote(w)
    f = filters(w, axis, groups)
    stats = statistics(w.reshape(f.view), f.reduced)
    with np.errstate(all="ignore"):
        var = stats.m2 / f.size
        gains = scale if gain is None else scale * promote(gain).reshape(var.shape)
        result = (gains * stats.deviation * multiplier(var, f.size, mode, eps)[0]).reshape(w.shape)
    mean, var = stats.mean.reshape(f.filters), var.reshape(f.filters)
    return WeightStandardizationForward(deliver(result, out), mean, var)


@np.errstate(all="ignore")
def weight_standardization_backward(
    dw: Array,
    w: Array,
    gain: Array | None,
    mean: Array,
    var: Array,
    *,
    axis: Axis = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
) -> WeightStandardizationGradients:
    """Gradients of weight standardization.

    With c = w - mean, g = dw * gain * scale and sums over the filter,
    dc = s * g + ds/dvar * (2 / K) * sum(g * c) * c, the result is dc - mean(dc); dgain = scale * s * sum(dw * c).

    Parameters
    ----------
    dw : ndarray
        Gradient of the standardized weights.
    w, gain, axis, groups, mode, eps, scale
        As in the forward.
    mean, var : ndarray, shape (filters,)
        Statistics that the forward returned.

    Returns
    -------
    WeightStandardizationGradients
        ``dw`` in the shape of `w`, ``dgain`` in the shape (filters,).
    """
    w = promote(w)
    f = filters(w, axis, groups)
    dw, axes, size = promote(dw).reshape(f.view), f.reduced, f.size
    c = w.reshape(f.view) - promote(mean).reshape(f.one_each)
    c = c - total(c, axes) / size
    s, slope = multiplier(promote(var).reshape(f.one_each), size, mode, eps)
    g = dw * (scale if gain is None else scale * promote(gain).reshape(f.one_each))
    dc = s * g + slope * (2 / size) * total(g * c, axes) * c if size else g
    dgain = scale * s * total(dw * c, axes)
    dc = dc - total(dc, axes) / size
    return WeightStandardizationGradients(dc.reshape(w.shape), dgain.reshape(f.filters))

"""Weight normalization and weight standardization: statistics per filter, over all axes but one.

Both are the normalization of :mod:`fastnorm.batch` with another scale. They act on weights, so there is no evaluation
mode, and nothing is running.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _core, _engine, _layout, _running
from . import _validate as check
from ._dtypes import DATA, FLOAT64, rounded
from ._layout import Layout
from ._types import (
    Array,
    WeightNormForward,
    WeightNormGradients,
    WeightStandardizationForward,
    WeightStandardizationGradients,
)
from .runtime import run, threads_overridden

Mode: TypeAlias = Literal["var", "std_unbiased", "std_biased", "max"]


class _Form(NamedTuple):
    """What a mode of standardization divides by: a statistic of the core, and its usual eps."""

    statistic: int
    eps: float


# Arguments left as they are: what plain calls are told by, as in layer.py.
_VAR: Final = "var"
_ONE: Final = 1.0

_FORMS: Final[dict[str, _Form]] = {
    _VAR: _Form(_core.VARIANCE, 1e-6),
    "std_unbiased": _Form(_core.STD_UNBIASED, 1e-5),
    "std_biased": _Form(_core.STD_BIASED, 1e-5),
    "max": _Form(_core.MAX, 1e-4),
}


# ---- weight normalization --------------------------------------------------------------------------------------------


def weight_norm(
    v: npt.ArrayLike, g: npt.ArrayLike, *, axis: int | None = 0, eps: float = 0.0, out: Array | None = None
) -> Array:
    """Give every filter a length of its own [1]_.

    ``w = g * v / norm`` with ``norm = sqrt(sum(v**2) + eps)``, and the sum over all axes but `axis`.

    Parameters
    ----------
    v : array_like, floating point
        Directions, in any memory layout.
    g : array_like
        Lengths, in the dtype of `v` or a wider one: of the shape of `v` along `axis` and of length 1 along all
        other axes. For ``axis=None`` any array of one element.
    axis : int or None, optional
        The axis with one filter per index; None is one norm of the whole array. A negative one counts from the end,
        as everywhere in NumPy (for PyTorch -1 is the whole array).
    eps : float, optional
        Added to the sum of squares; finite and >= 0. Where the sum is 0 without it, `w` is NaN.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `v`, in any memory layout, `v` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `v`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    References
    ----------
    .. [1] Salimans, Kingma: Weight normalization: a simple reparameterization to accelerate training of deep neural
       networks, 2016, https://arxiv.org/abs/1602.07868

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.weight_norm(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[10.0], [1.0]]))
    array([[6., 8.],
           [0., 1.]])
    """
    if not threads_overridden():
        w = _core.plain_weight_norm(v, g, axis, eps, out)
        if w is not None:
            return w
    v, layout, length = _directions(v, g, axis)
    check.out(out, v, "v")
    return _engine.forward(v, layout, length, None, eps, out, statistic=_core.NORM)


def weight_norm_forward(
    v: npt.ArrayLike, g: npt.ArrayLike, *, axis: int | None = 0, eps: float = 0.0, out: Array | None = None
) -> WeightNormForward:
    """Do :func:`weight_norm` and keep the norms for the backward.

    Parameters
    ----------
    v, g, axis, eps, out
        As in :func:`weight_norm`.

    Returns
    -------
    WeightNormForward
        ``w`` like `v`; ``norm`` in float64, of length 1 along all axes but `axis`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.weight_norm_forward(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[10.0], [1.0]])).norm
    array([[5.],
           [2.]])
    """
    v, layout, length = _directions(v, g, axis)
    check.out(out, v, "v")
    m2, rstd = layout.statistic_arrays(2)
    w = _engine.forward(v, layout, length, None, eps, out, statistic=_core.NORM, m2=m2, rstd=rstd)
    kept = tuple(n if a in layout.axes else 1 for a, n in enumerate(v.shape))
    with np.errstate(all="ignore"):
        norm = np.where(_fits(m2), np.sqrt(m2 + eps), np.where(np.isnan(rstd), m2, 1.0 / rstd))
    return WeightNormForward(w, norm.reshape(kept))


def weight_norm_backward(
    dw: npt.ArrayLike, v: npt.ArrayLike, g: npt.ArrayLike, norm: npt.ArrayLike, *, axis: int | None = 0
) -> WeightNormGradients:
    """Gradients of weight normalization.

    With ``s = sum(v * dw)`` over all axes but `axis`::

        dv = g / norm * (dw - v * s / norm**2)      dg = s / norm

    They hold for any `eps` of the forward pass, since it is in ``norm``.

    Parameters
    ----------
    dw : array_like
        Gradient of the weights, of the shape and dtype of `v`.
    v, g, axis
        As in :func:`weight_norm`.
    norm : array_like
        Norms of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    WeightNormGradients
        ``dv`` like `v`; ``dg`` of the shape and dtype of `g`. Both are NaN where the norm is 0.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> v, g = np.array([[3.0, 4.0]]), np.array([[10.0]])
    >>> w, norm = fn.weight_norm_forward(v, g)
    >>> dv, dg = fn.weight_norm_backward(np.array([[1.0, 0.0]]), v, g, norm)
    >>> dv.round(2), dg
    (array([[ 1.28, -0.96]]), array([[0.6]]))
    """
    if not threads_overridden():
        gradients = _core.plain_weight_norm_backward(dw, v, g, norm, axis)
        if gradients is not None:
            return WeightNormGradients(*gradients)
    v, layout, length = _directions(v, g, axis)
    dw = check.like("dw", dw, v, "v")
    norms = check.norm(norm, layout).reshape(layout.statistics).astype(FLOAT64)
    with np.errstate(all="ignore"):
        rstd = 1.0 / np.where(norms == 0.0, np.nan, norms)
    mask = (True, True, False)
    dv, dg, _ = _engine.backward(dw, v, layout, length, None, rstd, mask, statistic=_core.NORM)
    assert dv is not None
    assert dg is not None
    return WeightNormGradients(dv, dg.reshape(check.array("g", g).shape))


def _directions(v: npt.ArrayLike, g: npt.ArrayLike, axis: int | None) -> tuple[Array, Layout, Array]:
    """Directions, their layout, and the lengths in the shape of its parameters."""
    v = check.data("v", v)
    if axis is None:
        layout = Layout(v.shape, None, bytes([_core.REDUCED] * v.ndim), (), (), (), v.size)
    else:
        layout = _layout.batch(v.shape, check.filter_axis(axis, v, "v"))
    return v, layout, check.length(g, layout, v).reshape(layout.parameters)


# ---- weight standardization ------------------------------------------------------------------------------------------


def weight_standardization(
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None = None,
    *,
    axis: int = 0,
    mode: Mode = _VAR,
    eps: float | None = None,
    scale: float = _ONE,
    out: Array | None = None,
) -> Array:
    """Give every filter mean 0 and one spread [1]_.

    ``gain * scale * (w - mean) * s``, with ``mean`` and ``var`` over all axes but `axis` and K weights per filter:

    ==============  ==========================================  ===========  ==================================
    mode            s                                           default eps  as in
    ==============  ==========================================  ===========  ==================================
    "var"           ``1 / sqrt(var + eps)``                     1e-6         BiT (eps 1e-10), timm's StdConv2d
    "std_unbiased"  ``1 / (sqrt(var * K / (K - 1)) + eps)``     1e-5         the authors' code
    "std_biased"    ``1 / (sqrt(var) + eps)``                   1e-5         ports of it
    "max"           ``1 / sqrt(max(K * var, eps))``             1e-4         NFNet [2]_
    ==============  ==========================================  ===========  ==================================

    Parameters
    ----------
    w : array_like, floating point
        Weights, in any memory layout.
    gain : array_like, shape (filters,), optional
        Scale of every filter, in the dtype of `w` or a wider one; None stands for ones.
    axis : int, optional
        The axis with one filter per index: 0 for weights in the order OIHW, -1 for HWIO.
    mode : {'var', 'std_unbiased', 'std_biased', 'max'}, optional
        What the deviations are divided by.
    eps : float, optional
        As in the table; finite and >= 0. Where nothing is left to divide by, the result is 0.
    scale : float, optional
        A constant factor; for timm's ScaledStdConv2d ``gamma / sqrt(K)``.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `w`, in any memory layout, `w` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `w`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, if a filter has one weight only in mode 'std_unbiased', or if `out` cannot
        be written to.
    TypeError
        If an argument has another type or dtype.

    References
    ----------
    .. [1] Qiao, Wang, Liu, Shen, Yuille: Micro-batch training with batch-channel normalization and weight
       standardization, 2019, https://arxiv.org/abs/1903.10520
    .. [2] Brock, De, Smith, Simonyan: High-performance large-scale image recognition without normalization, 2021,
       https://arxiv.org/abs/2102.06171

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> w = np.array([[1.0, 3.0], [5.0, 5.0]])
    >>> fn.weight_standardization(w, gain=[1.0, 2.0], mode="std_biased", eps=0.0)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    if mode is _VAR and scale is _ONE and not threads_overridden():
        result = _core.plain_weight_standardization(w, gain, axis, _FORMS[_VAR].eps if eps is None else eps, out)
        if result is not None:
            return result
    w, layout, form = _filters(w, axis, mode, eps)
    factor = _factor(gain, scale, layout, w)
    check.out(out, w, "w")
    return _engine.forward(w, layout, factor, None, form.eps, out, statistic=form.statistic)


def weight_standardization_forward(
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None = None,
    *,
    axis: int = 0,
    mode: Mode = _VAR,
    eps: float | None = None,
    scale: float = _ONE,
    out: Array | None = None,
) -> WeightStandardizationForward:
    """Do :func:`weight_standardization` and keep the statistics for the backward.

    Parameters
    ----------
    w, gain, axis, mode, eps, scale, out
        As in :func:`weight_standardization`.

    Returns
    -------
    WeightStandardizationForward
        ``w`` like `w`; ``mean`` and ``var``, divided by K, of shape (filters,) in float64.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_standardization`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> result = fn.weight_standardization_forward(np.array([[1.0, 3.0], [5.0, 5.0]]))
    >>> result.mean, result.var
    (array([2., 5.]), array([1., 0.]))
    """
    w, layout, form = _filters(w, axis, mode, eps)
    factor = _factor(gain, scale, layout, w)
    check.out(out, w, "w")
    mean, m2 = layout.statistic_arrays(2)
    result = _engine.forward(w, layout, factor, None, form.eps, out, statistic=form.statistic, mean=mean, m2=m2)
    return WeightStandardizationForward(result, mean, m2 / max(layout.group_size, 1))


def weight_standardization_backward(
    dw: npt.ArrayLike,
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    var: npt.ArrayLike,
    *,
    axis: int = 0,
    mode: Mode = _VAR,
    eps: float | None = None,
    scale: float = _ONE,
) -> WeightStandardizationGradients:
    """Gradients of weight standardization.

    With ``c = w - mean``, ``g = dw * gain * scale``, ``s`` as in :func:`weight_standardization`, and sums over a
    filter::

        dc = s * g + ds/dvar * 2 / K * sum(g * c) * c
        dw = dc - sum(dc) / K                           dgain = scale * s * sum(dw * c)

    where ``dw`` on the right is the argument. ``ds/dvar`` counts as 0 where a standard deviation is 0, and where
    `eps` is the greater one in mode 'max'.

    Parameters
    ----------
    dw : array_like
        Gradient of the standardized weights, of the shape and dtype of `w`.
    w, gain, axis, mode, eps, scale
        As in :func:`weight_standardization`.
    mean, var : array_like, shape (filters,)
        Statistics of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    WeightStandardizationGradients
        ``dw`` like `w`; ``dgain`` of shape (filters,) in the dtype of `gain`, of `w` without one.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_standardization`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> w, dw = np.array([[1.0, 3.0, 5.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> standardized, mean, var = fn.weight_standardization_forward(w)
    >>> fn.weight_standardization_backward(dw, w, None, mean, var).dw.round(3)
    array([[-0.204,  0.408, -0.204]])
    """
    if mode is _VAR and scale is _ONE and not threads_overridden():
        plain_eps = _FORMS[_VAR].eps if eps is None else eps
        gradients = _core.plain_weight_standardization_backward(dw, w, gain, mean, var, axis, plain_eps)
        if gradients is not None:
            return WeightStandardizationGradients(*gradients)
    w, layout, form = _filters(w, axis, mode, eps)
    factor = _factor(gain, scale, layout, w)
    dw = check.like("dw", dw, w, "w")
    mean = check.statistic("mean", mean, layout, "w")
    var = check.statistic("var", var, layout, "w")
    dx, dgain = _layout.empty_like(w.dtype, w), np.zeros(layout.parameters)
    if w.size:
        s, slope = _multiplier(form, var.astype(FLOAT64), layout.group_size)
        fits = _fits(var.astype(FLOAT64))
        if w.dtype == FLOAT64 and not fits.all():
            exact, exact_slope = _multiplier_of(form, w, layout)
            s = np.where(fits, s, exact)
            slope = None if slope is None or exact_slope is None else np.where(fits, slope, exact_slope)
        centre = _engine._centre(mean, w, layout, True)
        weight = _layout.side(factor, DATA[w.dtype].compute)
        sides = weight, _core.VARIANCE, True, centre, s, dgain, None, slope
        run(_core.backward, dw, w, dx, layout.roles, *sides)
    with np.errstate(all="ignore"):
        dgain = rounded(scale * dgain, w.dtype if gain is None else check.array("gain", gain).dtype)
    return WeightStandardizationGradients(dx, dgain)


def _filters(w: npt.ArrayLike, axis: int, mode: Mode, eps: float | None) -> tuple[Array, Layout, _Form]:
    """Weights, their layout, and the statistic with the eps to use."""
    w = check.data("w", w)
    layout = _layout.batch(w.shape, check.filter_axis(axis, w, "w"))
    form = _FORMS[check.choice("mode", mode, tuple(_FORMS))]
    if form.statistic == _core.STD_UNBIASED:
        check.several_weights(layout)
    return w, layout, form if eps is None else _Form(form.statistic, check.eps(eps))


def _factor(gain: npt.ArrayLike | None, scale: float, layout: Layout, w: Array) -> Array | None:
    """``gain * scale`` in float64; None stands for ones."""
    gain, scale = check.parameter("gain", gain, layout, w, "w"), check.scale(scale)
    if scale == 1.0:
        return gain
    with np.errstate(all="ignore"):
        return np.full(layout.parameters, scale) if gain is None else np.multiply(gain, scale, dtype=FLOAT64)


def _fits(squares: Array) -> Array:
    """Whether float64 holds squares with all their digits, and the root of their sum is that of the data."""
    return np.asarray((squares > 1e-290) & (squares < 1e290))


@np.errstate(all="ignore")
def _multiplier_of(form: _Form, w: Array, layout: Layout) -> tuple[Array, Array | None]:
    """The same from the weights themselves, whose variance float64 cannot hold."""
    (s,) = layout.statistic_arrays(1)
    run(_core.forward, w, np.empty(w.shape), layout.roles, None, None, form.statistic, form.eps, None, s, None)
    if form.statistic == _core.VARIANCE:
        return s, None
    if form.statistic == _core.MAX:
        return s, (s < np.float64(form.eps) ** -0.5).astype(FLOAT64)
    divisor = layout.group_size - (form.statistic == _core.STD_UNBIASED)
    slope = 1.0 / ((1.0 - s * form.eps) * divisor)
    slope[(s == 0.0) | (s * form.eps == 1.0)] = 0.0
    return s, slope


@np.errstate(all="ignore")
def _multiplier(form: _Form, var: Array, size: int) -> tuple[Array, Array | None]:
    """What deviations are multiplied by, and how that follows the variance, as the core takes it.

    The slope is ``-ds/dvar * 2 / size / s**3``, which is ``1 / size`` (None to the core) for the inverse root of the
    variance.
    """
    if form.statistic == _core.VARIANCE:
        return _running.scale(var, form.eps), None
    if form.statistic == _core.MAX:
        m2 = size * var
        return _running.scale(np.maximum(m2, form.eps), 0.0), (m2 > form.eps).astype(FLOAT64)
    divisor = size - (form.statistic == _core.STD_UNBIASED)
    std = np.sqrt(var * (size / divisor))
    total = std + form.eps
    s, slope = 1.0 / total, total / (std * divisor)
    s[total == 0.0], slope[std == 0.0] = 0.0, 0.0
    return s, slope

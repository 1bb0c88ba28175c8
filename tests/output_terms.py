"""What an output must be: the reference's value, and how large the terms are that it is the sum of.

The functions below compute the reference themselves, end to end: what a backward inherits from an error of the forward
counts too. They return a dict of `Expected` by name of output, which `scaled_error.errors` compares with results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnorm import reference
from fastnorm.reference import _activation, _batch, _core, _filters, _group, _l2, _layer, _rms, _standardization

Array = npt.NDArray[Any]

# What an activation may add to the error of its argument, in u relative, and a bound of the slopes of all of them.
_ACTIVATION: Final = 4.0
_STEEPEST: Final = 1.13


class Expected(NamedTuple):
    """The reference's value of an output.

    Attributes
    ----------
    ref : ndarray
        The value.
    scale : ndarray
        Sum of the absolute values of the terms that it is made of.
    slack : ndarray or float
        What a result may be off without being in error.
    """

    ref: Array
    scale: Array
    slack: Any = 0.0


Outputs = dict[str, Expected]


def unit_roundoff(dtype: npt.DTypeLike) -> float:
    """Return the unit roundoff of the type that data of `dtype` are computed in: float64 for itself, else float32."""
    return 2.0**-53 if np.dtype(dtype) == np.float64 else 2.0**-24


def wide(x: Any) -> Array:
    """Return data as the reference is given them: float64 as longdouble, all else as float64."""
    x = np.asarray(x)
    return np.asarray(x.astype(np.longdouble if x.dtype == np.float64 else np.float64))


# ---- normalizations --------------------------------------------------------------------------------------------------


class _Terms(NamedTuple):
    """What the outputs are made of, as the layout views it."""

    layout: _core.Layout
    mask: Array | None
    deviation: Array
    rstd: Array
    xhat: Array
    gamma: Array
    beta: Array
    z_scale: Array  # sum of the absolute values of the terms of xhat * gamma + beta

    def average(self, a: Array) -> Array:
        _, divisor = _core.group_size(a, self.layout.reduced, self.mask)
        return np.asarray(_core.total(a, self.layout.reduced, self.mask) / np.maximum(divisor, 1))

    def per_parameter(self, a: Array, parameter: Any) -> Array:
        return self.layout.gradient(a, parameter, self.mask)


def _layout(op: str, x: Array, options: Mapping[str, Any]) -> _core.Layout:
    if op in ("layer_norm", "rms_norm"):
        return _layer.layout(x, options.get("axis", -1))
    axis = options.get("axis", 1)
    if op == "batch_norm":
        return _batch.layout(x, axis)
    return _group.layout(x, options.get("num_groups", x.shape[axis]), axis)


def _terms(op: str, x: Array, weight: Any, bias: Any, stats: Any, where: Any, options: Mapping[str, Any]) -> _Terms:
    layout = _layout(op, x, options)
    centred = op != "rms_norm"
    deviation = x.reshape(layout.view) - (layout.statistic(stats.mean) if centred else 0.0)
    rstd = layout.statistic(stats.rstd)
    ones = np.ones(layout.parameter_shape)
    gamma = options.get("offset", 0.0) + layout.parameter(ones if weight is None else weight)
    beta = layout.parameter(0 * ones if bias is None else bias)
    xhat = deviation * rstd
    z_scale = np.abs(gamma) * ((1.0 if centred else 0.0) + np.abs(xhat)) + np.abs(beta)
    return _Terms(layout, layout.mask(where, x.shape), deviation, rstd, xhat, gamma, beta, z_scale)


class _Evaluated(NamedTuple):
    """An output, if any, and statistics that are not those of the data."""

    y: Array | None
    mean: Array
    rstd: Array


def _evaluated(x: Array, running: Any, weight: Any, bias: Any, output: bool, **options: Any) -> _Evaluated:
    mean, var = map(wide, running)
    y = reference.batch_norm(x, mean, var, weight, bias, **options) if output else None
    return _Evaluated(y, mean, _core.reciprocal_root(var + options.get("eps", 1e-5)))


def _resolved(options: Mapping[str, Any], x: Any) -> dict[str, Any]:
    """Return options whose eps is a number: None depends on the dtype, which is about to change."""
    return {**options, "eps": _rms.resolve_eps(options["eps"], x)} if "eps" in options else {**options}


def forward(
    op: str,
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    running: tuple[Any, Any] | None = None,
    activation: Any = None,
    where: Any = None,
    **options: Any,
) -> Outputs:
    """Return y of ``op(x, weight, bias, **options)``, and mean and rstd of ``op_forward(...)``.

    Parameters
    ----------
    op : str
        "batch_norm", "layer_norm", "rms_norm", "group_norm" or "instance_norm".
    x, weight, bias, activation, where, **options
        Arguments of the call, such as axis, eps, num_groups, offset.
    running : (running_mean, running_var), optional
        Statistics of an evaluation, for "batch_norm".
    """
    options = _resolved(options, x)
    dtype, x = np.asarray(x).dtype, wide(x)
    if running is None:
        function = getattr(reference, f"{op}_forward")
        saved = function(x, weight=weight, bias=bias, where=where, activation=activation, **options)
    else:
        saved = _evaluated(x, running, weight, bias, True, activation=activation, **options)
    t = _terms(op, x, weight, bias, saved, where, options)
    slack: Any = 0.0
    if activation is not None:
        z = (t.xhat * t.gamma + t.beta).reshape(x.shape)
        slack = _ACTIVATION * _STEEPEST * unit_roundoff(dtype) * np.abs(z)
    outputs = {"y": Expected(saved.y, t.z_scale.reshape(x.shape), slack), "rstd": Expected(saved.rstd, saved.rstd)}
    if op != "rms_norm":
        std = np.sqrt(t.average(t.deviation**2)).reshape(saved.mean.shape)
        outputs["mean"] = Expected(saved.mean, std, np.abs(saved.mean) * 2.0**-50)
    return outputs


def backward(
    op: str,
    dy: Any,
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    running: tuple[Any, Any] | None = None,
    activation: Any = None,
    where: Any = None,
    recentred: bool = True,
    **options: Any,
) -> Outputs:
    """Return the gradients dx, dweight and dbias of ``op_backward``.

    Parameters
    ----------
    op, x, weight, bias, running, activation, where, **options
        As in `forward`; eps is that of the forward.
    dy : ndarray
        Gradient of the output.
    recentred : bool
        False grants what the rounding of a saved mean in the compute type costs: float64 data, no second centring.
    """
    options = _resolved(options, x)
    x, dy = wide(x), wide(dy)
    if running is None:
        stats = getattr(reference, f"{op}_forward")(x, where=where, **options)
    else:
        stats = _evaluated(x, running, weight, bias, False, **options)
    extra = {key: value for key, value in options.items() if key != "eps"}
    if op != "rms_norm":
        extra["mean"] = stats.mean
    if op == "batch_norm":
        extra["training"] = running is None
    ref = getattr(reference, f"{op}_backward")(
        dy, x, weight=weight, rstd=stats.rstd, bias=bias, activation=activation, where=where, **extra
    )
    t = _terms(op, x, weight, bias, stats, where, options)
    dz, scale = _gradient_terms(op, dy, t, activation, constant=running is not None)
    size = np.abs(t.xhat)
    condition = 1.0 if recentred else 1 + np.abs(t.layout.statistic(stats.mean)) * t.rstd
    return {
        "dx": Expected(ref.dx, (t.rstd * scale * condition).reshape(x.shape)),
        "dweight": Expected(ref.dweight, t.per_parameter(dz * (1 + size) * condition, weight)),
        "dbias": Expected(ref.dbias, t.per_parameter(dz, weight if bias is None else bias)),
    }


def _gradient_terms(op: str, dy: Array, t: _Terms, activation: Any, *, constant: bool) -> tuple[Array, Array]:
    """Return the sizes of the terms of dz, and of those of dx by rstd; `constant` statistics have no gradient."""
    dz = np.abs(dy.reshape(t.layout.view))
    if activation is not None:
        slope = np.abs(_activation.derivative(activation, t.xhat * t.gamma + t.beta))
        # The slope of the smooth ones is a sum of terms, up to one and up to z.
        dz = dz * (slope if activation == "relu" else 1 + slope + t.z_scale)
    g, size = dz * np.abs(t.gamma), np.abs(t.xhat)
    if constant:
        return dz, g
    if op == "rms_norm":
        scale = g + size * t.average(g * size)
    else:
        scale = g + (1 + size) * (t.average(g) + t.average(g * size))
    return dz, scale if t.mask is None else np.where(t.mask, scale, g)


def l2_normalize(dy: Any, x: Any, *, axis: Any = -1, eps: float = 1e-12) -> Outputs:
    """Return y and norm of ``l2_normalize_forward``, dx of ``l2_normalize_backward``."""
    dy, x = wide(dy), wide(x)
    options: dict[str, Any] = {"axis": axis, "eps": eps}
    y, norm = reference.l2_normalize_forward(x, **options)
    dx = reference.l2_normalize_backward(dy, x, norm, **options)
    terms = np.abs(dy) + np.abs(y) * _core.total(np.abs(dy * y), _layer.layout(x, axis).reduced)
    size = _l2.divisor(norm, eps)
    return {"y": Expected(y, np.abs(y)), "norm": Expected(norm, norm), "dx": Expected(dx, terms / size)}


# ---- weights and whitening -------------------------------------------------------------------------------------------


def weight_norm(v: Any, g: Any, *, dw: Any = None, axis: Any = 0, groups: int = 1, eps: float = 0.0) -> Outputs:
    """Return w and norm of ``weight_norm_forward``; given `dw`, dv and dg of the backward."""
    v, length = wide(v), wide(g)
    options: dict[str, Any] = {"axis": axis, "groups": groups}
    w, norm = reference.weight_norm_forward(v, length, eps=eps, **options)
    if dw is None:
        return {"w": Expected(w, np.abs(w)), "norm": Expected(norm, norm)}
    dw = wide(dw)
    ref = reference.weight_norm_backward(dw, v, length, norm, **options)
    f = _filters.filters(v, axis, groups)
    norm, size = norm.reshape(f.one_each), np.abs(length.reshape(f.one_each))
    terms = _core.total(np.abs(v * dw).reshape(f.view), f.reduced)
    dv_scale = size / norm * (np.abs(dw).reshape(f.view) + np.abs(v).reshape(f.view) * terms / norm**2)
    return {
        "dv": Expected(ref.dv, dv_scale.reshape(v.shape)),
        "dg": Expected(ref.dg, (terms / norm).reshape(length.shape)),
    }


def weight_standardization(
    w: Any, gain: Any = None, *, dw: Any = None, axis: Any = 0, groups: int = 1, scale: float = 1.0, **options: Any
) -> Outputs:
    """Return w, mean and var of ``weight_standardization_forward``; given `dw`, dw and dgain of the backward."""
    w = wide(w)
    options |= {"axis": axis, "groups": groups, "scale": scale}
    ref = reference.weight_standardization_forward(w, gain, **options)
    f = _filters.filters(w, axis, groups)
    factor = np.abs(scale * (np.ones(f.one_each) if gain is None else wide(gain).reshape(f.one_each)))
    mode, eps = options.get("mode", "var"), options.get("eps")
    s, _ = _standardization.multiplier(ref.var.reshape(f.one_each), f.size, mode, eps)
    size = np.abs((w.reshape(f.view) - ref.mean.reshape(f.one_each)) * s)
    if dw is None:
        return {
            "w": Expected(ref.w, (factor * (1 + size)).reshape(w.shape)),
            "mean": Expected(ref.mean, np.sqrt(ref.var), np.abs(ref.mean) * 2.0**-50),
            "var": Expected(ref.var, ref.var),
        }
    dw = wide(dw)
    gradients = reference.weight_standardization_backward(dw, w, gain, ref.mean, ref.var, **options)
    dw = np.abs(dw).reshape(f.view)
    g = dw * factor

    def average(a: Array) -> Array:
        return np.asarray(np.mean(a, axis=f.reduced, keepdims=True))

    dw_scale = s * (g + (1 + size) * (average(g) + average(g * size)))
    dgain_scale = np.abs(scale) * _core.total(dw * (1 + size), f.reduced)
    return {
        "dw": Expected(gradients.dw, dw_scale.reshape(w.shape)),
        "dgain": Expected(gradients.dgain, dgain_scale.reshape(f.filters)),
    }


def root_of_condition(covariance: Any) -> float:
    """Return what rounding a whitening matrix costs: the root of its covariance's condition number, of the worst."""
    return float(np.sqrt(np.linalg.cond(np.asarray(covariance, np.float64)).max()))


def whitened(ref: Any, covariance: Any) -> Outputs:
    """Return the whitened data z, `covariance` being the one decomposed, eps on its diagonal included."""
    scale = root_of_condition(covariance) * np.sqrt(np.shape(covariance)[-1])
    return {"z": Expected(ref, scale * np.maximum(1, np.abs(ref)))}


def whitening_gradient(ref: Any, d: int) -> Outputs:
    """Return the input gradient dz of whitening `d` channels, whose errors are relative to its largest entry."""
    return {"dz": Expected(ref, np.full(np.shape(ref), np.max(np.abs(ref), initial=0.0) * np.sqrt(d)))}

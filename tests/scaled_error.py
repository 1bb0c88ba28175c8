"""How far results are from the reference, in units of the rounding errors that a good kernel has to make.

The scaled error of an output is max |out - ref| / (u * S + tiny): u is the unit roundoff of the type that the kernel
computes in, S the sum of the absolute values of the terms that the output is made of. Results that are stored in 16
bits may be off by half a unit in their last place besides. No condition number enters: a large mean must cost nothing.

`forward_errors` and its like compute the reference themselves, end to end, and return a dict for `exceeded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnorm import reference
from fastnorm.reference import _activation, _batch, _core, _group, _layer, _rms, _standardization

Array = npt.NDArray[Any]
Errors = dict[str, float]

# What the scaled errors must not exceed.
THRESHOLDS: Final[Mapping[str, float]] = {
    "y": 8,
    "mean": 4,
    "rstd": 8,
    "dx": 12,
    "dweight": 8,
    "dbias": 4,
    "running_mean": 8,
    "running_var": 8,
    "w": 8,
    "norm": 8,
    "var": 8,
    "dv": 12,
    "dg": 8,
    "dw": 12,
    "dgain": 8,
    "z": 4,
    "dz": 16,
}

# What an activation may add to the error of its argument, in u relative, and a bound of the slopes of all of them.
_ACTIVATION: Final = 4.0
_STEEPEST: Final = 1.13


# ---- the metric ------------------------------------------------------------------------------------------------------


def unit_roundoff(dtype: npt.DTypeLike) -> float:
    """Return the unit roundoff of the type that data of `dtype` are computed in: float64 for itself, else float32."""
    return 2.0**-53 if np.dtype(dtype) == np.float64 else 2.0**-24


def tiny(dtype: npt.DTypeLike) -> float:
    """Return four times the smallest number of the compute type."""
    return 2.0**-1072 if np.dtype(dtype) == np.float64 else 2.0**-147


def _finfo(dtype: npt.DTypeLike) -> Any:
    if np.dtype(dtype).kind == "f":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def half_ulp(ref: Any, dtype: npt.DTypeLike) -> Array:
    """Return half the distance of neighbours in `dtype` at `ref`."""
    ref, info = np.asarray(ref, np.float64), _finfo(dtype)
    exponent = np.where(ref == 0, int(info.minexp), np.frexp(ref)[1] - 1)
    return np.asarray(np.ldexp(0.5, np.maximum(exponent, int(info.minexp)) - int(info.nmant)))


def scaled_error(out: Any, ref: Any, scale: Any, dtype: npt.DTypeLike, *, slack: Any = 0.0) -> float:
    """Return the largest (|out - ref| - slack) / (u * scale + tiny).

    `out` is in the dtype that it is stored in, `dtype` that of the data, which says what the kernel computes in.
    NaN must meet NaN. Infinity stands for the power of two after the largest number: a result beyond it is infinite.
    """
    out, ref = np.asarray(out), np.asarray(ref)
    assert out.shape == ref.shape, f"result has shape {out.shape}, the reference {ref.shape}"
    got = out.astype(ref.dtype)
    if not np.array_equal(np.isnan(got), np.isnan(ref)):
        return np.inf
    limit = np.ldexp(1.0, int(_finfo(out.dtype).maxexp)) if out.itemsize < 8 else np.inf
    inside = np.clip(ref, -limit, limit)
    if out.itemsize == 2:
        slack = slack + half_ulp(inside, out.dtype)
    with np.errstate(all="ignore"):
        off = np.where(got == ref, 0, np.abs(np.clip(got, -limit, limit) - inside))
        error = np.maximum(off - slack, 0) / (unit_roundoff(dtype) * scale + tiny(dtype))
    return float(np.max(np.where(np.isnan(ref), 0, error), initial=0.0))


def exceeded(errors: Errors) -> Errors:
    """Return the errors beyond their thresholds: ``assert not exceeded(errors)``."""
    return {name: error for name, error in errors.items() if not error <= THRESHOLDS[name]}


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

    def per_parameter(self, a: Array) -> Array:
        rest = tuple(i for i in range(a.ndim) if i not in self.layout.parameters)
        return _core.total(a, rest, self.mask).reshape(self.layout.parameter_shape)


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


class _Constants(NamedTuple):
    """Statistics that are not those of the data."""

    mean: Array
    rstd: Array


def _statistics(op: str, x: Array, running: Any, where: Any, options: Mapping[str, Any]) -> Any:
    """Return the reference's own statistics, or those of evaluation."""
    if running is None:
        return getattr(reference, f"{op}_forward")(x, where=where, **options)
    return _Constants(wide(running[0]), _core.reciprocal_root(wide(running[1]) + options.get("eps", 1e-5)))


def forward_errors(
    op: str,
    got: Any,
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    running: tuple[Any, Any] | None = None,
    activation: Any = None,
    where: Any = None,
    **options: Any,
) -> Errors:
    """Return the scaled errors of ``op(x, weight, bias, **options)`` or ``op_forward(...)``: y, mean, rstd.

    Parameters
    ----------
    op : str
        "batch_norm", "layer_norm", "rms_norm", "group_norm" or "instance_norm".
    got : ndarray or NamedTuple
        The output, or what a forward returned.
    x, weight, bias, activation, where, **options
        Arguments of the call, such as axis, eps, num_groups, offset.
    running : (running_mean, running_var), optional
        Statistics of an evaluation, for "batch_norm".
    """
    if "eps" in options:  # None depends on the dtype, which is about to change
        options["eps"] = _rms.resolve_eps(options["eps"], x)
    dtype, x = np.asarray(x).dtype, wide(x)
    extra = {"activation": activation, **options}
    stats = _statistics(op, x, running, where, options)
    t = _terms(op, x, weight, bias, stats, where, options)
    if running is not None:
        y = reference.batch_norm(x, wide(running[0]), wide(running[1]), weight, bias, **extra)
    else:
        y = getattr(reference, f"{op}_forward")(x, weight=weight, bias=bias, where=where, **extra).y
    slack: Any = 0.0
    if activation is not None:
        z = (t.xhat * t.gamma + t.beta).reshape(x.shape)
        slack = _ACTIVATION * _STEEPEST * unit_roundoff(dtype) * np.abs(z)
    out = got if isinstance(got, np.ndarray) else got.y
    errors = {"y": scaled_error(out, y, t.z_scale.reshape(x.shape), dtype, slack=slack)}
    if hasattr(got, "rstd"):
        errors["rstd"] = scaled_error(got.rstd, stats.rstd, stats.rstd, dtype)
    if hasattr(got, "mean") and got is not out:
        std = np.sqrt(t.average(t.deviation**2)).reshape(stats.mean.shape)
        errors["mean"] = scaled_error(got.mean, stats.mean, std, dtype, slack=np.abs(stats.mean) * 2.0**-50)
    return errors


def backward_errors(
    op: str,
    got: Any,
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
) -> Errors:
    """Return the scaled errors of the gradients that ``op_backward`` returned: dx, dweight, dbias, as far as there.

    Parameters
    ----------
    op, x, weight, bias, running, activation, where, **options
        As in `forward_errors`; eps is that of the forward.
    got : Gradients
        What the backward returned.
    dy : ndarray
        Gradient of the output.
    recentred : bool
        False grants what the rounding of a saved mean in the compute type costs: float64 data, no second centring.
    """
    if "eps" in options:
        options["eps"] = _rms.resolve_eps(options["eps"], x)
    dtype, x, dy = np.asarray(x).dtype, wide(x), wide(dy)
    stats = _statistics(op, x, running, where, options)
    extra = {key: value for key, value in options.items() if key != "eps"}
    if op != "rms_norm":
        extra["mean"] = stats.mean
    if op == "batch_norm":
        extra["training"] = running is None
    ref = getattr(reference, f"{op}_backward")(
        dy, x, weight=weight, rstd=stats.rstd, bias=bias, activation=activation, where=where, **extra
    )
    t = _terms(op, x, weight, bias, stats, where, options)
    dz = np.abs(dy.reshape(t.layout.view))
    if activation is not None:
        slope = np.abs(_activation.derivative(activation, t.xhat * t.gamma + t.beta))
        # The slope of the smooth ones is a sum of terms, up to one and up to z.
        dz = dz * (slope if activation == "relu" else 1 + slope + t.z_scale)
    g, size = dz * np.abs(t.gamma), np.abs(t.xhat)
    if running is not None:
        scale = g
    elif op == "rms_norm":
        scale = g + size * t.average(g * size)
    else:
        scale = g + (1 + size) * (t.average(g) + t.average(g * size))
    if t.mask is not None and running is None:
        scale = np.where(t.mask, scale, g)
    condition = 1.0 if recentred else 1 + np.abs(t.layout.statistic(stats.mean)) * t.rstd
    scales = {
        "dx": (t.rstd * scale * condition).reshape(x.shape),
        "dweight": t.per_parameter(dz * (1 + size) * condition),
        "dbias": t.per_parameter(dz),
    }
    return {
        name: scaled_error(getattr(got, name), getattr(ref, name), scales[name], dtype)
        for name in scales
        if getattr(got, name) is not None
    }


# ---- weights and whitening -------------------------------------------------------------------------------------------


def weight_norm_errors(got: Any, v: Any, g: Any, *, dw: Any = None, axis: int | None = 0, eps: float = 0.0) -> Errors:
    """Return the scaled errors of ``weight_norm_forward``: w, norm; given `dw` those of the backward: dv, dg."""
    dtype, v, length = np.asarray(v).dtype, wide(v), wide(g)
    w, norm = reference.weight_norm_forward(v, length, axis=axis, eps=eps)
    if dw is None:
        return {
            "w": scaled_error(got.w, w, np.abs(w), dtype),
            "norm": scaled_error(np.reshape(got.norm, norm.shape), norm, norm, dtype),
        }
    dw = wide(dw)
    ref = reference.weight_norm_backward(dw, v, length, norm, axis=axis)
    terms = _core.total(np.abs(v * dw), _core.others(v, axis))
    dv_scale = np.abs(length.reshape(norm.shape)) / norm * (np.abs(dw) + np.abs(v) * terms / norm**2)
    return {
        "dv": scaled_error(got.dv, ref.dv, dv_scale, dtype),
        "dg": scaled_error(got.dg, ref.dg, (terms / norm).reshape(length.shape), dtype),
    }


def weight_standardization_errors(
    got: Any, w: Any, gain: Any = None, *, dw: Any = None, axis: int = 0, scale: float = 1.0, **options: Any
) -> Errors:
    """Return the scaled errors of ``weight_standardization_forward``: w, mean, var; given `dw` of the backward."""
    dtype, w = np.asarray(w).dtype, wide(w)
    options |= {"axis": axis, "scale": scale}
    ref = reference.weight_standardization_forward(w, gain, **options)
    over = _core.others(w, axis)
    kept = [1 if a in over else n for a, n in enumerate(w.shape)]
    factor = np.abs(scale * (np.ones(kept) if gain is None else wide(gain).reshape(kept)))
    mode, eps = options.get("mode", "var"), options.get("eps")
    s, _ = _standardization.multiplier(ref.var.reshape(kept), w.size // max(w.shape[axis], 1), mode, eps)
    size = np.abs((w - ref.mean.reshape(kept)) * s)
    if dw is None:
        std = np.sqrt(ref.var)
        return {
            "w": scaled_error(got.w, ref.w, factor * (1 + size), dtype),
            "mean": scaled_error(got.mean, ref.mean, std, dtype, slack=np.abs(ref.mean) * 2.0**-50),
            "var": scaled_error(got.var, ref.var, ref.var, dtype),
        }
    dw = wide(dw)
    gradients = reference.weight_standardization_backward(dw, w, gain, ref.mean, ref.var, **options)
    g = np.abs(dw) * factor

    def average(a: Array) -> Array:
        return np.asarray(np.mean(a, axis=over, keepdims=True))

    dw_scale = s * (g + (1 + size) * (average(g) + average(g * size)))
    dgain_scale = np.abs(scale) * _core.total(np.abs(dw) * (1 + size), over).reshape(w.shape[axis])
    return {
        "dw": scaled_error(got.dw, gradients.dw, dw_scale, dtype),
        "dgain": scaled_error(got.dgain, gradients.dgain, dgain_scale, dtype),
    }


def whitening_error(z: Any, ref: Any, covariance: Any, dtype: npt.DTypeLike) -> Errors:
    """Return the scaled error of whitened data, `covariance` being the one decomposed, eps on its diagonal included."""
    scale = np.sqrt(np.linalg.cond(np.asarray(covariance, np.float64)).max() * np.shape(covariance)[-1])
    return {"z": scaled_error(z, ref, scale * np.maximum(1, np.abs(ref)), dtype)}


def whitening_gradient_error(dx: Any, ref: Any, d: int, dtype: npt.DTypeLike) -> Errors:
    """Return the scaled error of the input gradient of whitening `d` channels, relative to its largest entry."""
    return {"dz": scaled_error(dx, ref, np.max(np.abs(ref), initial=0.0) * np.sqrt(d), dtype)}

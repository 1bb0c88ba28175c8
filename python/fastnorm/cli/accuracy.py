"""How far results are from the float64 reference, in units of the roundings that a good kernel cannot avoid.

The scaled error of an output is the largest ``|out - ref| / (u * S)``: u is the unit roundoff of the arithmetic,
S the sum of the absolute values of the terms that the output is made of. For ``y = xhat * weight + bias`` that is
``|weight| * (1 + |xhat|) + |bias|``. No condition number enters: a mean that is large against the spread is no excuse.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import reference
from .._types import Array
from ..reference import _batch, _core, _group, _layer

if TYPE_CHECKING:
    from .problems import Problem

# What the tests of the library hold every kernel to, on hard input too.
LIMITS: Final = {"y": 8, "rstd": 8, "dx": 12, "dweight": 8, "dbias": 4}


def worst(errors: dict[str, float]) -> str:
    """Return the name of the output that is nearest to its limit, or farthest beyond."""
    return max(errors, key=lambda name: errors[name] / LIMITS[name])


def within_limits(errors: dict[str, float]) -> bool:
    """Say whether no output is beyond its limit."""
    return all(error <= LIMITS[name] for name, error in errors.items())


def scaled_error(out: Array, ref: Array, scale: Array, dtype: npt.DTypeLike) -> float:
    """Return the largest scaled error of an output of data of `dtype`; infinity if NaN does not meet NaN."""
    if out.shape != ref.shape or not np.array_equal(np.isnan(out), np.isnan(ref)):
        return np.inf
    u, tiny = (2.0**-53, 2.0**-1072) if dtype == np.float64 else (2.0**-24, 2.0**-147)
    error = np.abs(out - ref) / (u * scale + tiny)
    return float(np.max(error, initial=0.0, where=~np.isnan(ref)))


def errors(problem: Problem, result: Any) -> dict[str, float]:
    """Return the scaled errors of what a call of the problem returned, by name of output.

    The reference computes its own statistics: what the backward inherits from an error of the forward counts too.
    """
    dtype = problem.data.dtype
    terms = _terms(_widened(problem))
    if problem.direction == "inference":
        return {"y": scaled_error(result, terms.y, terms.y_scale, dtype)}
    if problem.direction == "forward":
        rstd = terms.rstd.reshape(result.rstd.shape)
        return {
            "y": scaled_error(result.y, terms.y, terms.y_scale, dtype),
            "rstd": scaled_error(result.rstd, rstd, rstd, dtype),
        }
    return _gradient_errors(_widened(problem), terms, result, dtype)


class _Terms(NamedTuple):
    """The forward pass of the reference, and what outputs are made of, shaped as its layout views the data."""

    layout: _core.Layout
    y: Array  # in the shape of the data, as y_scale
    y_scale: Array
    xhat: Array
    mean: Array
    rstd: Array
    weight: Array


def _widened(problem: Problem) -> Problem:
    """Return the problem for the reference: float64 data as longdouble, which is more where the platform has it."""
    if problem.data.dtype != np.float64:
        return problem
    x = problem.data.astype(np.longdouble)
    return dataclasses.replace(problem, data=x, arguments={**problem.arguments, "x": x})


def _layout(problem: Problem) -> _core.Layout:
    x, arguments = problem.data, problem.arguments
    if problem.op in ("layer_norm", "rms_norm"):
        return _layer.layout(x, arguments.get("axis", -1))
    axis = arguments.get("axis", 1)
    if problem.op == "batch_norm":
        return _batch.layout(x, axis)
    return _group.layout(x, arguments.get("num_groups", x.shape[axis]), axis)


def _terms(problem: Problem) -> _Terms:
    layout, arguments = _layout(problem), problem.arguments
    centred = problem.op != "rms_norm"
    if "running_mean" in arguments:
        y, mean = reference.batch_norm(**arguments), arguments["running_mean"]
        rstd = _core.reciprocal_root(_core.promote(arguments["running_var"]) + arguments.get("eps", 1e-5))
    else:
        saved = getattr(reference, f"{problem.op}_forward")(**arguments)
        y, rstd = saved.y, saved.rstd
        mean = saved.mean if centred else np.zeros_like(rstd)
    mean, rstd = layout.statistic(mean), layout.statistic(rstd)
    xhat = (_core.promote(problem.data).reshape(layout.view) - mean) * rstd
    weight = np.abs(layout.parameter(arguments["weight"]))
    y_scale = weight * ((1 if centred else 0) + np.abs(xhat))
    if "bias" in arguments:
        y_scale = y_scale + np.abs(layout.parameter(arguments["bias"]))
    return _Terms(layout, y, y_scale.reshape(y.shape), xhat, mean, rstd, weight)


def _gradient_errors(problem: Problem, t: _Terms, result: Any, dtype: npt.DTypeLike) -> dict[str, float]:
    ref = problem.call(reference)()
    dy = np.abs(_core.promote(problem.gradient)).reshape(t.layout.view)
    g, size = dy * t.weight, np.abs(t.xhat)

    def average(a: Array) -> Array:
        return np.asarray(a.mean(axis=t.layout.reduced, keepdims=True))

    if problem.op == "rms_norm":
        through = size * average(g * size)
    else:
        through = (1 + size) * (average(g) + average(g * size))
    # A mean saved in float64 is exact for float32 data only: its rounding shows in the gradients of float64 data.
    condition = 1 + np.abs(t.mean) * t.rstd if dtype == np.float64 else 1.0
    rest = tuple(a for a in range(size.ndim) if a not in t.layout.parameters)
    scales = {
        "dx": (t.rstd * (g + through) * condition).reshape(problem.data.shape),
        "dweight": (dy * (1 + size) * condition).sum(axis=rest).reshape(t.layout.parameter_shape),
        "dbias": dy.sum(axis=rest).reshape(t.layout.parameter_shape),
    }
    got = {name: getattr(result, name) for name in scales}
    return {
        name: scaled_error(out, getattr(ref, name), scales[name], dtype) for name, out in got.items() if out is not None
    }

"""How far results are from the float64 reference, in units of the roundings that a good kernel cannot avoid.

The scaled error of an output is the largest ``|out - ref| / (u * S)``: u is the unit roundoff of the arithmetic,
S the sum of the absolute values of the terms that the output is made of. For ``y = xhat * weight + bias`` that is
``|weight| * (1 + |xhat|) + |bias|``. No condition number enters: a mean that is large against the spread is no excuse.
"""

from __future__ import annotations

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


class Judge:
    """The reference's answer to a problem, and what its outputs are made of.

    It computes its own statistics: what a backward inherits from an error of the forward counts too.
    """

    def __init__(self, problem: Problem) -> None:
        self._dtype = problem.data.dtype
        terms = _terms(problem)
        self._outputs = {
            "inference": _inference_outputs,
            "forward": _forward_outputs,
            "backward": _gradient_outputs,
        }[problem.direction](problem, terms)

    def errors(self, result: Any) -> dict[str, float]:
        """Return the scaled errors of a result by name of output: of an array, which is y, or of named outputs."""
        got = {"y": result} if isinstance(result, np.ndarray) else result._asdict()
        return {
            name: scaled_error(np.reshape(got[name], ref.shape), ref, scale, self._dtype)
            for name, (ref, scale) in self._outputs.items()
            if got.get(name) is not None
        }


# By name the reference's output, and the sum of the absolute values of its terms.
_Outputs = dict[str, tuple[Array, Array]]


class _Terms(NamedTuple):
    """The forward pass of the reference, shaped as its layout views the data."""

    layout: _core.Layout
    y: Array  # in the shape of the data
    xhat: Array
    mean: Array
    rstd: Array


def _terms(problem: Problem) -> _Terms:
    layout, arguments = _layout(problem), problem.widened().arguments
    if "running_mean" in arguments:
        y, mean = reference.batch_norm(**arguments), arguments["running_mean"]
        rstd = _core.reciprocal_root(_core.promote(arguments["running_var"]) + arguments.get("eps", 1e-5))
    else:
        saved = getattr(reference, f"{problem.op}_forward")(**arguments)
        y, rstd = saved.y, saved.rstd
        mean = getattr(saved, "mean", np.zeros_like(rstd))
    mean, rstd = layout.statistic(mean), layout.statistic(rstd)
    xhat = (_core.promote(arguments["x"]).reshape(layout.view) - mean) * rstd
    return _Terms(layout, y, xhat, mean, rstd)


def _layout(problem: Problem) -> _core.Layout:
    x, arguments = problem.data, problem.arguments
    if problem.op in ("layer_norm", "rms_norm"):
        return _layer.layout(x, arguments.get("axis", -1))
    axis = arguments.get("axis", 1)
    if problem.op == "batch_norm":
        return _batch.layout(x, axis)
    return _group.layout(x, arguments.get("num_groups", x.shape[axis]), axis)


def _inference_outputs(problem: Problem, t: _Terms) -> _Outputs:
    shift = 0 if problem.op == "rms_norm" else 1
    scale = np.abs(t.layout.parameter(problem.arguments["weight"])) * (shift + np.abs(t.xhat))
    if "bias" in problem.arguments:
        scale = scale + np.abs(t.layout.parameter(problem.arguments["bias"]))
    return {"y": (t.y, scale.reshape(t.y.shape))}


def _forward_outputs(problem: Problem, t: _Terms) -> _Outputs:
    return {**_inference_outputs(problem, t), "rstd": (t.rstd, t.rstd)}


def _gradient_outputs(problem: Problem, t: _Terms) -> _Outputs:
    ref = problem.widened().call(reference)()
    dy = np.abs(_core.promote(problem.gradient)).reshape(t.layout.view)
    g, size = dy * np.abs(t.layout.parameter(problem.arguments["weight"])), np.abs(t.xhat)

    def average(a: Array) -> Array:
        return np.asarray(a.mean(axis=t.layout.reduced, keepdims=True))

    through = size * average(g * size)
    if problem.op != "rms_norm":
        through = (1 + size) * (average(g) + average(g * size))
    # A mean saved in float64 is exact for float32 data only: its rounding shows in the gradients of float64 data.
    condition = 1 + np.abs(t.mean) * t.rstd if problem.data.dtype == np.float64 else 1.0
    rest = tuple(a for a in range(size.ndim) if a not in t.layout.parameters)
    outputs = {
        "dx": (ref.dx, (t.rstd * (g + through) * condition).reshape(problem.data.shape)),
        "dweight": (ref.dweight, (dy * (1 + size) * condition).sum(axis=rest).reshape(ref.dweight.shape)),
    }
    if ref.dbias is not None:
        outputs["dbias"] = ref.dbias, dy.sum(axis=rest).reshape(ref.dbias.shape)
    return outputs

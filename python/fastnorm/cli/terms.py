"""What the outputs of the normalizations are made of: the reference's values, and the sums of their terms' sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import reference
from .._types import Array
from ..reference import _batch, _core, _group, _layer

if TYPE_CHECKING:
    from .problems import Problem

# By name the reference's output, and the sum of the absolute values of its terms.
Outputs = dict[str, tuple[Array, Array]]


def normalization(problem: Problem) -> Outputs:
    """Judge a normalization.

    The reference computes its own statistics: what a backward inherits from an error of the forward counts too.
    """
    terms = _terms(problem)
    if problem.direction == "backward":
        return _gradient_outputs(problem, terms)
    return _forward_outputs(problem, terms) if problem.direction == "forward" else _inference_outputs(problem, terms)


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


def _inference_outputs(problem: Problem, t: _Terms) -> Outputs:
    shift = 0 if problem.op == "rms_norm" else 1
    scale = np.abs(t.layout.parameter(problem.arguments["weight"])) * (shift + np.abs(t.xhat))
    if "bias" in problem.arguments:
        scale = scale + np.abs(t.layout.parameter(problem.arguments["bias"]))
    return {"y": (t.y, scale.reshape(t.y.shape))}


def _forward_outputs(problem: Problem, t: _Terms) -> Outputs:
    return {**_inference_outputs(problem, t), "rstd": (t.rstd, t.rstd)}


def _gradient_outputs(problem: Problem, t: _Terms) -> Outputs:
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

"""What the outputs of the two methods for weights are made of, as :mod:`fastnorm.cli.terms` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import reference
from .._types import Array
from ..reference import _core, _standardization

if TYPE_CHECKING:
    from .problems import Problem
    from .terms import Outputs


def weight_norm(problem: Problem) -> Outputs:
    """Judge weight normalization."""
    arguments = problem.widened().arguments
    v, g = (_core.promote(arguments[name]) for name in ("v", "g"))
    w, norm = reference.weight_norm_forward(**arguments)
    if problem.direction != "backward":
        return {"w": (w, np.abs(w)), "norm": (norm, norm)}
    dw = _core.promote(problem.gradient)
    ref = problem.widened().call(reference)()
    along = _core.total(np.abs(v * dw), _core.others(v, arguments["axis"]))
    return {
        "dv": (ref.dv, np.abs(g) / norm * (np.abs(dw) + np.abs(v) * along / norm**2)),
        "dg": (ref.dg, along / norm),
    }


def weight_standardization(problem: Problem) -> Outputs:
    """Judge weight standardization in mode "var" with a gain."""
    arguments = problem.widened().arguments
    w, axis = _core.promote(arguments["w"]), arguments["axis"]
    over = _core.others(w, axis)
    kept = [1 if a in over else n for a, n in enumerate(w.shape)]
    saved = reference.weight_standardization_forward(**arguments)
    gain = np.abs(_core.promote(arguments["gain"])).reshape(kept)
    s, _ = _standardization.multiplier(saved.var.reshape(kept), w.size // w.shape[axis], "var", None)
    size = np.abs((w - saved.mean.reshape(kept)) * s)
    if problem.direction != "backward":
        return {"w": (saved.w, gain * (1 + size)), "var": (saved.var, saved.var)}

    def average(a: Array) -> Array:
        return np.asarray(a.mean(axis=over, keepdims=True))

    dw = np.abs(_core.promote(problem.gradient))
    g = dw * gain
    ref = problem.widened().call(reference)()
    return {
        "dw": (ref.dw, s * (g + (1 + size) * (average(g) + average(g * size)))),
        "dgain": (ref.dgain, _core.total(dw * (1 + size), over).reshape(-1)),
    }

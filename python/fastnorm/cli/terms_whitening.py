"""What the outputs of whitening are made of, as :mod:`fastnorm.cli.terms` has it.

Rounding the whitening matrix, as float32 arithmetic must, costs the square root of the covariance's condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import reference
from .._types import Array
from ..reference import _core

if TYPE_CHECKING:
    from .problems import Problem
    from .terms import Outputs


def whiten(problem: Problem) -> Outputs:
    """Judge the whitening of data by one of the methods that decompose their covariance."""
    x, options = _core.promote(problem.arguments["x"]), {**problem.arguments}
    del options["x"]
    covariance = np.cov(x.T) + options["eps"] * np.eye(x.shape[1])
    z = reference.whiten(x, **options)
    return {"z": (z, _root_of_condition(covariance) * np.sqrt(x.shape[1]) * np.maximum(1, np.abs(z)))}


def batch_whitening(problem: Problem) -> Outputs:
    """Judge batch whitening without weight and bias."""
    x, axis = problem.arguments["x"], problem.arguments["axis"]
    y, saved = reference.batch_whitening_forward(**problem.arguments)
    condition = _root_of_condition(saved.covariance)
    d = saved.covariance.shape[-1]
    if problem.direction != "backward":
        return {"z": (y, condition * np.sqrt(d) * np.maximum(1, np.abs(y)))}
    ref = problem.call(reference)()
    dy, others = np.abs(_core.promote(problem.gradient)), _core.others(x, axis)
    return {
        "dz": (ref.dx, np.full_like(ref.dx, np.abs(ref.dx).max() * np.sqrt(d))),
        "dweight": (ref.dweight, condition * np.sum(dy * (1 + np.abs(y)), axis=others)),
        "dbias": (ref.dbias, np.sum(dy, axis=others)),
    }


def _root_of_condition(covariance: Array) -> float:
    return float(np.sqrt(np.linalg.cond(covariance).max()))

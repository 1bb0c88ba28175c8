"""How far answers to a problem are from the float64 reference, by the metric of the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

import fastnorm as fn
from problems import Problem

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import output_terms
import scaled_error
from output_terms import Expected, Outputs
from scaled_error import THRESHOLDS, exceeded

__all__ = ["AGREEMENT", "THRESHOLDS", "Judge", "exceeded"]

# Answers that are farther from the reference than this many rounding errors are not answers to the same question.
AGREEMENT: Final = 4096

# Outputs whose terms are others in whitening than elsewhere have names of their own.
_FIELDS: Final = {"z": "y", "dz": "dx"}


class Judge:
    """What the outputs of a problem must be."""

    def __init__(self, problem: Problem) -> None:
        self._dtype = problem.data.dtype
        self._outputs = _OUTPUTS.get(problem.op, _normalization)(problem)

    def errors(self, result: Any) -> dict[str, float]:
        """Return the scaled errors of a result by name of output: of an array, which is the first, or of named ones."""
        first = next(iter(self._outputs))
        fields = {_FIELDS.get(first, first): result} if isinstance(result, np.ndarray) else result._asdict()
        got = {
            name: np.reshape(found, output.ref.shape)
            for name, output in self._outputs.items()
            if (found := fields.get(_FIELDS.get(name, name))) is not None
        }
        return scaled_error.errors(got, self._outputs, self._dtype)


def _normalization(problem: Problem) -> Outputs:
    options = dict(problem.arguments)
    if "running_mean" in options:
        options["running"] = options.pop("running_mean"), options.pop("running_var")
    if problem.direction != "backward":
        return output_terms.forward(problem.op, **options)
    # A mean saved in float64 is exact for float32 data only: its rounding shows in the gradients of float64 data.
    exact = problem.data.dtype != np.float64 or problem.op == "rms_norm"
    return output_terms.backward(problem.op, problem.gradient, recentred=exact, **options)


def _weight_norm(problem: Problem) -> Outputs:
    return output_terms.weight_norm(dw=problem.gradient, **problem.arguments)


def _weight_standardization(problem: Problem) -> Outputs:
    return output_terms.weight_standardization(dw=problem.gradient, **problem.arguments)


def _whiten(problem: Problem) -> Outputs:
    x, *_ = problem.arguments.values()
    covariance = np.cov(x.T.astype(np.float64)) + problem.arguments["eps"] * np.eye(x.shape[1])
    return output_terms.whitened(fn.reference.whiten(**problem.arguments), covariance)


def _batch_whitening(problem: Problem) -> Outputs:
    y, saved = fn.reference.batch_whitening_forward(**problem.arguments)
    if problem.direction != "backward":
        return output_terms.whitened(y, saved.covariance)
    ref = problem.call(fn.reference)()
    dy = np.abs(output_terms.wide(problem.gradient))
    others = tuple(a for a in range(y.ndim) if a != problem.arguments["axis"] % y.ndim)
    dweight_scale = output_terms.root_of_condition(saved.covariance) * np.sum(dy * (1 + np.abs(y)), axis=others)
    return output_terms.whitening_gradient(ref.dx, saved.covariance.shape[-1]) | {
        "dweight": Expected(ref.dweight, dweight_scale),
        "dbias": Expected(ref.dbias, np.sum(dy, axis=others)),
    }


_OUTPUTS: Final = {
    "weight_norm": _weight_norm,
    "weight_standardization": _weight_standardization,
    "whiten": _whiten,
    "batch_whitening": _batch_whitening,
}

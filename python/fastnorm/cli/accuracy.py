"""How far results are from the float64 reference, in units of the roundings that a good kernel cannot avoid.

The scaled error of an output is the largest ``|out - ref| / (u * S)``: u is the unit roundoff of the arithmetic,
S the sum of the absolute values of the terms that the output is made of. For ``y = xhat * weight + bias`` that is
``|weight| * (1 + |xhat|) + |bias|``. No condition number enters: a mean that is large against the spread is no excuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from .._types import Array
from . import terms, terms_weights, terms_whitening

if TYPE_CHECKING:
    from .problems import Problem

# What the tests of the library hold every kernel to, on hard input too.
LIMITS: Final = {
    "y": 8,
    "rstd": 8,
    "dx": 12,
    "dweight": 8,
    "dbias": 4,
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

# Outputs whose terms are others in whitening than elsewhere have names of their own.
_FIELDS: Final = {"z": "y", "dz": "dx"}

_OUTPUTS: Final = {
    "weight_norm": terms_weights.weight_norm,
    "weight_standardization": terms_weights.weight_standardization,
    "whiten": terms_whitening.whiten,
    "batch_whitening": terms_whitening.batch_whitening,
}


def worst(errors: dict[str, float]) -> str:
    """Return the name of the output that is nearest to its limit, or farthest beyond."""
    return max(errors, key=lambda name: errors[name] / LIMITS[name])


def within_limits(errors: dict[str, float]) -> bool:
    """Say whether no output is beyond its limit."""
    return all(error <= LIMITS[name] for name, error in errors.items())


def scaled_error(out: Array, ref: Array, scale: Array, dtype: npt.DTypeLike) -> float:
    """Return the largest scaled error of an output of data of `dtype`; infinity if NaN does not meet NaN.

    What is stored in 16 bits may be off by half a unit in its last place besides.
    """
    out = np.asarray(out)
    slack = _half_ulp(ref, out.dtype) if out.itemsize == 2 else 0.0
    if out.itemsize == 2:
        out = out.astype(np.float32)
    if out.shape != ref.shape or not np.array_equal(np.isnan(out), np.isnan(ref)):
        return np.inf
    u, tiny = (2.0**-53, 2.0**-1072) if dtype == np.float64 else (2.0**-24, 2.0**-147)
    error = np.maximum(np.abs(out - ref) - slack, 0.0) / (u * scale + tiny)
    return float(np.max(error, initial=0.0, where=~np.isnan(ref)))


def _half_ulp(ref: Array, dtype: np.dtype[Any]) -> Array:
    """Return half the distance of neighbours in a type of 16 bits at `ref`."""
    digits, least = (10, -14) if dtype == np.float16 else (7, -126)  # else bfloat16
    exponent = np.maximum(np.frexp(np.asarray(ref, np.float64))[1] - 1, least)
    return np.asarray(np.ldexp(0.5, exponent - digits))


class Judge:
    """The reference's answer to a problem, and what its outputs are made of."""

    def __init__(self, problem: Problem) -> None:
        self._dtype = problem.data.dtype
        self._outputs = _OUTPUTS.get(problem.op, terms.normalization)(problem)

    def errors(self, result: Any) -> dict[str, float]:
        """Return the scaled errors of a result by name of output: of an array, which is the first, or of named ones."""
        first = next(iter(self._outputs))
        got = {_FIELDS.get(first, first): result} if isinstance(result, np.ndarray) else result._asdict()
        return {
            name: scaled_error(np.reshape(found, ref.shape), ref, scale, self._dtype)
            for name, (ref, scale) in self._outputs.items()
            if (found := got.get(_FIELDS.get(name, name))) is not None
        }

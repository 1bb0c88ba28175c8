"""How far results are from the reference, in units of the rounding errors that a good kernel has to make.

The scaled error of an output is max |out - ref| / (u * S + tiny): u is the unit roundoff of the type that the kernel
computes in, S the sum of the absolute values of the terms that the output is made of. Results that are stored in 16
bits may be off by half a unit in their last place besides. No condition number enters: a large mean must cost nothing.

The one metric of tests, demonstration and benchmarks. `forward_errors` and its like compute the reference themselves,
end to end, and return a dict for `exceeded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import output_terms
from output_terms import Array, Outputs, unit_roundoff, wide

__all__ = [
    "THRESHOLDS",
    "backward_errors",
    "errors",
    "exceeded",
    "forward_errors",
    "half_ulp",
    "scaled_error",
    "tiny",
    "unit_roundoff",
    "weight_norm_errors",
    "weight_standardization_errors",
    "whitening_error",
    "whitening_gradient_error",
    "wide",
]

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


def tiny(dtype: npt.DTypeLike) -> float:
    """Return four times the smallest number of the compute type."""
    return 2.0**-1072 if np.dtype(dtype) == np.float64 else 2.0**-147


def _finfo(dtype: npt.DTypeLike) -> Any:
    if np.dtype(dtype).kind == "f":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


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


def errors(got: Mapping[str, Any], expected: Outputs, dtype: npt.DTypeLike) -> Errors:
    """Return the scaled errors of results for data of `dtype` by name, as far as they are there and not None."""
    return {
        name: scaled_error(got[name], output.ref, output.scale, dtype, slack=output.slack)
        for name, output in expected.items()
        if got.get(name) is not None
    }


# ---- by operation, with the arguments of output_terms ----------------------------------------------------------------


def forward_errors(op: str, got: Any, x: Any, *parameters: Any, **options: Any) -> Errors:
    """Return the scaled errors of ``op(x, *parameters, **options)`` or ``op_forward(...)``: y, mean, rstd."""
    named = {"y": got} if isinstance(got, np.ndarray) else got._asdict()
    return errors(named, output_terms.forward(op, x, *parameters, **options), np.asarray(x).dtype)


def backward_errors(op: str, got: Any, dy: Any, x: Any, *parameters: Any, **options: Any) -> Errors:
    """Return the scaled errors of the gradients that ``op_backward`` returned: dx, dweight, dbias, as far as there."""
    return errors(got._asdict(), output_terms.backward(op, dy, x, *parameters, **options), np.asarray(x).dtype)


def weight_norm_errors(got: Any, v: Any, g: Any, **options: Any) -> Errors:
    """Return the scaled errors of ``weight_norm_forward``: w, norm; given `dw` those of the backward: dv, dg."""
    expected, named = output_terms.weight_norm(v, g, **options), got._asdict()
    if "norm" in named:
        named["norm"] = np.reshape(named["norm"], expected["norm"].ref.shape)
    return errors(named, expected, np.asarray(v).dtype)


def weight_standardization_errors(got: Any, w: Any, gain: Any = None, **options: Any) -> Errors:
    """Return the scaled errors of ``weight_standardization_forward``: w, mean, var; given `dw` of the backward."""
    return errors(got._asdict(), output_terms.weight_standardization(w, gain, **options), np.asarray(w).dtype)


def whitening_error(z: Any, ref: Any, covariance: Any, dtype: npt.DTypeLike) -> Errors:
    """Return the scaled error of whitened data, `covariance` being the one decomposed, eps on its diagonal included."""
    return errors({"z": z}, output_terms.whitened(ref, covariance), dtype)


def whitening_gradient_error(dx: Any, ref: Any, d: int, dtype: npt.DTypeLike) -> Errors:
    """Return the scaled error of the input gradient of whitening `d` channels, relative to its largest entry."""
    return errors({"dz": dx}, output_terms.whitening_gradient(ref, d), dtype)

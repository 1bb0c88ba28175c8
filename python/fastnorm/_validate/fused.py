"""Steps that are fused into a forward pass: activations and quantization."""

from typing import Any, Final

import numpy as np

from .._types import Array
from .arrays import array, real

# What a scale may be: float32 has it with all digits.
LEAST_SCALE: Final = float(np.finfo(np.float32).tiny)
MOST_SCALE: Final = float(np.finfo(np.float32).max)


def byte_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of bytes that values are rounded to."""
    try:
        kind: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be int8 or uint8, got {dtype!r}") from error
    if kind not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise TypeError(f"dtype must be int8 or uint8, got {kind}")
    return kind


def quantization(scale: object, zero_point: object, dtype: Any) -> tuple[Array, Array, np.dtype[Any]]:
    """Scale in float64, zero point in its own dtype, dtype of bytes."""
    kind = byte_dtype(dtype)
    scales, zeros = real("scale", scale), array("zero_point", zero_point)
    if not (np.isfinite(scales) & (scales >= LEAST_SCALE) & (scales <= MOST_SCALE)).all():
        raise ValueError(f"scale must be finite and > 0, a normal number of float32, got {scale}")
    if zeros.dtype.kind not in "iu":
        raise TypeError(f"zero_point must have an integer dtype, got {zeros.dtype}")
    limits = np.iinfo(kind)
    if not ((zeros >= limits.min) & (zeros <= limits.max)).all():
        raise ValueError(f"zero_point must be from {limits.min} to {limits.max} for {kind}, got {zero_point}")
    return scales, zeros, kind

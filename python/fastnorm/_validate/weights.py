"""Weight normalization, weight standardization, folding."""

import numpy as np

from .._dtypes import FLOAT64
from .._types import Array


def variances(name: str, value: Array) -> Array:
    """Variances of channels that a constant can be made of."""
    values = value.astype(FLOAT64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if bad.size:
        raise ValueError(f"{name} must be finite and >= 0 to be folded, got {values[bad[0]]} for channel {bad[0]}")
    return values


def representable(name: str, value: Array) -> Array:
    """A folded parameter after rounding: an infinite one would be NaN or infinity in every output."""
    wrong = ~np.isfinite(value)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"the folded {name} must be finite in {value.dtype}, got {value[at]} at {at}")
    return value

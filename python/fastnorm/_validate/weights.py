"""Weight normalization, weight standardization, folding."""

import numpy as np

from .._dtypes import FLOAT64
from .._layout import Layout
from .._types import Array
from .arrays import numbers
from .parameters import dtype_of_parameter
from .statistics import dtype_of_statistic
from .texts import of_axes


def length(value: object, layout: Layout, v: Array) -> Array:
    """The lengths of weight normalization, as they broadcast against `v`, in their own dtype."""
    result = numbers("g", value)
    dtype_of_parameter("g", result, v, "v")
    _one_per_filter("g", result, layout)
    return result


def norm(value: object, layout: Layout) -> Array:
    """The norms that a forward pass saved."""
    result = numbers("norm", value)
    dtype_of_statistic("norm", result)
    _one_per_filter("norm", result, layout)
    return result


def _one_per_filter(name: str, value: Array, layout: Layout) -> None:
    if not layout.axes:
        if value.size != 1:
            raise ValueError(f"{name} must have one element for axis=None, got shape {value.shape}")
        return
    shape = tuple(n if axis in layout.axes else 1 for axis, n in enumerate(layout.shape))
    if value.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape} to match {of_axes(layout.axes)} of v with shape {layout.shape},"
            f" got {value.shape}"
        )


def several_weights(layout: Layout) -> None:
    """A variance that is divided by the number of weights less one needs two."""
    if layout.group_size == 1:
        raise ValueError(f"mode 'std_unbiased' needs two or more weights per filter, got w with shape {layout.shape}")


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

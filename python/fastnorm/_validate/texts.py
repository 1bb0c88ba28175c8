"""Parts of error texts."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._layout import Shape


def type_name(value: object) -> str:
    """What was given, if its type was wrong."""
    return type(value).__name__


def dtype_names(dtypes: Iterable[np.dtype[Any]]) -> str:
    """Dtypes of which one was expected."""
    *first, last = map(str, dtypes)
    return f"{', '.join(first)} or {last}" if first else last


def of_axes(axes: Shape) -> str:
    """What a shape must match."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"

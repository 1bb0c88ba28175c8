"""Statistics: what a forward pass saved, moments, counts."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._layout import Layout
from .._types import Array, Moments
from .arrays import real
from .texts import type_name


def several_values(layout: Layout, x: Array) -> None:
    """A variance that is trained with needs two values."""
    if layout.group_size == 1 and x.size:
        raise ValueError(f"expected more than one value per channel when training, got x with shape {x.shape}")


def count(value: object, layout: Layout) -> Array:
    """How many values per channel a whole batch has: one number, or one for each channel."""
    result = real("count", value)
    if result.shape not in ((), layout.statistics):
        raise ValueError(f"count must have shape () or {layout.statistics}, got {result.shape}")
    if 0 not in layout.shape and not (np.isfinite(result) & (result > 0)).all():
        raise ValueError(f"count must be finite and > 0, got {result}")
    return result


def moments(parts: object) -> list[Moments]:
    """Moments of one shape in float64.

    See Also
    --------
    merge_moments : Those of parts become those of the whole.
    """
    if isinstance(parts, Moments) or not isinstance(parts, Iterable):
        raise TypeError(f"parts must be a sequence of Moments, got {type_name(parts)}")
    result = [_moments(f"parts[{i}]", part) for i, part in enumerate(parts)]
    if not result:
        raise ValueError("parts must be one or more, got none")
    shapes = [values.shape for part in result for values in part]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"parts must have shapes that broadcast, got {', '.join(map(str, shapes))}") from None
    return [Moments(*(np.array(np.broadcast_to(values, shape)) for values in part)) for part in result]


def _moments(name: str, value: Any) -> Moments:
    try:
        count, mean, m2 = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a triple (count, mean, m2), got {type_name(value)}") from None
    part = Moments(*(real(f"{name}.{field}", v) for field, v in (("count", count), ("mean", mean), ("m2", m2))))
    if not (np.isfinite(part.count) & (part.count >= 0)).all():
        raise ValueError(f"{name}.count must be finite and >= 0, got {part.count}")
    return part

"""A row of the table: what its expression works on, and what must come out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CHANNELS = 8
FIRST, LAST = (6, CHANNELS, 5, 4), (6, 5, 4, CHANNELS)


class Case(NamedTuple):
    """The names of the expression, and the results that it must have, to rounding of the peer's arithmetic."""

    given: Mapping[str, Any]
    expected: Mapping[str, Any]
    tolerance: float = 1e-12
    # Expressions in 16 bits that must give the same bits, and one that is near, and does not.
    same_bits: bool = False
    near: str = ""


def numbers(*shape: int, scale: float = 1.0, seed: int = 0) -> Array:
    """Numbers that float32 holds."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64) * scale


def data(*shape: int, channel_axis: int = 1, parameters: int = CHANNELS) -> dict[str, Any]:
    """Data whose variance is near the eps that libraries use, so that a wrong one shows, and all that goes with it."""
    weight, bias, mean, var = numbers(4, parameters, seed=1)
    across = [a for a in range(len(shape)) if a != channel_axis % len(shape)]
    offsets = np.expand_dims(numbers(shape[channel_axis], scale=2.0**-5, seed=2), across)
    x = numbers(*shape, scale=2.0**-5) + offsets  # means no larger: some peers lose digits by them
    return {"x": x, "weight": weight, "bias": bias, "running_mean": mean.copy(), "running_var": var**2}

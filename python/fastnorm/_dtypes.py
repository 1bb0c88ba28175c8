"""The dtypes of the library: one table, read by validation and layout; and the rounding of float64 to them."""

from typing import Any, Final, NamedTuple

import numpy as np

FLOAT16: Final[np.dtype[Any]] = np.dtype(np.float16)
FLOAT32: Final[np.dtype[Any]] = np.dtype(np.float32)
FLOAT64: Final[np.dtype[Any]] = np.dtype(np.float64)


class Support(NamedTuple):
    """What goes with a data dtype: the type of the arithmetic, and what parameters and running buffers may have."""

    compute: np.dtype[Any]
    parameters: tuple[np.dtype[Any], ...]


class Table(dict[np.dtype[Any], Support]):
    """Support by dtype. It learns of ``ml_dtypes.bfloat16`` when it meets one, without importing that package."""

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        if not isinstance(key, np.dtype) or (key.name, key.char, key.itemsize) != ("bfloat16", "E", 2):
            return False
        self[key] = Support(FLOAT32, (key, FLOAT32, FLOAT64))
        return True


# Native byte order only: np.dtype(">f4") is another key. Parameters have the data's dtype or a wider one.
DATA: Final = Table(
    {
        FLOAT16: Support(FLOAT32, (FLOAT16, FLOAT32, FLOAT64)),
        FLOAT32: Support(FLOAT32, (FLOAT32, FLOAT64)),
        FLOAT64: Support(FLOAT64, (FLOAT64,)),
    }
)

DATA_NAMES: Final = "float16, bfloat16, float32 or float64"

# What a backward takes for saved statistics. They are made in float64.
STATISTICS: Final[tuple[np.dtype[Any], ...]] = (FLOAT32, FLOAT64)


def bfloat16() -> np.dtype[Any]:
    """The bfloat16 of ``ml_dtypes``, which is imported here and nowhere else."""
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError("bfloat16 needs the package ml_dtypes: pip install ml_dtypes") from None
    result: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return result


def rounded(values: np.ndarray[Any, np.dtype[Any]], dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Round float64 to the nearest of `dtype`, once.

    ``ml_dtypes`` goes to bfloat16 by way of float32, which would round twice. So what float32 cannot hold is cut off
    there, and its last bit set: that is enough to tell the halves of the second rounding from what is beside them.
    """
    if dtype.itemsize != 2 or dtype == FLOAT16:
        return values.astype(dtype, copy=False)
    near = values.astype(np.float32)
    if not (near.view(np.uint32) & 0xFFFF == 0x8000).any():  # twice matters only where the first one ends half-way
        return near.astype(dtype)
    inexact = (near != values) & np.isfinite(near)
    cut = np.where(inexact & (np.abs(near) > np.abs(values)), np.nextafter(near, np.float32(0)), near)
    odd: np.ndarray[Any, np.dtype[Any]] = (cut.view(np.uint32) | inexact).view(np.float32)
    return odd.astype(dtype)


def rounded_sums(dtype: np.dtype[Any], *sums: "np.ndarray[Any, np.dtype[Any]] | None") -> "list[Any]":
    """Round sums in float64 once, to `dtype`."""
    if dtype == FLOAT64:
        return list(sums)
    with np.errstate(all="ignore"):  # a sum beyond the range of float32 is inf, as everywhere in the core
        return [None if values is None else rounded(values, dtype) for values in sums]

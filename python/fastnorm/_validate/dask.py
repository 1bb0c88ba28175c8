"""Dask arrays, and how their blocks are merged. Dask itself is not imported here."""

from typing import Any

import numpy as np

from .._dtypes import DATA, DATA_NAMES
from .scalars import integer
from .texts import type_name


def dask_array(name: str, value: Any, kind: Any, use: str) -> Any:
    """A Dask array, of class `kind`, of numbers in blocks of known sizes; `use` is what is for other arrays."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a Dask array, got {type_name(value)}: use {use}, or dask.array.from_array")
    if value.dtype not in DATA:
        raise TypeError(f"{name} must have dtype {DATA_NAMES}, got {value.dtype}")
    if np.isnan(value.shape).any():
        raise ValueError(
            f"{name} must have blocks of known sizes, got shape {value.shape}: call {name}.compute_chunk_sizes() first"
        )
    return value


def block_as_declared(name: str, block: Any, lengths: tuple[int | None, ...], dtype: Any) -> None:
    """A block of the dtype and, on axes with one block, of the length that Dask has for the whole array."""
    own = getattr(block, "dtype", None)
    if own != dtype:
        kind = type_name(block) if own is None else own
        raise TypeError(f"{name} must have blocks of dtype {dtype}, which Dask has for all of them, got one of {kind}")
    shape = block.shape
    if len(shape) != len(lengths) or any(n not in (None, got) for n, got in zip(lengths, shape, strict=True)):
        declared = ", ".join("any" if n is None else str(n) for n in lengths)
        raise ValueError(
            f"{name} must have blocks of shape ({declared}), which Dask has for all of them, got one of shape {shape}"
        )


def table_in_blocks(name: str, value: Any, of: str = "features") -> None:
    """A Dask array of samples."""
    if value.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, samples and {of}, got {name} with shape {value.shape}")


def some_samples(name: str, samples: int, where: str) -> None:
    """Samples that something can be fitted to."""
    if samples == 0:
        raise ValueError(f"{name} must have one or more samples {where}, got none")


def split_every(value: object) -> int:
    """How many partial results are merged at a time."""
    result = integer("split_every", value)
    if result < 2:
        raise ValueError(f"split_every must be 2 or more, got {result}")
    return result

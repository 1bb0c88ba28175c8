"""Dask arrays: which ones are taken, in which blocks, and the tree that partial results of blocks are merged in."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _validate as check
from .._peers import needs
from .._types import Array

with needs("dask[array,distributed]", extra="dask"):
    import dask.array as da
    from dask.delayed import Delayed, delayed

__all__ = ["Delayed", "da", "data", "delayed", "empty", "mapped", "reduced", "whole"]


def data(name: str, x: Any, use: str) -> Any:
    """A Dask array of numbers in blocks of known sizes; `use` is what is for other arrays."""
    return check.dask_array(name, x, da.Array, use)


def whole(x: Any, axes: Sequence[int]) -> Any:
    """The array with one block along each of the axes."""
    return x.rechunk({a: -1 for a in axes if x.numblocks[a] > 1})


def empty(x: Any, axis: int) -> Array:
    """An array without values in place of `x`, of length 0 along an axis: a call with it checks all other arguments."""
    return np.empty(tuple(0 if a == axis else n for a, n in enumerate(x.shape)), x.dtype)


def mapped(operation: Callable[..., Any], x: Any, **options: Any) -> Any:
    """``operation(block, **options)`` for every block, in the same dtype."""
    return x.map_blocks(operation, dtype=x.dtype, meta=np.empty((0,) * x.ndim, x.dtype), **options)


def reduced(parts: Sequence[Any], merge: Callable[[list[Any]], Any], split_every: Any) -> Any:
    """Merge delayed partial results in a tree of at most `split_every` branches, in the order of the parts.

    The tree depends on the number of parts and on nothing else, and so then do the bits of the result.
    """
    split_every = check.split_every(split_every)
    task = delayed(merge, pure=True)
    level = list(parts)
    while len(level) > 1:
        groups = [level[i : i + split_every] for i in range(0, len(level), split_every)]
        level = [task(group) if len(group) > 1 else group[0] for group in groups]
    return level[0]

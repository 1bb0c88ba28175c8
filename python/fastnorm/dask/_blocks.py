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

__all__ = ["Delayed", "da", "data", "delayed", "empty", "mapped", "on_blocks", "reduced", "whole"]


def data(name: str, x: Any, use: str) -> Any:
    """A Dask array of numbers in blocks of known sizes; `use` is what is for other arrays."""
    return check.dask_array(name, x, da.Array, use)


def whole(x: Any, axes: Sequence[int]) -> Any:
    """The array with one block along each of the axes."""
    return x.rechunk({a: -1 for a in axes if x.numblocks[a] > 1})


def empty(x: Any, axis: int) -> Array:
    """An array without values in place of `x`, of length 0 along an axis: a call with it checks all other arguments."""
    return np.empty(tuple(0 if a == axis else n for a, n in enumerate(x.shape)), x.dtype)


def mapped(function: str, operation: Callable[..., Any], x: Any, name: str = "x", **options: Any) -> Any:
    """``operation(block, **options)`` for every block, in the same dtype, under the name of a function."""
    task = _OnBlock(function, operation, name, x)
    return x.map_blocks(task, dtype=x.dtype, meta=np.empty((0,) * x.ndim, x.dtype), **options)


def on_blocks(function: str, operation: Callable[..., Any], x: Any) -> Any:
    """Make delayed calls ``operation(block, **options)``, under the name of a function."""
    return delayed(_OnBlock(function, operation, "x", x), pure=True)


class _OnBlock:
    """An operation on blocks that are what Dask has them down for, which nobody has looked at yet.

    Axes with one block have the same length in all blocks.
    """

    def __init__(self, function: str, operation: Callable[..., Any], name: str, x: Any) -> None:
        self.__name__ = function  # what the dashboard shows
        self.operation, self.name, self.dtype = operation, name, x.dtype
        self.lengths = tuple(None if n > 1 else length for n, length in zip(x.numblocks, x.shape, strict=True))

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return self.__name__, self.operation, self.name, self.dtype, self.lengths

    def __call__(self, block: Any, **options: Any) -> Any:
        check.block_as_declared(self.name, block, self.lengths, self.dtype)
        return self.operation(block, **options)


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

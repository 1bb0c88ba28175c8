"""An array, or a list of blocks in the place of one: what several ranks would hold, one block each."""

from collections.abc import Sequence
from typing import Any, TypeVar

from .. import _validate as check

Value = TypeVar("Value")


def blocks_of(name: str, value: Any) -> list[Any]:
    """The blocks of an argument; an array is one."""
    if not isinstance(value, list | tuple):
        return [value]
    check.blocks(name, value)
    return list(value)


def like(x: Any, results: Sequence[Value]) -> Any:
    """Results of blocks in the form of the argument: a list of arrays, or one array."""
    return list(results) if isinstance(x, list | tuple) else results[0]

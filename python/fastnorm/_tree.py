"""The one order in which partial results are merged."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Part = TypeVar("Part")


def merged(parts: Iterable[Part], pair: Callable[[Part, Part], Part]) -> Part:
    """Merge neighbours in pairs, level by level, an odd last one moving up as it is.

    That tree is a binary counter: parts may come one by one, and of n parts about log2(n) are held. So aligned
    stretches of 2^k parts may be merged beforehand without changing a bit. There must be a part.
    """
    levels: list[Part | None] = []  # the k-th stands for 2^k parts
    for part in parts:
        value, k = part, 0
        while k < len(levels) and (left := levels[k]) is not None:
            value, levels[k] = pair(left, value), None
            k += 1
        if k == len(levels):
            levels.append(None)
        levels[k] = value
    rest = [value for value in levels if value is not None]
    result = rest[0]
    for value in rest[1:]:
        result = pair(value, result)
    return result

"""What ranks tell each other: that all took part, in one order, with arguments that go together, and without errors."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from .._layout import Shape
from .._types import Array
from .arrays import real
from .texts import type_name

_KINDS: Final = {kind.__name__: kind for kind in (ValueError, TypeError, np.linalg.LinAlgError)}


def gathered(parts: object, kind: type[Any], own: object) -> list[Any]:
    """What `allgather` returned: one message of `kind` for each rank, this rank's `own` among them."""
    if not isinstance(parts, Sequence):
        raise TypeError(f"allgather must return the list of all ranks' objects, got {type_name(parts)}")
    for i, part in enumerate(parts):
        if not isinstance(part, kind):
            raise ValueError(
                f"allgather must return what the ranks gave to it, got {type_name(part)} in place {i} of {len(parts)}:"
                " do all ranks make the same calls?"
            )
    ranks = [part.rank for part in parts]
    if own not in ranks:
        raise ValueError(f"allgather must return the objects of all ranks, got {len(parts)} without this rank's own")
    if len(set(ranks)) < len(ranks):
        raise ValueError(f"allgather must return every rank's object once, got one twice among {len(parts)}")
    return list(parts)


def no_error(parts: Sequence[Any]) -> None:
    """Messages of ranks that all came this far.

    An error of ours is raised in its own type, so that a program that handles it does so on every rank.
    """
    for i, part in enumerate(parts):
        if part.error is not None:
            kind, text = part.error
            if kind in _KINDS:
                raise _KINDS[kind](f"rank {i} of {len(parts)}: {text}")
            raise RuntimeError(f"rank {i} of {len(parts)} failed with {kind}: {text}")


def one_order(orders: Sequence[Any]) -> None:
    """What every rank saw in which place."""
    for i, order in enumerate(orders):
        if order != orders[0]:
            raise ValueError(f"allgather must return one order on every rank, got another on rank {i} than on rank 0")


def the_same(values: Sequence[Mapping[str, Any]], unit: str) -> None:
    """Arguments that must be equal for every `unit`: for every rank, or for every block."""
    for i, other in enumerate(values):
        as_first(values[0], other, unit, i)


def as_first(first: Mapping[str, Any], other: Mapping[str, Any], unit: str, place: int) -> None:
    """Arguments of one such unit, which must equal those of the first."""
    for name, expected in first.items():
        if other.get(name) != expected:
            raise ValueError(
                f"{name} must be the same for every {unit}, got {expected} for {unit} 0 and {other.get(name)} for"
                f" {unit} {place}"
            )


def blocks(name: str, value: Sequence[Any]) -> None:
    """Blocks that stand for one array."""
    if not value:
        raise ValueError(f"{name} must be an array or one or more blocks, got no blocks")


def as_many_blocks(name: str, value: Sequence[Any], x: Sequence[Any]) -> None:
    """Blocks that go with those of `x`."""
    if len(value) != len(x):
        raise ValueError(f"{name} must have {len(x)} blocks to match x, got {len(value)}")


def of_groups(name: str, value: object, shape: Shape) -> Array:
    """A statistic with one value for each group, or a number for all; in float64."""
    result = real(name, value)
    if result.shape not in (shape, ()) or (result.shape == () and name != "count"):
        raise ValueError(f"{name} must have shape {shape}, that of the groups of x, got {result.shape}")
    return np.array(np.broadcast_to(result, shape))


def values_per_group(count: Array, ddof: float, updates: bool) -> None:
    """A batch on all ranks whose variances can be trained with."""
    if (count == 1.0).any():
        raise ValueError("expected more than one value per group on all ranks together when training, got 1")
    few = (count > 0.0) & (count <= ddof)
    if updates and few.any():
        raise ValueError(f"ddof must be less than the {count[few][0]:g} values per group on all ranks, got {ddof:g}")

"""How ranks come to one result: an exchange of parts, and one of verdicts.

Every call makes exactly these two exchanges, whatever happens in between, so that no rank waits for one that gave up.
The first carries a rank's part or its error. The second carries what went wrong after it, and in which order the parts
came: a result that one rank could not compute, or computed from something else, is returned by none.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from .. import _validate as check
from .._tree import merged

Allgather: TypeAlias = Callable[[Any], Sequence[Any]]
Payload = TypeVar("Payload")
Result = TypeVar("Result")


class Part(NamedTuple):
    """What a rank, or a block of it, contributes; and the arguments that must be the same for all."""

    arguments: Mapping[str, Any]
    payload: Any


class _Message(NamedTuple):
    rank: bytes
    error: str | None
    part: Part | None


class _Verdict(NamedTuple):
    rank: bytes
    error: str | None
    order: tuple[bytes, ...]


def exchange(
    allgather: Allgather | None,
    take: Callable[[], Part],
    pair: Callable[[Payload, Payload], Payload],
    finish: Callable[[Payload], Result],
) -> Result:
    """Return ``finish`` of the parts of all ranks, merged in rank order, or raise an error on every rank.

    Without `allgather` there is one rank, and nothing to exchange.
    """
    if allgather is None:
        return finish(take().payload)
    rank, order = os.urandom(16), ()
    part: Part | None = None
    error: Exception | None = None
    result: Any = None
    try:
        part = take()
    except Exception as caught:
        error = caught
    messages = allgather(_Message(rank, _text(error), part))
    if error is None:
        try:
            messages = check.gathered(messages, _Message, rank)
            order = tuple(message.rank for message in messages)
            check.no_error(messages)
            result = finish(merge([message.part for message in messages], pair, "rank").payload)
        except Exception as caught:
            error = caught
    verdicts = allgather(_Verdict(rank, _text(error), order))
    if error is not None:
        raise error
    verdicts = check.gathered(verdicts, _Verdict, rank)
    check.no_error(verdicts)
    check.one_order([verdict.order for verdict in verdicts])
    finished: Result = result
    return finished


def merge(parts: Sequence[Part], pair: Callable[[Payload, Payload], Payload], unit: str) -> Part:
    """Parts that go together, merged in the fixed tree."""
    check.the_same([part.arguments for part in parts], unit)
    return Part(parts[0].arguments, merged((part.payload for part in parts), pair))


def _text(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"

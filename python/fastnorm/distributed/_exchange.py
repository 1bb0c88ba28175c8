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
    rank: bytes  # a name of the rank, for this call only
    error: tuple[str, str] | None  # type and text
    part: Part | None


class _Verdict(NamedTuple):
    rank: bytes
    error: tuple[str, str] | None
    order: tuple[bytes, ...]
    result: Any


def exchange(
    allgather: Allgather | None,
    take: Callable[[], Part],
    pair: Callable[[Payload, Payload], Payload],
    finish: Callable[[Payload], Result],
    *,
    shared: bool = False,
) -> tuple[Payload, Result]:
    """Return the parts of all ranks merged in rank order and ``finish`` of that, or raise an error on every rank.

    If `shared`, only the first rank does it, and all return its result: what comes from LAPACK has the same bits
    everywhere. Without `allgather` there is one rank, and nothing to exchange.
    """
    if allgather is None:
        total = take().payload
        return total, finish(total)
    rank = os.urandom(16)
    order: tuple[bytes, ...] = ()
    part: Part | None = None
    result: Any = None
    error: Exception | None = None
    try:
        part = take()
    except Exception as caught:
        error = caught
    messages = allgather(_Message(rank, _told(error), part))
    if error is None:
        try:
            messages = check.gathered(messages, _Message, rank)
            order = tuple(message.rank for message in messages)
            check.no_error(messages)
            total = merge([message.part for message in messages], pair, "rank").payload
            if not shared or order[0] == rank:
                result = finish(total)
        except Exception as caught:
            error = caught
    verdicts = allgather(_Verdict(rank, _told(error), order, result if shared else None))
    if error is not None:
        raise error
    verdicts = check.gathered(verdicts, _Verdict, rank)
    check.no_error(verdicts)
    check.one_order([verdict.order for verdict in verdicts])
    agreed: Result = verdicts[0].result if shared else result
    return total, agreed


def merge(parts: Sequence[Part], pair: Callable[[Payload, Payload], Payload], unit: str) -> Part:
    """Parts that go together, merged in the fixed tree."""
    check.the_same([part.arguments for part in parts], unit)
    return Part(parts[0].arguments, merged((part.payload for part in parts), pair))


def _told(error: Exception | None) -> tuple[str, str] | None:
    return None if error is None else (type(error).__name__, str(error))

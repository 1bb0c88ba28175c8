"""What a library offers to be compared by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from problems import Problem


class Candidate(NamedTuple):
    """A problem, ready to be solved by one library.

    Attributes
    ----------
    call : callable
        What is timed: everything is converted and compiled.
    answer : callable
        Turns what the call returned into what `judge.Judge` takes.
    """

    call: Callable[[], Any]
    answer: Callable[[Any], Any] = lambda result: result


class Peer(Protocol):
    """A library, and which of fastnorm's ways to be called is like its own."""

    name: str
    version: str
    counterpart: str

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call that solves a problem with so many threads, None if the library cannot."""

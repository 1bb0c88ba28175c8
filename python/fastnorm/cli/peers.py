"""Libraries that solve the same problems: fastnorm, plain NumPy, and PyTorch and ONNX Runtime if they are installed."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

import fastnorm

from . import plain_numpy
from .extras import installed
from .problems import Problem


class Candidate(NamedTuple):
    """A problem, ready to be solved by one library.

    Attributes
    ----------
    call : callable
        What is timed: everything is converted and compiled.
    answer : callable
        Turns what the call returned into what :class:`fastnorm.cli.accuracy.Judge` takes.
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


class Fastnorm:
    """The library, called as it comes."""

    name = "fastnorm"
    version = fastnorm.__version__
    counterpart = "fastnorm"

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call; the number of threads holds until the next one."""
        fastnorm.set_num_threads(threads)
        return Candidate(problem.call(fastnorm))


class FastnormOut(Fastnorm):
    """The library, given an array for its output: no memory is allocated."""

    name = "fastnorm, out="

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call, if it takes an output."""
        if problem.direction == "backward":
            return None
        fastnorm.set_num_threads(threads)
        return Candidate(problem.call(fastnorm, out=np.empty_like(problem.data)))


class NumPy:
    """Plain NumPy code, which has one thread."""

    name = "NumPy"
    version = np.__version__
    counterpart = "fastnorm"

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call."""
        return Candidate(problem.call(plain_numpy)) if hasattr(plain_numpy, problem.op) else None


def available() -> list[Peer]:
    """Return the libraries that are installed, fastnorm first."""
    peers: list[Peer] = [Fastnorm(), FastnormOut(), NumPy()]
    if installed("torch"):
        from .peer_torch import Torch

        peers.append(Torch())
    if installed("onnxruntime") and installed("onnx"):
        from .peer_onnxruntime import OnnxRuntime

        peers.append(OnnxRuntime())
    return peers


def channel_axis(problem: Problem) -> int:
    """Return the axis of the channels, or of the one normalized axis, from 0 on."""
    default = -1 if problem.op in ("layer_norm", "rms_norm") else 1
    return int(problem.arguments.get("axis", default)) % problem.data.ndim

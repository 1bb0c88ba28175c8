"""The libraries that are compared: fastnorm, plain NumPy, and PyTorch, ONNX Runtime, OpenVINO, JAX if installed."""

from __future__ import annotations

import importlib.util

import numpy as np

import fastnorm
import plain_numpy
from candidate import Candidate, Peer
from problems import Problem


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
    if _installed("torch"):
        from peer_torch import Torch

        peers.append(Torch())
    if _installed("onnx", "onnxruntime"):
        from peer_onnxruntime import OnnxRuntime

        peers.append(OnnxRuntime())
    if _installed("onnx", "onnxruntime", "openvino"):
        from peer_openvino import OpenVino

        peers.append(OpenVino())
    if _installed("jax"):
        from peer_jax import Jax

        peers.append(Jax())
    return peers


def _installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def named(names: list[str] | None) -> list[Peer]:
    """Return those of the given names, all if there are none."""
    found = available()
    unknown = set(names or ()) - {peer.name for peer in found}
    if unknown:
        raise SystemExit(f"not installed: {', '.join(sorted(unknown))}; there are {[peer.name for peer in found]}")
    return [peer for peer in found if not names or peer.name in names]

"""Inputs that kernels have failed on, and how far each library is from the reference on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from candidate import Peer
from judge import Judge
from problems import Problem, normalization


def problems() -> Iterator[tuple[str, Problem]]:
    """Yield hard inputs by name, rounded to float32."""
    for name, x in _rows():
        for direction in ("inference", "backward"):
            yield name, normalization("layer_norm", direction, "MD", x.astype(np.float32), axis=-1)
    for name, x in _columns():
        for direction in ("forward", "backward"):
            yield name, normalization("batch_norm", direction, "NC", x.astype(np.float32), axis=1)
    for name, x in _given():
        yield name, normalization("batch_norm", "inference", "NC", x.astype(np.float32), axis=1)
    for name, x in _maps():
        for direction in ("inference", "backward"):
            yield name, normalization("group_norm", direction, "NCHW", x.astype(np.float32), num_groups=8)
            yield name, normalization("instance_norm", direction, "NCHW", x.astype(np.float32))
    rng = np.random.default_rng(3)
    for name, scale in (("scale 1e18", 1e18), ("scale 1e-25", 1e-25)):
        x = (scale * rng.standard_normal((8, 4096))).astype(np.float32)
        for direction in ("inference", "backward"):
            yield name, normalization("rms_norm", direction, "MD", x, axis=-1)


def _rows() -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    normal = rng.standard_normal((8, 4096))
    yield "normal", normal
    yield "mean 100", 100 + normal
    yield "mean 1e4, deviation 0.01", 1e4 + 0.01 * normal
    yield "one outlier of 1e6", np.concatenate([normal[:, :-1], np.full((8, 1), 1e6)], axis=1)
    yield "scale 1e18", 1e18 * normal
    yield "scale 1e30", 1e30 * normal
    yield "40000, 40001, 40002, 40003", 40000.0 + np.arange(4096 * 8).reshape(8, 4096) % 4
    yield "1449.5 to 1450.5", 1449.5 + rng.random((8, 16))
    yield "constant 1234", np.full((8, 256), 1234.0)


def _columns() -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(4)
    yield "a million rows, mean 1", 1 + rng.standard_normal((2**20, 8))
    yield "100000 rows, mean 1000", 1000 + rng.standard_normal((100_000, 8))


def _given() -> Iterator[tuple[str, np.ndarray]]:
    """With the statistics of the data: what folds them into one scale and one shift cancels."""
    rng = np.random.default_rng(5)
    yield "4096 rows, mean 1000", 1000 + rng.standard_normal((4096, 64))


def _maps() -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(6)
    normal = rng.standard_normal((2, 32, 32, 32))
    yield "maps, mean 100", 100 + normal
    yield "maps, mean 1e4, deviation 0.01", 1e4 + 0.01 * normal


def measure(peers: list[Peer]) -> list[dict[str, Any]]:
    """Return the worst scaled error of every library on every input; None where the answer is not finite."""
    found = []
    for name, problem in problems():
        judge = Judge(problem)
        errors: dict[str, float | None] = {}
        for peer in peers:
            with np.errstate(all="ignore"):
                candidate = peer.candidate(problem, 1)
                if candidate is None or "out=" in peer.name:
                    continue
                worst = judge.errors(candidate.answer(candidate.call()))
            error = max(value for key, value in worst.items() if key in ("y", "dx", "dweight"))
            errors[peer.name] = error if math.isfinite(error) else None
        found.append({"input": name, "op": problem.op, "direction": problem.direction, "errors": errors})
    return found

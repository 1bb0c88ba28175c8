"""The libraries that the benchmarks compare give the answers of the definition, which is what fastnorm gives."""

import importlib
import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import fastnorm as fn
import peers
from candidate import Peer
from judge import AGREEMENT, Judge
from problems import Problem, normalization

# By the name in the benchmarks: the module of bench/, and the packages that it takes.
PEERS = {
    "PyTorch": ("peer_torch", ("torch",)),
    "ONNX Runtime": ("peer_onnxruntime", ("onnx", "onnxruntime")),
    "OpenVINO": ("peer_openvino", ("onnx", "onnxruntime", "openvino")),
    "JAX": ("peer_jax", ("jax",)),
}
MAPS, ROWS = (2, 6, 5, 4), (3, 5, 24)
FORMS = {
    "batch_norm": (MAPS, {"axis": 1}),
    "layer_norm": (ROWS, {}),
    "rms_norm": (ROWS, {}),
    "group_norm": (MAPS, {"axis": 1, "num_groups": 3}),
    "instance_norm": (MAPS, {"axis": 1}),
}
# What each has at the least.
KNOWN: dict[str, dict[str, set[str]]] = {
    "inference": {name: {"layer_norm", "instance_norm"} for name in PEERS},
    "backward": {"PyTorch": {*FORMS}, "JAX": {*FORMS} - {"group_norm"}},
}
# As many as there are processors, which is the only number that JAX has.
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A library; what it sets in the process is put back."""
    module, packages = PEERS[request.param]
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    before, wide = fn.get_num_threads(), _wide_numbers_of_jax()
    importlib.import_module(module)
    (found,) = (one for one in peers.available() if one.name == request.param)
    threads = _threads_of_torch()
    yield found
    fn.set_num_threads(before)
    if threads:
        sys.modules["torch"].set_num_threads(threads)
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", wide)


def _wide_numbers_of_jax() -> bool:
    return bool(sys.modules["jax"].config.jax_enable_x64) if "jax" in sys.modules else False


def _threads_of_torch() -> int:
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else 0


def problem(op: str, direction: str) -> Problem:
    shape, options = FORMS[op]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return normalization(op, direction, "", x, **options)


def answers(peer: Peer, op: str, direction: str) -> bool:
    """Whether the library has such an operation, whose answer is then the right one."""
    asked = problem(op, direction)
    candidate = peer.candidate(asked, PROCESSORS)
    if candidate is not None:
        errors = Judge(asked).errors(candidate.answer(candidate.call()))
        assert errors
        assert max(errors.values()) < AGREEMENT, (op, direction, errors)
    return candidate is not None


@pytest.mark.filterwarnings("ignore")  # their own
@pytest.mark.parametrize("direction", ["inference", "backward"])
def test_answers_are_those_of_the_definition(peer: Peer, direction: str) -> None:
    known = {op for op in FORMS if answers(peer, op, direction)}
    assert known >= KNOWN[direction].get(peer.name, set())

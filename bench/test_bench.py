"""The same shapes under pytest-benchmark, for its tables, histograms and comparisons of saved runs.

    pytest bench --benchmark-only -k "BERT and fastnorm" --benchmark-autosave

Every benchmark compares its answer with the reference first. bench/run.py is the fairer comparison of libraries: there
they take turns.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fastnorm
from candidate import Peer
from cases import Spec, network_shapes
from judge import AGREEMENT, Judge
from peers import available

PEERS = {peer.name: peer for peer in available()}
SPECS = {
    spec.name: spec
    for threads in sorted({1, fastnorm.get_num_threads()})
    for spec in (Spec(shape, "float32", threads) for shape in network_shapes(quick=True))
}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = fastnorm.get_num_threads()
    yield
    fastnorm.set_num_threads(before)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_speed(benchmark: BenchmarkFixture, spec: Spec, peer: Peer) -> None:
    problem = spec.shape.problem(spec.dtype)
    candidate = peer.candidate(problem, spec.threads)
    if candidate is None:
        pytest.skip(f"{peer.name} has no such operation")
    errors = Judge(problem).errors(candidate.answer(candidate.call()))
    assert max(errors.values()) < AGREEMENT
    benchmark.group = spec.name
    benchmark.extra_info |= {"bytes": problem.data.nbytes * problem.streams, "errors": errors}
    benchmark(candidate.call)

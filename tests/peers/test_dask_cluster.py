"""Dask on a cluster of two processes: the bits of one, also when a worker dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranks import same_bits

dask = pytest.importorskip("dask", reason="Dask is not installed")
distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
da = pytest.importorskip("dask.array")
fnd = pytest.importorskip("fastnorm.dask")

# Dask 2024 warns of a call that goes past the cluster, which is what these compare with.
pytestmark = [pytest.mark.nosanitize, pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")]

D, BLOCKS = 24, 19


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def block(seed: int, marker: str | None = None) -> np.ndarray:
    """Samples of a block; the worker that makes the seventh dies, if it is the first to."""
    if seed == 7 and marker is not None:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os._exit(1)
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((50 + seed, D)) @ np.tri(D) + 100).astype(np.float32)


def samples(marker: str | None = None) -> Any:
    make = dask.delayed(block, pure=True)
    return da.concatenate([da.from_delayed(make(i, marker), (50 + i, D), np.float32) for i in range(BLOCKS)])


def whitening_arrays(fit: Any) -> list[Any]:
    """The matrices of a delayed fit as Dask arrays."""
    return [da.from_delayed(getattr(fit, name), (D, D), np.float64) for name in ("covariance", "matrix", "inverse")]


def test_a_cluster_has_the_bits_of_one_thread(client: Any) -> None:
    x = samples()
    whitening = fnd.fit_whitening(x, method="pca")
    arrays = *fnd.batch_norm_forward(x), fnd.layer_norm(x), *whitening_arrays(whitening)
    one = dask.compute(*arrays, scheduler="synchronous")
    assert same_bits(dask.compute(*arrays), one)
    assert same_bits(fnd.moments(x, 0).compute(), fnd.moments(x, 0).compute(scheduler="synchronous"))


def test_a_worker_that_dies_changes_no_bit(client: Any, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    one = fnd.fit_whitening(samples(), method="pca").compute(scheduler="synchronous")
    fit = fnd.fit_whitening(samples(str(marker)), method="pca").compute()
    assert marker.exists()
    assert same_bits((fit.covariance, fit.matrix), (one.covariance, one.matrix))

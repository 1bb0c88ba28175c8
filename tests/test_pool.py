"""Memory of large results is kept for the next ones, up to a limit, and never shared by two that are alive."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import _core

SHAPE = (1024, 512)  # 2 MB of float32


@pytest.fixture(autouse=True)
def empty_pool() -> Iterator[None]:
    before = fn.get_pool_limit()
    fn.set_pool_limit(0)
    fn.set_pool_limit(64)
    yield
    fn.set_pool_limit(before)


def address(a: Any) -> int:
    return a.__array_interface__["data"][0]


def normalize(**more: Any) -> Any:
    return fn.layer_norm(np.ones(SHAPE, np.float32), **more)


def test_the_memory_of_a_dead_result_is_used_again() -> None:
    y = normalize()
    first = address(y)
    del y
    assert _core.pool_held() == 2 << 20
    assert address(normalize(activation="relu")) == first
    assert _core.pool_held() == 2 << 20


def test_living_results_keep_their_memory() -> None:
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    results = [fn.layer_norm(x * scale) for scale in (1, 2, 3)]
    copies = [y.copy() for y in results]
    views = [y[::2, 1:] for y in results]
    del results
    gc.collect()
    others = [normalize() for _ in range(5)]
    for view, copy in zip(views, copies, strict=True):
        np.testing.assert_array_equal(view, copy[::2, 1:])
        assert not any(np.shares_memory(view, other) for other in others)


def test_the_limit_holds() -> None:
    fn.set_pool_limit(5)
    results = [normalize() for _ in range(6)]
    del results
    assert 0 < _core.pool_held() <= 5 << 20
    fn.set_pool_limit(1)
    assert _core.pool_held() == 0
    y = normalize()
    del y
    assert _core.pool_held() == 0


def test_small_results_are_ordinary_arrays() -> None:
    assert fn.layer_norm(np.ones((16, 16))).flags.owndata
    assert _core.pool_held() == 0


@pytest.mark.parametrize("order", ["C", "F", "K"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_results_look_like_those_of_numpy(order: str, dtype: str) -> None:
    x = np.ones((64, 96, 128), dtype)
    x = x.transpose(1, 2, 0) if order == "K" else np.asarray(x, order=order)
    for a in (x, x[::2], x[:, ::-1], np.broadcast_to(x[:1], (96, *x.shape[1:]))):
        y, dx = fn.layer_norm(a), fn.layer_norm_backward(a, a, None, *fn.layer_norm_forward(a)[1:]).dx
        expected = np.add(a, a)
        for result in (y, dx):
            assert type(result) is np.ndarray
            assert (result.shape, result.dtype, result.flags.writeable) == (a.shape, a.dtype, True)
            assert result.strides == expected.strides


def test_results_of_the_pool_cannot_be_resized() -> None:
    """As the docstring of `set_pool_limit` says."""
    with pytest.raises(ValueError, match="does not own its data"):
        normalize().resize((1, 1))


@pytest.mark.nosanitize
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_leaves_no_lock_taken() -> None:
    """Whatever other threads do with the pool at that moment, the child can use all of it."""
    stop = threading.Event()

    def others() -> None:
        while not stop.is_set():
            _core.set_pool_limit(64 << 20)
            _core.empty_like(np.dtype(np.float32), [np.empty(SHAPE, np.float32)])

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                fn.set_pool_limit(8)
                normalize()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_other_dtypes_of_results() -> None:
    y = fn.layer_norm(np.ones((2048, 1024), np.float32), quantize=fn.Quantize(0.1))
    assert y.dtype == np.int8
    assert y.flags.c_contiguous


@pytest.mark.parametrize(("text", "megabytes"), [("7", 7), ("0", 0), ("many", 256), ("-1", 256), (None, 256)])
def test_environment(text: str | None, megabytes: int) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "FASTNORM_POOL_MB"}
    if text is not None:
        environment["FASTNORM_POOL_MB"] = text
    code = "import fastnorm as fn; print(fn.get_pool_limit())"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(run.stdout) == megabytes


@pytest.mark.parametrize(("value", "error", "text"), [
    (-1, ValueError, "megabytes must be from 0 to 1048576, got -1"),
    (1.5, TypeError, "megabytes must be an integer, got float"),
])  # fmt: skip
def test_errors(value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        fn.set_pool_limit(value)
    assert str(caught.value) == text

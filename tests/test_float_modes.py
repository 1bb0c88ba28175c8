"""Rounding mode and flush-to-zero of the caller hold in the threads that help, too: the same bits for all counts."""

import numpy as np
import pytest

import fastnorm as fn
import float_mode
from every_function import CALLS, Data, arrays
from fresh_process import run

pytestmark = pytest.mark.skipif(not float_mode.available, reason="sets the registers through glibc")


def bits(name: str, data: Data, threads: int, mode: str) -> list[bytes]:
    with fn.threads(threads), float_mode.float_mode(mode):
        results = CALLS[name](data)
    return [a.tobytes() for a in arrays(results)]


@pytest.fixture(scope="module", params=[1.0, 1e-38], ids=["ordinary", "subnormal"])
def data(request: pytest.FixtureRequest) -> Data:
    return Data(512, 384, "float32", scale=request.param)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", float_mode.MODES)
@pytest.mark.parametrize("name", CALLS)
def test_bits_do_not_depend_on_threads(name: str, mode: str, data: Data, simd_target: str) -> None:
    with np.errstate(all="ignore"):
        want = bits(name, data, 1, mode)
        for _ in range(3):
            assert bits(name, data, 3, mode) == want


def test_the_mode_does_its_work() -> None:
    """Else the test above would be of nothing; and it is over at the end of the block."""
    small = np.full(512 * 512, 2e-38, np.float32).reshape(512, 512) * np.linspace(-1, 1, 512, dtype=np.float32)
    ordinary = fn.rms_norm(small, eps=4.0)
    with float_mode.float_mode("flush-to-zero"):
        flushed = fn.rms_norm(small, eps=4.0)
    assert (flushed == 0).sum() > (ordinary == 0).sum() + 512 * 100
    assert (fn.rms_norm(small, eps=4.0) == ordinary).all()


@pytest.mark.nosanitize
@pytest.mark.parametrize("mode", float_mode.MODES)
def test_a_mode_that_was_set_before_the_threads_started_ends_with_it(mode: str) -> None:
    code = """
import sys
import numpy as np, fastnorm as fn
from float_mode import float_mode
x = np.random.default_rng(0).normal(size=(2048, 1024)).astype("f4") * np.float32(1e-38)
w = np.full(1024, 2e-2, "f4")
fn.set_num_threads(2)
with float_mode(sys.argv[1]):
    fn.rms_norm(x, w, eps=1.0)
with fn.threads(1):
    want = fn.rms_norm(x, w, eps=1.0)
print(all((fn.rms_norm(x, w, eps=1.0) == want).all() for _ in range(10)))
"""
    done = run(code, mode)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr

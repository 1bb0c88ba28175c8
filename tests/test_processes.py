"""Life in a process: forks, many Python threads at once, the GIL, how many threads start, how long the import takes."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context

import numpy as np
import pytest

import fastnorm as fn

pytestmark = pytest.mark.nosanitize

PATIENCE = 60  # seconds: what takes longer hangs
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")


def work(seed: int = 0) -> bytes:
    """Digest of calls that are worth eight threads each."""
    rng = np.random.default_rng(seed)
    dy, x = rng.standard_normal((2, 256, 16, 80)).astype("f4")
    digest = sha256()
    for op, axis in (("layer_norm", -1), ("batch_norm", 1), ("batch_norm", -1)):
        y, mean, rstd = getattr(fn, f"{op}_forward")(x, axis=axis)
        gradients = getattr(fn, f"{op}_backward")(dy, x, weight=None, mean=mean, rstd=rstd, axis=axis)
        for result in (y, mean, rstd, *gradients):
            digest.update(result.tobytes())
    return digest.digest()


# ---- fork ------------------------------------------------------------------------------------------------------------


def in_child(function: Callable[[], bytes]) -> bytes:
    """What a forked child returns, in time."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, function())
        finally:
            os._exit(0)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], PATIENCE)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        return os.read(read, 100) if ready else b"hangs"
    finally:
        os.close(read)
        os.waitpid(pid, 0)


@fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_after_parallel_work() -> None:
    with fn.threads(4):
        want = work()
        assert in_child(work) == want
        assert in_child(lambda: in_child(work)) == want, "a child of a child"
        assert work() == want


@fork
@linux
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_child_has_threads_of_its_own() -> None:
    def threads() -> bytes:
        work()
        return b"%d" % len(os.listdir("/proc/self/task"))

    with fn.threads(3):
        work()
        assert in_child(threads) == b"3"


@fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_in_the_middle_of_a_call() -> None:
    """Of another thread, which may hold any lock of the library."""
    with fn.threads(2):
        want = work()
        stop = threading.Event()

        def others() -> None:
            with fn.threads(2):
                while not stop.is_set():
                    work()

        thread = threading.Thread(target=others)
        thread.start()
        try:
            assert [in_child(work) for _ in range(10)] == [want] * 10
        finally:
            stop.set()
            thread.join()


@fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_pool_of_forked_processes() -> None:
    with fn.threads(4):
        want = [work(seed) for seed in range(6)]
        with get_context("fork").Pool(2) as pool:
            assert pool.map_async(work, range(6)).get(PATIENCE) == want


# ---- Python threads --------------------------------------------------------------------------------------------------


def test_many_python_threads_at_once(num_threads: int) -> None:
    """Each gets the bits that it gets alone."""
    with fn.threads(1):
        want = [work(seed) for seed in range(8)]
    start = threading.Barrier(8)

    def run(seed: int) -> list[bytes]:
        with fn.threads(num_threads):
            start.wait(PATIENCE)
            return [work(seed) for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == [[digest] * 3 for digest in want]


def test_python_goes_on_during_a_call() -> None:
    """In the middle of a call that takes long, another thread has the GIL."""
    row = np.linspace(-1, 1, 4096, dtype="f4")
    rows = 20_000

    def ticks_amid_a_call() -> int:
        x = np.broadcast_to(row, (rows, row.size))  # much to do, nothing to store
        mean, rstd = np.zeros((rows, 1)), np.ones((rows, 1))
        times: list[float] = []

        def call() -> None:
            times.append(time.perf_counter())
            with fn.threads(1):
                fn.layer_norm_backward(x, x, None, mean, rstd, grad_mask=(False, True, True))
            times.append(time.perf_counter())

        thread = threading.Thread(target=call)
        thread.start()
        ticks = []
        while thread.is_alive():
            ticks.append(time.perf_counter())
            time.sleep(0)
        begin, end = times
        third = (end - begin) / 3
        return sum(begin + third < tick < end - third for tick in ticks) if end - begin > 0.1 else 0

    for _ in range(6):  # more rows until the call is long; again if the machine gave this thread no time
        if ticks_amid_a_call() > 0:
            return
        rows *= 2
    pytest.fail("no other Python thread ran")


# ---- fresh interpreters ----------------------------------------------------------------------------------------------


def run(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    keep = {key: value for key, value in os.environ.items() if key not in ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS")}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=keep | environment, check=True, capture_output=True, timeout=PATIENCE)
    return done.stdout.decode().strip()


STARTED = """
import os, numpy as np, fastnorm as fn
{before}
tasks = lambda: len(os.listdir("/proc/self/task"))
x, idle = np.ones((1024, 1024), "f4"), tasks()
fn.layer_norm(x[:10])
print(tasks() - idle, end=" ")
fn.layer_norm(x)
print(tasks() - idle)
"""


@linux
@pytest.mark.parametrize(
    ("before", "environment", "threads"),
    [
        ("", {"FASTNORM_NUM_THREADS": "3"}, 3),
        ("", {"FASTNORM_NUM_THREADS": "1"}, 1),
        ("", {"OMP_NUM_THREADS": "1"}, 1),
        ("fn.set_num_threads(5)", {"OMP_NUM_THREADS": "1"}, 5),
        ("block = fn.threads(4); block.__enter__()", {}, 4),
    ],
)
def test_threads_that_start(before: str, environment: dict[str, str], threads: int) -> None:
    """None for small work, else as many as were asked for, the caller being one."""
    assert run(STARTED.format(before=before), **environment) == f"0 {threads - 1}"


@linux
def test_affinity_of_the_process() -> None:
    code = STARTED.replace("fastnorm as fn", "os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])", 1)
    assert run(code.format(before="import fastnorm as fn")) == "0 0"


@linux
def test_helping_threads_keep_the_processors_of_the_process() -> None:
    """They leave the caller's processor for the time of a move only."""
    code = """
import os, numpy as np, fastnorm as fn
x = np.ones((1024, 1024), "f4")
fn.set_num_threads(3)
for _ in range(50):
    fn.layer_norm(x)
print(len({frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}))
"""
    assert run(code) == "1"


@linux
def test_without_memory_for_threads_or_within_them() -> None:
    """There are fewer threads, then an exception; the process lives."""
    code = """
import os, resource, numpy as np, fastnorm as fn
fn.set_num_threads(3)
x, samples = np.eye(1024, dtype="f4"), np.ones((3000, 600), "f4")
y = np.empty_like(x)
tasks = lambda: len(os.listdir("/proc/self/task"))
idle = tasks()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**20,) * 2)
fn.layer_norm(x, out=y)
print(tasks() - idle, round(float(y[0, 0])), end=" ")
try:
    fn.fit_whitening(samples, eps=1.0)
except MemoryError:
    print("MemoryError")
"""
    assert run(code) == "0 32 MemoryError"

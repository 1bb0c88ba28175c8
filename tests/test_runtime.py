"""Threads, SIMD targets, the report, and the import."""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import _core, runtime


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads, target = fn.get_num_threads(), fn.simd_target()
    yield
    fn.set_num_threads(threads)
    fn.set_simd_target(target)


@pytest.fixture
def used() -> list[int]:
    """The number of threads of every call of `call`."""
    NUMBERS.clear()
    return NUMBERS


NUMBERS: list[int] = []


def call() -> None:
    """What a call from here may use; `test_the_core_uses_the_number_of_the_context` shows that it does."""
    NUMBERS.append(fn.get_num_threads())


@pytest.mark.nosanitize
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the threads of a process by /proc")
def test_the_core_uses_the_number_of_the_context() -> None:
    code = """
import os
import numpy as np, fastnorm as fn
x = np.ones((1 << 14, 256), np.float32)
count = lambda: len(os.listdir("/proc/self/task"))
fn.set_num_threads(1)
before = count()
numbers = []
fn.layer_norm(x); numbers.append(count() - before)
with fn.threads(3): fn.layer_norm(x)
numbers.append(count() - before)
with fn.threads(5):
    try: fn.layer_norm(x, eps=-1)
    except ValueError: pass
    with fn.threads(1): fn.batch_norm_forward(x)
numbers.append(count() - before)
fn.layer_norm(x); numbers.append(count() - before)
fn.set_num_threads(4)
fn.layer_norm_backward(x, x, None, *fn.layer_norm_forward(x)[1:]); numbers.append(count() - before)
print(*numbers)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2", "2", "2", "3"]


def test_the_number_of_the_process(used: list[int]) -> None:
    for n in (1, 3, np.int64(2)):
        fn.set_num_threads(n)
        assert fn.get_num_threads() == n
        call()
    assert used == [1, 3, 2]


def test_threads_nest(used: list[int]) -> None:
    fn.set_num_threads(2)
    with fn.threads(3):
        call()
        with fn.threads(1):
            call()
            assert fn.get_num_threads() == 1
        call()
        assert fn.get_num_threads() == 3
    call()
    assert used == [3, 1, 3, 2]
    assert fn.get_num_threads() == _core.get_num_threads() == 2


def test_threads_end_with_an_exception(used: list[int]) -> None:
    fn.set_num_threads(2)
    with pytest.raises(KeyError), fn.threads(5):
        raise KeyError
    call()
    with fn.threads(5), pytest.raises(ValueError, match="eps"):
        fn.layer_norm(np.ones((2, 8)), eps=-1)
    call()
    assert used == [2, 2]


def test_threads_are_checked_at_the_call() -> None:
    with pytest.raises(ValueError, match="n must be"):
        fn.threads(0)


def test_a_block_is_entered_once() -> None:
    block = fn.threads(3)
    with block:
        pass
    with pytest.raises((RuntimeError, AttributeError)), block:
        pass
    assert runtime._override.get() == 0


def test_set_inside_a_block_holds_after_it() -> None:
    with fn.threads(3):
        fn.set_num_threads(4)
        assert fn.get_num_threads() == 3
    assert fn.get_num_threads() == 4


def test_other_python_threads_keep_their_number(used: list[int]) -> None:
    fn.set_num_threads(2)
    inside, done = threading.Event(), threading.Event()

    def block() -> None:
        with fn.threads(7):
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=contextvars.Context().run, args=(block,))
    thread.start()
    assert inside.wait(10)
    call()
    assert fn.get_num_threads() == 2
    done.set()
    thread.join()
    assert used == [2]


def test_tasks_keep_their_number_across_await(used: list[int]) -> None:
    fn.set_num_threads(2)

    async def task(n: int) -> None:
        with fn.threads(n):
            for _ in range(3):
                await asyncio.sleep(0)
                call()
                assert fn.get_num_threads() == n

    async def main() -> None:
        await asyncio.gather(task(3), task(4))
        with fn.threads(5):
            await asyncio.to_thread(call)

    asyncio.run(main())
    call()
    assert used == [3, 4, 3, 4, 3, 4, 5, 2]


def test_many_threads_at_once() -> None:
    x = np.random.default_rng(1).normal(size=(64, 4096)).astype("f4")
    want = fn.layer_norm(x)
    wrong: list[int] = []

    def work(n: int) -> None:
        for _ in range(5):
            with fn.threads(n):
                if not np.array_equal(fn.layer_norm(x), want):
                    wrong.append(n)

    workers = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


# ---- defaults --------------------------------------------------------------------------------------------------------


def run(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    keep = {key: value for key, value in os.environ.items() if key not in ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS")}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=keep | environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.nosanitize
class TestDefaults:
    PRINT = "import fastnorm as fn; print(fn.get_num_threads())"

    def test_processors(self) -> None:
        assert 1 <= int(run(self.PRINT)) <= (os.cpu_count() or 1)

    def test_openmp_limits(self) -> None:
        assert run(self.PRINT, OMP_NUM_THREADS="1") == "1"
        assert run(self.PRINT, OMP_NUM_THREADS="500") == run(self.PRINT)
        assert run(self.PRINT, OMP_NUM_THREADS="nonsense") == run(self.PRINT)

    def test_own_variable_decides(self) -> None:
        assert run(self.PRINT, FASTNORM_NUM_THREADS="5", OMP_NUM_THREADS="1") == "5"

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
    def test_affinity_limits(self) -> None:
        code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); " + self.PRINT
        assert run(code) == "1"

    def test_target(self) -> None:
        for name in fn.simd_targets():
            for given in (name, name.lower(), name.upper()):
                assert run("import fastnorm as fn; print(fn.simd_target())", FASTNORM_SIMD_TARGET=given) == name

    @pytest.mark.parametrize(("name", "text", "expected"), [
        *(("FASTNORM_NUM_THREADS", text, "a number from 1 to 1024") for text in ("many", "0", "-2", "3x", "1025")),
        *(("FASTNORM_SIMD_TARGET", text, "one of ") for text in ("avx2000", "2", "AVX2,SSE4")),
        *((name, text, "a number from 0 to 1048576") for name in ("FASTNORM_POOL_MB", "FASTNORM_STREAM_MB")
          for text in ("many", "-1", "1048577", "1e3")),
    ])  # fmt: skip
    def test_a_setting_that_is_not_understood_warns_once(
        self, name: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(name, raising=False)  # which the default would follow
        code = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import fastnorm as fn
print(fn.get_num_threads(), fn.simd_target(), fn.get_pool_limit())
print(*(f"{w.category.__name__} {w.filename} {w.message}" for w in caught), sep="\\n")
"""
        in_use, warning = run(code, **{name: text}).splitlines()
        assert in_use == run(code).strip()
        assert warning.startswith(f"RuntimeWarning <string> {name} must be {expected}")
        assert warning.endswith(" is used")
        assert f", got {text!r}: " in warning

    def test_the_limit_of_stores_past_the_caches_changes_no_result(self) -> None:
        # Rows a multiple of 4 KB apart and others, whole quads of them and some more, lines that end amid a vector.
        code = """
import hashlib, numpy as np, fastnorm as fn
print(fn.show_config(mode="dicts")["caches"]["written past from"])
for dtype in ("float16", "float32", "float64"):
    for width in (1024, 1040, 1045, 2048):
        x = np.random.default_rng(0).normal(size=(135, width)).astype(dtype)
        for of in (x, x[:, ::-1], np.asfortranarray(x)):
            y, mean, rstd = fn.layer_norm_forward(of)
            grads = fn.layer_norm_backward(x, of, x[0], mean, rstd)
            print(dtype, width, hashlib.sha256(b"".join(a.tobytes() for a in (y, *grads))).hexdigest())
"""
        past, within = [run(code, FASTNORM_STREAM_MB=text).splitlines() for text in ("0", "512")]
        assert past[0] != within[0] == "512 MB"
        assert past[1:] == within[1:]

    def test_empty_settings_are_none(self) -> None:
        empty = {"FASTNORM_NUM_THREADS": "", "FASTNORM_SIMD_TARGET": "", "FASTNORM_POOL_MB": " "}
        assert run(self.PRINT, **empty) == run(self.PRINT)


# ---- targets, report, import -----------------------------------------------------------------------------------------


def test_simd_targets() -> None:
    assert fn.simd_target() in fn.simd_targets()
    for name in fn.simd_targets():
        for given in (name, name.lower(), name.upper()):
            fn.set_simd_target(given)
            assert fn.simd_target() == name


def test_report(capsys: pytest.CaptureFixture[str]) -> None:
    with fn.threads(3):
        report = fn.show_config(mode="dicts")
    assert report is not None
    assert report["versions"]["fastnorm"] == fn.__version__
    assert report["simd"] == {"target": fn.simd_target(), "targets": fn.simd_targets()}
    assert report["threads"]["in use"] == 3
    assert set(report["environment"]) == {
        "FASTNORM_NUM_THREADS",
        "FASTNORM_SIMD_TARGET",
        "FASTNORM_POOL_MB",
        "FASTNORM_STREAM_MB",
        "OMP_NUM_THREADS",
    }
    assert capsys.readouterr().out == ""
    assert fn.show_config() is None
    out = capsys.readouterr().out
    for section, entries in report.items():
        assert f"{section}:\n" in out
        for key in entries:
            assert f"\n  {key} " in out


@pytest.mark.nosanitize
def test_import_brings_numpy_only() -> None:
    code = "import sys, numpy; before = set(sys.modules); import fastnorm; print(*(set(sys.modules) - before))"
    modules = {name for name in run(code).split() if not name.startswith(("fastnorm", "numpy"))}
    assert modules <= {"__future__", "importlib"}, "something heavy"
    code = "import fastnorm as fn; fn.reference; print(fn.reference.__name__, 'reference' in dir(fn))"
    assert run(code) == "fastnorm.reference True"


def test_names() -> None:
    assert set(fn.__all__) <= set(dir(fn))
    for name in fn.__all__:
        assert getattr(fn, name) is not None
    with pytest.raises(AttributeError, match=r"^module 'fastnorm' has no attribute 'transmogrify'$"):
        _ = fn.transmogrify

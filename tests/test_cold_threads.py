"""The first calls of a process may come from several threads at once."""

import pytest

import fastnorm as fn
from every_function import CALLS, SETTINGS
from fresh_process import run

pytestmark = pytest.mark.nosanitize

CODE = """
import sys, threading
from every_function import CALLS, SETTINGS, Data

sys.setswitchinterval(1e-6)
call, data, start = {**CALLS, **SETTINGS}[sys.argv[1]], Data(), threading.Barrier(8)
done = []

def first():
    start.wait()
    call(data)
    done.append(1)

threads = [threading.Thread(target=first) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done))
"""


def check(name: str) -> None:
    done = run(CODE, name)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("8", "", 0)


@pytest.mark.parametrize("name", ["layer_norm", "layer_norm where", "batch_norm_backward"])
def test_first_calls_come_at_once(name: str) -> None:
    for _ in range(3):
        check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CALLS, *SETTINGS])
def test_first_calls_of_every_function_come_at_once(name: str) -> None:
    check(name)


def test_every_function_is_called() -> None:
    functions = {name for name in fn.__all__ if callable(getattr(fn, name)) and not isinstance(getattr(fn, name), type)}
    assert {name.split()[0] for name in (*CALLS, *SETTINGS)} == functions - {"show_config"}

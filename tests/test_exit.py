"""A process ends as it should whatever its threads are at, and a subinterpreter is refused."""

import importlib.util
import os

import pytest

from fresh_process import run

pytestmark = pytest.mark.nosanitize

BUSY = """
import sys, threading, time
import fastnorm as fn
from every_function import CALLS, Data

call, data, working = CALLS[sys.argv[1]], Data(512, 512), threading.Barrier(4)
fn.set_num_threads(2)

def busy():
    call(data)
    working.wait()
    while True:
        call(data)

for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
working.wait()
time.sleep(0.02)
"""

FORKED = """
import os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
child = os.fork()
if child == 0:
    signal.alarm(60)
    call(data)
    sys.exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize(
    "name", ["layer_norm", "layer_norm where", "layer_norm_backward", "batch_norm_forward", "whiten"]
)
def test_exit_while_daemon_threads_are_in_calls(name: str) -> None:
    for _ in range(3):
        done = run(BUSY, name)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_exit_of_a_child_that_was_forked_beside_calls() -> None:
    done = run(BUSY + FORKED, "layer_norm")
    assert (done.returncode, done.stderr) == (0, "")


SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreters.run_string(interpreters.create(), '''
import warnings
warnings.simplefilter("ignore")  # of NumPy
try:
    import fastnorm
except ImportError:
    print("ImportError", flush=True)
''')
"""


@pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in ("_interpreters", "_xxsubinterpreters")),
    reason="no subinterpreters here",
)
def test_a_subinterpreter_is_refused() -> None:
    done = run(SUBINTERPRETER)
    assert (done.stdout.strip(), done.returncode) == ("ImportError", 0), done.stderr

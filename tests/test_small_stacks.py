"""Threads of few bytes of stack: musl gives 128 KiB, a program may ask for 64."""

import pytest

from fresh_process import run

pytestmark = pytest.mark.nosanitize

CODE = """
import sys, threading
import fastnorm as fn
from every_function import CALLS, Data

size, rows, lanes, dtype, strided = sys.argv[1:]
if dtype == "bfloat16":
    import ml_dtypes
fn.set_num_threads(2)
data = Data(int(rows), int(lanes), dtype if dtype != "bfloat16" else ml_dtypes.bfloat16, strided=strided == "strided")
failed = []

def work():
    for name, call in CALLS.items():
        print(name, flush=True)
        call(data)
    print("done")

threading.stack_size(int(size))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("layout", ["plain", "strided"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("rows", "lanes"), [(64, 512), (16, 3000), (2048, 40)])
def test_every_function_in_a_thread_of_64_kib(rows: int, lanes: int, dtype: str, layout: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    done = run(CODE, str(64 * 1024), str(rows), str(lanes), dtype, layout)
    assert (done.returncode, done.stdout.split("\n")[-2:]) == (0, ["done", ""]), done.stdout[-60:] + done.stderr

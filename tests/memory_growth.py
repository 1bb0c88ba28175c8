"""How much memory a call needs on views: ``python tests/memory_growth.py [MEGABYTES]`` prints a table (Linux).

The peak of the process above what it held before the call, in parts of the array's size; results that the call has to
make (dx) are taken off. Allocations of more than a few pages come from the system and go back to it, so that none hides
in what an earlier call left behind.
"""

import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import fastnorm as fn

Array = np.ndarray[Any, np.dtype[Any]]

ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
LAYOUTS: dict[str, Callable[..., Array]] = {
    "transposed": lambda shape: filled(shape[::-1]).T,
    "channel last": lambda shape: np.moveaxis(filled((shape[0], *shape[2:], shape[1])), -1, 1),
    "sliced": lambda shape: filled((*shape[:-1], 2 * shape[-1]))[..., ::2],
    "reversed": lambda shape: filled(shape)[::-1, ..., ::-1],
    "broadcast": lambda shape: np.broadcast_to(filled((1, *shape[1:])), shape),
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    "layer_norm": lambda x, y: fn.layer_norm(x, out=y),
    "layer_norm_forward": lambda x, y: fn.layer_norm_forward(x, out=y),
    "layer_norm_backward": lambda x, y: fn.layer_norm_backward(y, x, None, *np.ones((2, *x.shape[:-1], 1))),
    "batch_norm": lambda x, y: fn.batch_norm(x, *np.ones((2, x.shape[1])), out=y),
    "batch_norm_forward": lambda x, y: fn.batch_norm_forward(x, out=y),
    "batch_norm_backward": lambda x, y: fn.batch_norm_backward(y, x, None, *np.ones((2, x.shape[1]))),
    "group_norm": lambda x, y: fn.group_norm(x, 8, out=y),
    "group_norm_forward": lambda x, y: fn.group_norm_forward(x, 8, out=y),
    "group_norm_backward": lambda x, y: fn.group_norm_backward(y, x, 8, None, *np.ones((2, len(x), 8))),
}
# Many small groups: a call on rows of 8 with a mask, and on two long rows with statistics for every column.
MASKED: dict[str, Callable[..., Any]] = {
    "layer_norm": lambda x, y, where, ones: fn.layer_norm(x, where=where, out=y),
    "layer_norm_backward": lambda x, y, where, ones: fn.layer_norm_backward(y, x, None, *ones, where=where),
    "batch_norm_forward": lambda x, y, where, ones: fn.batch_norm_forward(x, where=where, out=y),
}
COLUMNS: dict[str, Callable[..., Any]] = {
    "moments": lambda x, y: fn.moments(x, axis=0),
    "layer_norm": lambda x, y: fn.layer_norm(x, axis=0, out=y),
    "layer_norm_forward": lambda x, y: fn.layer_norm_forward(x, axis=0, out=y),
}


def filled(shape: tuple[int, ...]) -> Array:
    """An array with values, whose pages are there."""
    result = np.empty(shape, np.float32)
    result.reshape(-1)[:] = 1
    result.reshape(-1)[::7] = 3
    return result


def shape_of(operation: str, megabytes: int) -> tuple[int, ...]:
    """Sequences of 128 rows of 1024, or images of 64 channels."""
    return (2 * megabytes, 128, 1024) if operation.startswith("layer") else (megabytes, 64, 64, 64)


def growth(call: Callable[[], Any], given: list[Array]) -> int:
    """Bytes that the process holds at most during a call, above what it held before and the results that it made."""
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts
    before = _status("VmRSS")
    results = call()
    peak = _status("VmHWM") - before
    made = [a for a in (results if isinstance(results, tuple) else (results,)) if a is not None]
    return peak - sum(a.nbytes for a in made if not any(a is b for b in given))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def measure(megabytes: int) -> Iterator[tuple[str, str, float]]:
    """Operation, layout, and growth by the array's size. The first is a copy: what the others must not be."""
    x = LAYOUTS["transposed"](shape_of("layer_norm", megabytes))
    y = filled(x.shape)
    yield "copy", "transposed", growth(lambda: np.copyto(y, np.ascontiguousarray(x)), []) / x.nbytes
    del x, y
    for operation, call in OPERATIONS.items():
        for layout, view in LAYOUTS.items():
            small = view(shape_of(operation, 2))
            call(small, filled(small.shape))  # imports, tables and threads are there
            x, y = view(shape_of(operation, megabytes)), filled(shape_of(operation, megabytes))
            yield operation, layout, growth(lambda call=call, x=x, y=y: call(x, y), [x, y]) / x.nbytes


def measure_small_groups(megabytes: int) -> Iterator[tuple[str, str, float]]:
    """The same by the size of all arrays that are given."""
    for operation, call in MASKED.items():
        for size in (1, megabytes):
            x, y = filled((size << 15, 8)), filled((size << 15, 8))
            given = [x, y, x < 2, np.ones((2, len(x), 1))]
            part = growth(lambda call=call, given=given: call(*given), given) / sum(a.nbytes for a in given)
        yield operation, "mask", part
    for operation, call in COLUMNS.items():
        for size in (1, megabytes):
            x, y = filled((2, size << 17)), filled((2, size << 17))
            part = growth(lambda call=call, x=x, y=y: call(x, y), [x, y]) / (x.nbytes + y.nbytes)
        yield operation, "columns", part
    for size in (1, megabytes):
        wide = filled((size << 15, 16))  # rows of the input between rows of the output
        x, y = wide[:, :8], wide[:, 8:]
        part = growth(lambda x=x, y=y: fn.layer_norm(x, out=y), [x, y]) / wide.nbytes
    yield "layer_norm", "interleaved", part


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    if not ALLOCATION.items() <= os.environ.items():  # read by the allocator as the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATION})
    fn.set_pool_limit(0)  # nor in the memory of dead results
    for operation, layout, part in chain(measure(megabytes), measure_small_groups(megabytes)):
        print(f"{operation:<20} {layout:<13} {part:7.3f}", flush=True)


if __name__ == "__main__":
    main()

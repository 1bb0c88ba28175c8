"""What a fresh process waits for: ``python bench/first_call.py LIBRARY THREADS`` prints seconds by step, as JSON.

It imports NumPy, then the library, and calls layer norm twice for one row of 768 and twice for 4096 of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

LIBRARIES = ("fastnorm", "NumPy", "PyTorch")
SHAPES = ((1, 768), (4096, 768))

Array = Any


def main() -> None:
    """Measure and print."""
    prepare = {"fastnorm": _fastnorm, "NumPy": _numpy, "PyTorch": _torch}[sys.argv[1]]
    start = time.perf_counter()
    import numpy as np

    after_numpy = time.perf_counter()
    prepared = prepare(int(sys.argv[2]))
    # NumPy's own import, or what comes on top of it.
    seconds = {"import": time.perf_counter() - (start if prepare is _numpy else after_numpy)}
    for rows, width in SHAPES:
        x = np.random.default_rng(7).standard_normal((rows, width), dtype=np.float32)
        call = prepared(x, np.ones(width, np.float32), np.zeros(width, np.float32))
        for step in ("first call", "second call"):
            start = time.perf_counter()
            call()
            seconds[f"{step}, {rows}x{width}"] = time.perf_counter() - start
    print(json.dumps(seconds))


def _fastnorm(threads: int) -> Callable[..., Callable[[], Array]]:
    import fastnorm

    fastnorm.set_num_threads(threads)
    return lambda x, weight, bias: lambda: fastnorm.layer_norm(x, weight, bias)


def _numpy(threads: int) -> Callable[..., Callable[[], Array]]:
    """As it is written without another import; NumPy has one thread."""
    import numpy as np

    def normalized(x: Array, weight: Array, bias: Array) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        rstd = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
        return centred * rstd * weight + bias

    return lambda *arrays: lambda: normalized(*arrays)


def _torch(threads: int) -> Callable[..., Callable[[], Array]]:
    import torch

    torch.set_num_threads(threads)

    def prepared(*arrays: Array) -> Callable[[], Array]:
        x, weight, bias = map(torch.from_numpy, arrays)
        return lambda: torch.nn.functional.layer_norm(x, weight.shape, weight, bias)

    return prepared


if __name__ == "__main__":
    main()

"""Forward and gradient of norms in HIPS autograd: as NumPy code and as primitives of `fastnorm.autograd`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import autograd.numpy as np
from autograd import grad

import fastnorm.autograd as fna
from with_without import compare, heading

ROWS, IMAGE = (512, 768), (8, 32, 32, 32)


def main() -> None:
    heading("autograd", metadata.version("autograd"))
    for name, plain, fast, shape, axes in (
        ("layer norm", normalize, fna.layer_norm, ROWS, (1,)),
        ("layer norm", normalize, fna.layer_norm, (1, 768), (1,)),
        ("instance norm", normalize, fna.instance_norm, IMAGE, (2, 3)),
        ("batch norm", normalize, fna.batch_norm, IMAGE, (0, 2, 3)),
    ):
        x = np.random.default_rng(0).normal(size=shape)
        dy = np.random.default_rng(1).normal(size=shape)
        calls = gradient(partial(plain, axes=axes), dy), gradient(fast, dy)
        compare(f"{name} {'x'.join(map(str, shape))}", *(partial(call, x) for call in calls))


def normalize(x: Any, axes: tuple[int, ...]) -> Any:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=axes, keepdims=True) + 1e-5)


def gradient(function: Callable[[Any], Any], dy: Any) -> Callable[[Any], Any]:
    result: Callable[[Any], Any] = grad(lambda x: np.sum(function(x) * dy))
    return result


if __name__ == "__main__":
    main()

"""Exponential averages of the statistics of batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import Array
from ._core import Statistics, promote


def advance(buffer: Array, batch: Array, momentum: float, seen: npt.ArrayLike = True) -> None:
    """In place, ``buffer = (1 - momentum) * buffer + momentum * batch``, only where there was something to see.

    A momentum of 0 keeps what is there, one of 1 replaces it, whatever either of them holds.
    """
    if momentum == 0:
        return
    old = promote(buffer)
    new = np.where(seen, batch if momentum == 1 else (1 - momentum) * old + momentum * batch, old)
    buffer[...] = new if np.iscomplexobj(buffer) else np.real(new)


@np.errstate(all="ignore")
def update(
    running_mean: Array | None,
    running_var: Array | None,
    s: Statistics,
    shape: tuple[int, int],
    momentum: float,
    ddof: float,
) -> None:
    """Advance the buffers by the statistics of a batch: `shape` (samples, channels), averaged over the samples.

    The variance is divided by ``count - ddof``. A masked sample counts where that leaves something to divide by; an
    entry for which no sample counts stays as it is.
    """

    def average(a: Array, seen: Array) -> Array:
        return np.asarray(np.sum(a, axis=0, where=seen) / np.sum(seen, axis=0))

    size, mean, m2 = (a.reshape(shape) for a in (s.size, s.mean, s.m2))
    if running_mean is not None:
        seen = size > 0
        advance(running_mean, average(mean, seen), momentum, np.any(seen, axis=0))
    if running_var is not None:
        seen = size > ddof
        advance(running_var, average(m2 / (size - ddof), seen), momentum, np.any(seen, axis=0))

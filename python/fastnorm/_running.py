"""Running statistics: what evaluation normalizes with, and their update in place after a training step."""

from typing import NamedTuple

import numpy as np

from . import _validate as check
from ._dtypes import FLOAT64, rounded
from ._layout import Layout
from ._types import Array


def scale(running_var: Array, eps: float) -> Array:
    """``1 / sqrt(running_var + eps)`` in float64: 0 where the sum is 0, NaN without a warning where it is negative."""
    with np.errstate(all="ignore"):
        total = running_var.astype(FLOAT64) + eps
        rstd = 1.0 / np.sqrt(total)
    rstd[total == 0.0] = 0.0
    return rstd


class Step(NamedTuple):
    """A checked update, to be made once the batch's statistics are known."""

    buffers: tuple[Array, Array] | None
    momentum: float
    ddof: float
    layout: Layout

    def update(self, mean: Array, m2: Array, count: Array | None = None) -> None:
        """Set ``new = (1 - momentum) * old + momentum * batch``, in float64 and rounded once to the buffers' dtype.

        Where there is a group for each sample (instance normalization) the batch's statistics are the samples'
        average. Both new values are known before either buffer changes, and no setting of `numpy.seterr` comes in
        between. Without any values nothing changes; with a mask, `count` values are in each group, and a group counts
        that has enough of them. A momentum of 0 changes nothing, whatever the batch holds; one of 1 replaces what was
        there, whatever it was.
        """
        if self.buffers is None or self.momentum == 0.0 or (count is None and 0 in self.layout.shape):
            return
        running_mean, running_var = self.buffers
        samples = mean.shape[0] if mean.ndim == 2 else 1
        size = np.full((samples, 1), float(self.layout.group_size)) if count is None else count
        # A covariance, of batch whitening, has more values than a mean.
        size, mean, m2 = (a.reshape(samples, -1) for a in (size, mean, m2))
        with np.errstate(all="ignore"):
            new_mean = self._advanced(running_mean, mean, size > 0)
            new_var = self._advanced(running_var, m2 / (size - self.ddof), size > self.ddof)
            np.copyto(running_mean, new_mean)
            np.copyto(running_var, new_var)

    def _advanced(self, buffer: Array, batch: Array, counts: Array) -> Array:
        """New values of a buffer from those of the samples that count."""
        old = buffer.astype(FLOAT64).ravel()
        seen = counts.sum(axis=0)
        average = batch.sum(axis=0, where=counts) / seen
        new = average if self.momentum == 1.0 else (1.0 - self.momentum) * old + self.momentum * average
        return rounded(np.where(seen, new, old), buffer.dtype).reshape(buffer.shape)


def step(
    running_mean: object,
    running_var: object,
    momentum: float,
    ddof: float,
    layout: Layout,
    x: Array,
    **others: object,
) -> Step:
    """Check the arguments of an update; `others` are the arguments that the buffers must not share memory with."""
    check.several_values(layout, x)
    buffers = check.running(running_mean, running_var, layout, x, others)
    return Step(buffers, check.momentum(momentum), check.ddof(ddof, layout, buffers is not None), layout)

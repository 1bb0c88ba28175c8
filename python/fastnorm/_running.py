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

    def update(self, mean: Array, m2: Array) -> None:
        """Set ``new = (1 - momentum) * old + momentum * batch``, in float64 and rounded once to the buffers' dtype.

        Where there is a group for each sample (instance normalization) the batch's statistics are the samples'
        average. Both new values are known before either buffer changes, and no setting of `numpy.seterr` comes in
        between. Without any values nothing changes.
        """
        if self.buffers is None or 0 in self.layout.shape:
            return
        running_mean, running_var = self.buffers
        keep = 1.0 - self.momentum
        with np.errstate(all="ignore"):
            var = m2 / (self.layout.group_size - self.ddof)
            if mean.ndim == 2:
                mean, var = mean.mean(axis=0), var.mean(axis=0)
            new_mean = keep * running_mean.astype(FLOAT64) + self.momentum * mean
            new_var = keep * running_var.astype(FLOAT64) + self.momentum * var
            new_mean, new_var = rounded(new_mean, running_mean.dtype), rounded(new_var, running_var.dtype)
            np.copyto(running_mean, new_mean)
            np.copyto(running_var, new_var)


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

"""Backward of a batch normalization whose batch lies in several processes."""

from __future__ import annotations

import numpy as np

from .._types import Array, BatchNormSums
from ._batch import layout
from ._core import affine, promote, total


def batch_norm_backward_reduce(dy: Array, x: Array, mean: Array, rstd: Array, *, axis: int = 1) -> BatchNormSums:
    """Sum over this process's part of a batch what the input gradient of the whole batch needs.

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input: this process's part.
    mean, rstd : ndarray, shape (C,)
        Statistics of the whole batch.
    axis : int
        Channel axis.

    Returns
    -------
    BatchNormSums
        sum(dy) and sum(dy * (x - mean) * rstd), shape (C,). To be added up over the processes.
    """
    view, dy = layout(x, axis), promote(dy)
    xhat = (promote(x) - view.statistic(mean)) * view.statistic(rstd)
    sums = (total(a, view.reduced).reshape(view.statistic_shape) for a in (dy, dy * xhat))
    return BatchNormSums(*sums)


@np.errstate(all="ignore")
def batch_norm_backward_apply(
    dy: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    sum_dy: Array,
    sum_dy_xhat: Array,
    count: float | Array,
    *,
    axis: int = 1,
    offset: float = 0.0,
) -> Array:
    """Input gradient of this process's part of a batch, from the sums over the whole batch.

    dx = (offset + weight) * rstd * (dy - sum_dy / count - xhat * sum_dy_xhat / count).

    Parameters
    ----------
    dy, x, weight, mean, rstd, axis
        As in `batch_norm_backward`: this process's part, statistics of the whole batch.
    sum_dy, sum_dy_xhat : ndarray, shape (C,)
        Sums of `batch_norm_backward_reduce` over all processes.
    count : float or ndarray, shape (C,)
        Elements per channel in the whole batch.
    offset : float
        Added to the weight, as in the forward.

    Returns
    -------
    ndarray
        Gradient in the shape of `x`.
    """
    view, count = layout(x, axis), promote(count)
    rstd = view.statistic(rstd)
    xhat = (promote(x) - view.statistic(mean)) * rstd
    centred = promote(dy) - view.statistic(sum_dy / count) - xhat * view.statistic(sum_dy_xhat / count)
    return affine(rstd * centred, view, weight, None, offset)

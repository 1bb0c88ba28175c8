"""Batch normalization folded into the linear operation before it."""

from __future__ import annotations

import numpy as np

from .._types import Array, FoldedBatchNorm
from ._core import promote, reciprocal_root


@np.errstate(all="ignore")
def fold_batch_norm(
    weight: Array,
    bias: Array | None,
    running_mean: Array,
    running_var: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    axis: int = 0,
    groups: int = 1,
) -> FoldedBatchNorm:
    """Fold a batch normalization into the convolution or linear operation before it.

    With a = gamma / sqrt(running_var + eps) per channel: weight' = a * weight and
    bias' = (bias - running_mean) * a + beta.

    Parameters
    ----------
    weight : ndarray
        Weight of the linear operation, C output channels along `axis`.
    bias : ndarray, shape (C,), or None
        Bias of the linear operation.
    running_mean, running_var : ndarray, shape (C,)
        Statistics of the batch normalization.
    gamma, beta : ndarray, shape (C,), optional
        Weight and bias of the batch normalization.
    eps : float
        Of the batch normalization.
    axis : int
        Output channel axis of `weight`.
    groups : int
        If `axis` is not 0: groups of input channels, axis 0, each with output channels of its own on `axis`.

    Returns
    -------
    FoldedBatchNorm
        ``weight`` in its shape, ``bias`` in the shape (C,).
    """
    w = promote(weight)
    a = reciprocal_root(promote(running_var) + eps) * (1.0 if gamma is None else promote(gamma))
    shift = (0.0 if bias is None else promote(bias)) - promote(running_mean)
    axis %= w.ndim
    parts, factors = [w], [a]
    if axis != 0:
        parts, factors = np.split(w, groups), np.split(a, groups)
    folded = [np.moveaxis(np.moveaxis(part, axis, -1) * f, -1, axis) for part, f in zip(parts, factors, strict=True)]
    return FoldedBatchNorm(np.concatenate(folded), shift * a + (0.0 if beta is None else promote(beta)))

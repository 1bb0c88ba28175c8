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

    Returns
    -------
    FoldedBatchNorm
        ``weight`` in its shape, ``bias`` in the shape (C,).
    """
    w = promote(weight)
    a = reciprocal_root(promote(running_var) + eps) * (1.0 if gamma is None else promote(gamma))
    shift = (0.0 if bias is None else promote(bias)) - promote(running_mean)
    along = [n if i == axis % w.ndim else 1 for i, n in enumerate(w.shape)]
    return FoldedBatchNorm(a.reshape(along) * w, shift * a + (0.0 if beta is None else promote(beta)))

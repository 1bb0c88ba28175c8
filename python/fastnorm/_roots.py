"""Whitening matrices from covariances: what the whitening of data and of batches have in common.

Stacks of symmetric matrices in float64, of shape (groups, d, d). Eigenvectors and Cholesky factors are LAPACK's.
"""

from typing import Final

import numpy as np

from . import _validate as check
from ._features import product
from ._types import Array

_ROWS: Final = 32  # solved for one by one, before the next go through a product of matrices


def spectrum(covariance: Array, eps: float) -> tuple[Array, Array]:
    """Eigenvalues, ascending, of ``covariance + eps I``, and its eigenvectors in columns.

    A covariance has no negative eigenvalue; where rounding makes one it counts as zero. So nothing is below eps.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.maximum(values, 0.0) + eps, vectors


def factor(covariance: Array, eps: float) -> Array:
    """Lower Cholesky factor of ``covariance + eps I``."""
    d = covariance.shape[-1]
    if eps == 0.0:
        check.full_rank(np.linalg.eigvalsh(covariance), d, eps)
    try:
        return np.linalg.cholesky(covariance + eps * np.eye(d))
    except np.linalg.LinAlgError:
        raise check.singular(eps) from None


def inverse_lower(lower: Array) -> Array:
    """Inverse of lower triangular matrices, by substitution."""
    d = lower.shape[-1]
    inverse = np.zeros_like(lower)
    for first in range(0, d, _ROWS):
        last = min(first + _ROWS, d)
        rows = np.broadcast_to(np.eye(last - first, last, first), (len(lower), last - first, last))
        if first:
            rows = rows - product(lower[:, first:last, :first], inverse[:, :first, :last])
        for i in range(first, last):
            known = np.einsum("gk,gkj->gj", lower[:, i, first:i], inverse[:, first:i, :last])
            inverse[:, i, :last] = (rows[:, i - first] - known) / lower[:, i, i, None]
    return inverse

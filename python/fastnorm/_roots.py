"""Whitening matrices from covariances: what the whitening of data and of batches have in common.

Stacks of symmetric matrices in float64, of shape (groups, d, d). Eigenvectors and Cholesky factors are LAPACK's.
"""

import numpy as np

from . import _rank
from ._features import product
from ._types import Array


def spectrum(covariance: Array, eps: float) -> tuple[Array, Array]:
    """Eigenvalues, ascending, of ``covariance + eps I``, and its eigenvectors in columns.

    A covariance has no negative eigenvalue; where rounding makes one it counts as zero. So nothing is below eps.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.maximum(values, 0.0) + eps, vectors


def factor(covariance: Array, eps: float) -> Array:
    """Lower Cholesky factor of ``covariance + eps I``.

    What is left of the variance of a feature behind those before it must be more than rounding. Both are in the unit of
    the feature, so that features of any units do no harm.
    """
    d = covariance.shape[-1]
    total = covariance + eps * np.eye(d)
    try:
        lower = np.linalg.cholesky(total)
    except np.linalg.LinAlgError:
        raise _rank.deficient_group(total, correlated=True) from None
    left, all_of_it = (np.diagonal(a, axis1=-2, axis2=-1) for a in (lower, total))
    if (left**2 <= d * 2.0**-52 * all_of_it).any():
        raise _rank.deficient_group(total, correlated=True)
    return np.asarray(lower)


def inverse_lower(lower: Array) -> Array:
    """Inverse of lower triangular matrices.

    Blocks on the diagonal that are inverted already are joined in pairs::

        [a 0]^-1   [    a^-1       0  ]
        [b c]    = [-c^-1 b a^-1  c^-1]

    No row is compared with another, unlike in a solver that exchanges rows: features of any scales do no harm.
    """
    d = lower.shape[-1]
    n = 1 << max(d - 1, 0).bit_length()
    padded, inverse = np.zeros((2, len(lower), n, n))
    padded[:, :d, :d] = lower
    diagonal = np.arange(d)
    inverse[:, diagonal, diagonal] = 1.0 / lower[:, diagonal, diagonal]
    size = 1
    while size < n:
        shape = (len(lower), n // (2 * size), 2 * size, n // (2 * size), 2 * size)
        pairs, joined, i = padded.reshape(shape), inverse.reshape(shape), np.arange(shape[1])
        a, b, c = joined[:, i, :size, i, :size], pairs[:, i, size:, i, :size], joined[:, i, size:, i, size:]
        below = product(_flat(c), product(_flat(b), _flat(a)))
        joined[:, i, size:, i, :size] = -below.reshape(b.shape)
        size *= 2
    return np.ascontiguousarray(inverse[:, :d, :d])


def _flat(blocks: Array) -> Array:
    return np.ascontiguousarray(blocks).reshape(-1, *blocks.shape[-2:])

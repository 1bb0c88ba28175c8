"""Moments that merge exactly, for statistics of data that lie in several places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Array, Moments
from ._core import promote, statistics


def moments(
    x: Array,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    where: Array | None = None,
) -> Moments:
    """Count, mean and sum of squared deviations.

    Parameters
    ----------
    x : ndarray
        Data.
    axis : int or sequence of int, optional
        Axes that the moments run over; all by default.
    keepdims : bool
        Whether these axes stay, with length 1.
    where : ndarray of bool, optional
        Mask that broadcasts against `x`: only the True elements count.

    Returns
    -------
    Moments
        ``count``, ``mean`` and ``m2`` of one shape; all 0 where nothing counts.
    """
    x = promote(x)
    axes = tuple(range(x.ndim)) if axis is None else tuple(int(a) % x.ndim for a in np.atleast_1d(axis))
    mask = None if where is None else np.broadcast_to(np.asarray(where, bool), x.shape)
    s = statistics(x, axes, mask)
    count, mean, m2 = s.size, np.where(s.size == 0, 0, s.mean), s.m2
    if not keepdims:
        count, mean, m2 = (np.asarray(np.squeeze(a, axis=axes)) for a in (count, mean, m2))
    return Moments(count, mean, m2)


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """Moments of the union of the parts, merged in pairs of neighbours, level by level, in the given order.

    With n = na + nb and delta = mean_b - mean_a: mean = mean_a + delta * nb / n,
    m2 = m2_a + m2_b + delta**2 * na * nb / n.

    Parameters
    ----------
    parts : sequence of Moments
        One or more, of shapes that broadcast.

    Returns
    -------
    Moments
        The merged moments.

    References
    ----------
    Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    """
    level = list(parts)
    while len(level) > 1:
        pairs = [_merge(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return Moments(*level[0])


def _merge(a: Moments, b: Moments) -> Moments:
    count = a.count + b.count
    share = b.count / np.maximum(count, 1)
    delta = b.mean - a.mean
    mean = np.where(a.count == 0, b.mean, a.mean + delta * share)
    return Moments(np.asarray(count), mean, np.asarray(a.m2 + b.m2 + delta * delta * a.count * share))

"""Division of rows by their Euclidean norms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._types import Array, L2NormalizeForward
from ._core import deliver, promote, total
from ._layer import layout


def l2_normalize(x: Array, *, axis: int | Sequence[int] = -1, eps: float = 1e-12, out: Array | None = None) -> Array:
    """Division by the norm: the output ``y`` of `l2_normalize_forward` and nothing else."""
    return l2_normalize_forward(x, axis=axis, eps=eps, out=out).y


def divisor(norm: Array, eps: float) -> Array:
    """The greater of norm and eps; infinite where both are 0, so that what is divided becomes 0."""
    largest = np.where(norm.real < eps, eps, norm)
    return np.where(largest == 0, np.inf, largest)


@np.errstate(all="ignore")
def l2_normalize_forward(
    x: Array, *, axis: int | Sequence[int] = -1, eps: float = 1e-12, out: Array | None = None
) -> L2NormalizeForward:
    """Division by the norm: y = x / max(norm, eps), norm = sqrt(sum(x**2)).

    Parameters
    ----------
    x : ndarray
        Data.
    axis : int or sequence of int
        Axes that the sum runs over.
    eps : float
        The least divisor.
    out : ndarray, optional
        Where ``y`` goes.

    Returns
    -------
    L2NormalizeForward
        ``y`` in the shape of `x`; ``norm`` with the given axes of length 1.
    """
    x = promote(x)
    norm = np.sqrt(total(x * x, layout(x, axis).reduced))
    return L2NormalizeForward(deliver(x / divisor(norm, eps), out), norm)


@np.errstate(all="ignore")
def l2_normalize_backward(
    dy: Array, x: Array, norm: Array, *, axis: int | Sequence[int] = -1, eps: float = 1e-12
) -> Array:
    """Gradient of the division by the norm.

    With xhat = x / norm, dx = (dy - xhat * sum(dy * xhat)) / norm, and dx = dy / eps where the norm is less than eps.

    Parameters
    ----------
    dy, x : ndarray
        Gradient of the output, and the input.
    norm : ndarray
        What the forward returned.
    axis, eps
        As in the forward.

    Returns
    -------
    ndarray
        ``dx`` in the shape of `x`.
    """
    dy, x, norm = promote(dy), promote(x), promote(norm)
    size = divisor(norm, eps)
    xhat = x / size
    through = xhat * total(dy * xhat, layout(x, axis).reduced)
    return np.asarray((dy - np.where(norm.real < eps, 0, through)) / size)

"""Statistics of data that lie in several places, for batch normalization over all of them.

Each process takes the moments of its part, all merge them in one order, and normalize with the result. In the backward
each reduces its part, the sums are added up, and each applies them.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import _core
from . import _validate as check
from ._tree import merged
from ._types import Array, BatchNormSums, Moments


def moments(
    x: npt.ArrayLike,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    where: npt.ArrayLike | None = None,
) -> Moments:
    """Count, mean and sum of squared deviations.

    Parameters
    ----------
    x : array_like, floating point
        Data in any memory layout.
    axis : int or sequence of ints, optional
        The axes that they are taken over; None stands for all.
    keepdims : bool, optional
        Whether these axes stay, with length 1.
    where : array_like of bool, optional
        A mask that broadcasts against `x`: elements where it is False do not count.

    Returns
    -------
    Moments
        ``count``, ``mean`` and ``m2`` in float64, of the shape of `x` without the given axes. All three are 0 where
        there are no data.

    Raises
    ------
    ValueError
        If an axis is none of `x`, or is repeated.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    merge_moments : Moments of the union of several parts.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> count, mean, m2 = fn.moments(np.array([[1.0, 3.0], [5.0, 5.0]]), axis=1)
    >>> mean, m2 / count
    (array([2., 5.]), array([1., 0.]))
    """
    keepdims = check.boolean("keepdims", keepdims)
    result = Moments(*_core.moments(x, axis, where))
    if keepdims:
        return result
    reduced = tuple(range(result.mean.ndim)) if axis is None else axis if isinstance(axis, int) else tuple(axis)
    return Moments(*(values.squeeze(reduced) for values in result))


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """Moments of the union of the parts.

    Neighbours are merged in pairs, level by level, an odd last one moving up as it is: the result depends on the order
    of the parts, and on nothing else. With ``n = na + nb`` and ``d = mean_b - mean_a``, a pair becomes [1]_::

        mean = mean_a + d * nb / n      m2 = m2_a + m2_b + d**2 * na * nb / n

    Parameters
    ----------
    parts : sequence of Moments
        One or more: results of :func:`moments`, or triples of arrays like theirs, such as the rows of what was
        gathered from several processes. All arrays must broadcast together. Parts without data change nothing.

    Returns
    -------
    Moments
        ``count``, ``mean`` and ``m2`` in float64, of one shape.

    Raises
    ------
    ValueError
        If there are no parts, if shapes do not broadcast, or if a count is not a number >= 0.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    moments : Those of one part.

    References
    ----------
    .. [1] Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([1.0, 3.0, 5.0, 7.0, 9.0])
    >>> count, mean, m2 = fn.merge_moments([fn.moments(x[:2]), fn.moments(x[2:])])
    >>> float(mean), float(m2 / count)
    (5.0, 8.0)
    """
    with np.errstate(all="ignore"):
        return merged(check.moments(parts), pair_of_moments)


def pair_of_moments(a: Moments, b: Moments) -> Moments:
    """Those of both; with errors of NumPy ignored."""
    count = a.count + b.count
    share = b.count / np.where(count == 0.0, 1.0, count)
    delta = b.mean - a.mean
    mean = np.where(a.count == 0.0, b.mean, np.where(b.count == 0.0, a.mean, a.mean + delta * share))
    between = np.where((a.count == 0.0) | (b.count == 0.0), 0.0, delta * delta * (a.count * share))
    return Moments(np.asarray(count), mean, np.asarray(a.m2 + b.m2 + between))


def batch_norm_backward_reduce(
    dy: npt.ArrayLike, x: npt.ArrayLike, mean: npt.ArrayLike, rstd: npt.ArrayLike, *, axis: int = 1
) -> BatchNormSums:
    """Sum over one part of a batch what the input gradient of the whole batch needs.

    The sums of ``dy`` and of ``dy * xhat`` with ``xhat = (x - mean) * rstd``, over all axes but `axis`: also the part's
    share in the gradients of bias and weight.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, floating point
        This part of the batch, with two or more dimensions; it may be empty.
    mean, rstd : array_like, shape (C,)
        Mean and ``1 / sqrt(var + eps)`` of the whole batch, best in float64: a mean in float32 costs digits where it
        is large against the spread.
    axis : int, optional
        The channel axis, with C channels.

    Returns
    -------
    BatchNormSums
        ``sum_dy`` and ``sum_dy_xhat`` of shape (C,) in float64, to be added up over the parts.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    batch_norm_backward_apply : The other half.
    batch_norm_backward : Both at once.
    fastnorm.distributed.sync_batch_norm_backward : Both halves and the exchange.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[1.0], [3.0]]), np.array([[2.0], [3.0]])
    >>> fn.batch_norm_backward_reduce(dy, x, [2.0], [1.0])
    BatchNormSums(sum_dy=array([5.]), sum_dy_xhat=array([1.]))
    """
    return BatchNormSums(*_core.batch_norm_backward_reduce(dy, x, mean, rstd, axis))


def batch_norm_backward_apply(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    sum_dy: npt.ArrayLike,
    sum_dy_xhat: npt.ArrayLike,
    count: npt.ArrayLike,
    *,
    axis: int = 1,
    offset: float = 0.0,
) -> Array:
    """Input gradient of one part of a batch, from the sums over the whole batch.

    ``dx = (offset + weight) * rstd * (dy - sum_dy / count - xhat * sum_dy_xhat / count)`` with
    ``xhat = (x - mean) * rstd``.

    Parameters
    ----------
    dy, x, mean, rstd, axis
        As in :func:`batch_norm_backward_reduce`.
    weight : array_like, shape (C,), or None
        Scale of the forward pass, in the dtype of `x` or a wider one; None stands for ones.
    sum_dy, sum_dy_xhat : array_like, shape (C,)
        Sums of :func:`batch_norm_backward_reduce` over all parts, in float64.
    count : float or array_like, shape (C,)
        Values per channel in the whole batch, as :func:`merge_moments` returns it.
    offset : float, optional
        That of the forward pass, added to the weight.

    Returns
    -------
    ndarray
        ``dx`` like `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    batch_norm_backward_reduce : The first half.
    batch_norm_backward : Both at once.
    fastnorm.distributed.sync_batch_norm_backward : Both halves and the exchange.

    Examples
    --------
    Two parts of a batch, as two processes would have them:

    >>> import numpy as np
    >>> import fastnorm as fn
    >>> parts = [np.array([[1.0]]), np.array([[3.0], [5.0]])]
    >>> dys = [np.array([[1.0]]), np.array([[0.0], [0.0]])]
    >>> count, mean, m2 = fn.merge_moments([fn.moments(x, axis=0) for x in parts])
    >>> rstd = 1 / np.sqrt(m2 / count + 1e-5)
    >>> sums = [fn.batch_norm_backward_reduce(dy, x, mean, rstd) for dy, x in zip(dys, parts)]
    >>> sum_dy, sum_dy_xhat = map(sum, zip(*sums))
    >>> fn.batch_norm_backward_apply(dys[1], parts[1], None, mean, rstd, sum_dy, sum_dy_xhat, count).round(3)
    array([[-0.204],
           [ 0.102]])
    """
    sums = sum_dy, sum_dy_xhat, check.reals("count", count)
    return _core.batch_norm_backward_apply(dy, x, weight, mean, rstd, *sums, axis, offset)

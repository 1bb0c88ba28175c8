"""Batch whitening: decorrelated batch normalization, within groups of channels, over samples and positions."""

import numpy as np
import numpy.typing as npt

from . import _core, _features, _layout, _running
from . import _validate as check
from ._batch_whiteners import METHODS, BatchMethod, root, through_statistics
from ._dtypes import FLOAT64, rounded_sums
from ._features import Features
from ._layout import Layout
from ._types import Array, BatchWhiteningForward, BatchWhiteningSaved, Gradients, GradMask
from .runtime import run


def batch_whitening(
    x: npt.ArrayLike,
    running_mean: npt.ArrayLike,
    running_cov: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    *,
    axis: int = 1,
    groups: int = 1,
    method: BatchMethod = "zca",
    iterations: int = 5,
    eps: float = 1e-5,
    out: Array | None = None,
) -> Array:
    """Whiten with the running statistics of each group of channels (evaluation mode).

    ``y = W (x - running_mean) * weight + bias`` with W as in :func:`batch_whitening_forward`, of
    ``running_cov + eps I``.

    Parameters
    ----------
    x : array_like, floating point
        Data with two or more dimensions, in any memory layout.
    running_mean : array_like, shape (C,)
        Means of the channels, in the dtype of `x` or a wider one.
    running_cov : array_like, shape (groups, C // groups, C // groups)
        Covariances of the groups, likewise; symmetric.
    weight, bias, axis, groups, method, iterations, eps
        As in :func:`batch_whitening_forward`.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `x`, in any memory layout, `x` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `x`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.
    numpy.linalg.LinAlgError
        If eps is 0 and a covariance has no full rank.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 40.0], [3.0, 40.0]])
    >>> fn.batch_whitening(x, [2.0, 20.0], [[[1.0, 0.0], [0.0, 100.0]]], eps=0.0)
    array([[-1.,  2.],
           [ 1.,  2.]])
    """
    x, layout, features = _checked(x, axis, groups)
    mean = check.per_channel("running_mean", running_mean, layout, x)
    cov = check.covariances("running_cov", running_cov, _stack(features), x).astype(FLOAT64)
    method, iterations, eps = _options(method, iterations, eps)
    weight = check.parameter("weight", weight, layout, x)
    bias = check.parameter("bias", bias, layout, x)
    out = check.out(out, x)
    y = _layout.target(out, x.dtype, x)
    if x.size:
        matrix = root((cov + _features.transpose(cov)) / 2.0, method, iterations, eps).matrix
        shift = None if bias is None else np.array(bias, FLOAT64)
        features.transform(x, y, _scaled(matrix, weight), np.array(mean, FLOAT64), shift)
    return _layout.result(y, out)


def batch_whitening_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    running_mean: Array | None = None,
    running_cov: Array | None = None,
    *,
    axis: int = 1,
    groups: int = 1,
    method: BatchMethod = "zca",
    iterations: int = 5,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
) -> BatchWhiteningForward:
    """Whiten with the batch's own statistics of each group of channels, and update the running ones (training mode).

    ``y = W (x - mean) * weight + bias``. In every group of ``d = C // groups`` channels with n values per channel,
    ``S = sum((x - mean) (x - mean)') / n + eps I`` has the whitening matrix W:

    ==========  ==========================================  ============================================================
    method      W                                           result
    ==========  ==========================================  ============================================================
    "zca"       ``S^-1/2`` [1]_                             closest to the data
    "cholesky"  inverse of the lower Cholesky factor [2]_   each channel freed of those before it
    "iternorm"  some steps of Newton and Schulz [3]_        towards ``S^-1/2``, large eigenvalues first
    ==========  ==========================================  ============================================================

    In place, ``running = (1 - momentum) * running + momentum * batch``, where the batch's covariance is without eps
    and divided by ``n - ddof``.

    Parameters
    ----------
    x : array_like, floating point
        Data with two or more dimensions, in any memory layout.
    weight, bias : array_like, shape (C,), optional
        Scale and shift, in the dtype of `x` or a wider one; None stands for ones and zeros.
    running_mean : ndarray, shape (C,), optional
        Buffer to update, in the dtype of `x` or a wider one, in any memory layout; with `running_cov` or not at all.
    running_cov : ndarray, shape (groups, C // groups, C // groups), optional
        The same. Neither may share memory with the other or with any other argument.
    axis : int, optional
        The channel axis, with C channels.
    groups : int, optional
        How many groups the channels fall into, which must divide C.
    method : {'zca', 'cholesky', 'iternorm'}, optional
        Which whitening matrix.
    iterations : int, optional
        Steps of method 'iternorm'; few leave directions of small variance small.
    momentum : float, optional
        The share of this batch in the running statistics, from 0 to 1.
    ddof : float, optional
        Taken off n in the running covariance.
    eps : float, optional
        Added to the diagonal of the covariance; finite and >= 0.

    Returns
    -------
    BatchWhiteningForward
        ``y`` like `x`, and ``saved`` for :func:`batch_whitening_backward`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, if a channel has one value only, or if a buffer cannot be written to.
    TypeError
        If an argument has another type or dtype.
    numpy.linalg.LinAlgError
        If eps is 0 and a covariance has no full rank.

    Warns
    -----
    RuntimeWarning
        If a channel has no more values than there are channels in a group: some directions then have no variance but
        eps, and their gradients are scaled by ``1 / sqrt(eps)``.

    Notes
    -----
    Covariances are summed, decomposed and inverted in float64. A NaN or an infinity makes its group NaN, and no other.
    If `x` is empty the buffers stay as they are.

    References
    ----------
    .. [1] Huang, Yang, Lang, Deng: Decorrelated batch normalization, 2018, https://arxiv.org/abs/1804.08450
    .. [2] Siarohin, Sangineto, Sebe: Whitening and coloring batch transform for GANs, 2019,
       https://arxiv.org/abs/1806.00420
    .. [3] Huang, Zhou, Zhu, Liu, Shao: Iterative normalization: beyond standardization towards efficient whitening,
       2019, https://arxiv.org/abs/1904.03441

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.random.default_rng(0).standard_normal((100, 4)) @ np.tri(4)
    >>> y, saved = fn.batch_whitening_forward(x, eps=0.0)
    >>> np.allclose(y.T @ y / 100, np.eye(4))
    True
    >>> y, saved = fn.batch_whitening_forward(x, groups=2, eps=0.0)
    >>> np.allclose(y[:, 2:].T @ y[:, 2:] / 100, np.eye(2))
    True
    """
    x, layout, features = _checked(x, axis, groups)
    method, iterations, eps = _options(method, iterations, eps)
    weight = check.parameter("weight", weight, layout, x)
    bias = check.parameter("bias", bias, layout, x)
    buffers = check.running_covariances(
        running_mean, running_cov, layout, _stack(features), x, {"weight": weight, "bias": bias}
    )
    momentum, ddof = check.momentum(momentum), check.ddof(ddof, layout, buffers is not None)
    check.several_values(layout, x)
    check.samples_of_covariance(features.samples, features.size)
    y, mean, sums = (
        _layout.empty_like(x.dtype, x),
        np.full(layout.statistics, np.nan),
        np.full(_stack(features), np.nan),
    )
    if x.size:
        run(_core.role_moments, x, layout.roles, mean, np.empty_like(mean))
        sums, off = _centred(features, x, mean)
        found = root(sums / features.samples, method, iterations, eps)
        matrix = _scaled(found.matrix, weight)
        features.transform(x, y, matrix, mean, _image(matrix, -off) + (0.0 if bias is None else bias))
        mean += off
        _running.Step(buffers, momentum, ddof, layout).update(mean, sums)
    else:
        found = root(sums, method, iterations, eps)
    return BatchWhiteningForward(
        y, BatchWhiteningSaved(mean, *found, layout.axes[0], features.groups, method, iterations)
    )


def batch_whitening_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    saved: BatchWhiteningSaved,
    *,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of :func:`batch_whitening_forward`.

    With ``g = dy * weight``, the whitened data ``Y = W (x - mean)`` and ``M = sum(g Y')``, in every group of channels
    with n values each::

        dx = W' (g - sum(g) / n - T Y / n)      dweight = sum(dy * Y)      dbias = sum(dy)

    T is the lower triangle of M and its mirror image for 'cholesky', and for 'zca' ``U T~ U'`` with
    ``T~_ij = (sqrt(l_j) M~_ij + sqrt(l_i) M~_ji) / (sqrt(l_i) + sqrt(l_j))``, ``M~ = U' M U``, from the eigenvalues l
    and eigenvectors U of the covariance. It has no differences of eigenvalues, which may be equal. The gradient of
    'iternorm' goes back through its steps.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x : array_like, floating point
        Input of the forward pass.
    weight : array_like, shape (C,), or None
        Scale of the forward pass.
    saved : BatchWhiteningSaved
        What the forward pass returned.
    grad_mask : three bools, optional
        Which of ``dx``, ``dweight``, ``dbias`` to compute; the others are None.

    Returns
    -------
    Gradients
        ``dx`` like `x`; ``dweight`` and ``dbias`` of shape (C,) in the dtype of `weight`, of `x` without one.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.random.default_rng(0).standard_normal((2, 100, 4))
    >>> y, saved = fn.batch_whitening_forward(x)
    >>> dx, dweight, dbias = fn.batch_whitening_backward(dy, x, None, saved)
    >>> np.allclose(dx.sum(axis=0), 0), np.allclose(dbias, dy.sum(axis=0))
    (True, True)
    """
    x = check.data("x", x)
    saved = check.whitening_saved(saved, x)
    layout = _layout.batch(x.shape, saved.axis)
    features = _features.channels(x.shape, saved.axis, saved.groups)
    dy = check.like("dy", dy, x)
    weight = check.parameter("weight", weight, layout, x)
    want_dx, want_dweight, want_dbias = check.grad_mask(grad_mask)
    dx = _layout.empty_like(x.dtype, x) if want_dx else None
    dweight = np.zeros(layout.parameters) if want_dweight else None
    dbias = np.zeros(layout.parameters) if want_dbias else None
    if x.size and (want_dx or want_dweight or want_dbias):
        average = np.empty(layout.statistics)
        run(_core.role_moments, dy, layout.roles, average, np.empty_like(average))
        if dbias is not None:
            np.multiply(average, features.samples, out=dbias)
        if want_dx or want_dweight:
            sums, off = _centred(features, x, saved.mean, dy, average)
            sums = _features.transpose(sums)
        with np.errstate(all="ignore"):
            if dweight is not None:
                np.einsum("gij,gij->gi", sums, saved.matrix, out=dweight.reshape(_stack(features)[:2]))
            if dx is not None:
                through = through_statistics(saved, _scaled(sums, weight), features.samples)
                both = np.concatenate([through, _features.transpose(_scaled(saved.matrix, weight))], axis=2)
                features.transform(x, dx, both, saved.mean, _image(through, -off), dy, average)
    dtype = x.dtype if weight is None else weight.dtype
    return Gradients(dx, *rounded_sums(dtype, dweight, dbias))


def _checked(x: npt.ArrayLike, axis: int, groups: int) -> tuple[Array, Layout, Features]:
    x = check.data("x", x)
    axis = check.channel_axis(axis, x)
    groups = check.num_groups(groups, x, axis, "groups", "batch_whitening")
    return x, _layout.batch(x.shape, axis), _features.channels(x.shape, axis, groups)


def _options(method: BatchMethod, iterations: int, eps: float) -> tuple[BatchMethod, int, float]:
    check.choice("method", method, METHODS)
    return method, check.iterations(iterations), check.eps(eps)


def _stack(features: Features) -> tuple[int, int, int]:
    """The shape of one square matrix per group."""
    return features.groups, features.size, features.size


def _centred(
    features: Features, x: Array, mean: Array, dy: Array | None = None, average: Array | None = None
) -> tuple[Array, Array]:
    """Comoments of `x` with itself or with `dy`, and what `mean` is off: a rounded mean costs no digits."""
    off = np.empty_like(mean)
    sums = features.comoments(x, mean, dy, average, off)
    with np.errstate(all="ignore"):
        off /= features.samples
        if dy is None:
            columns = off.reshape(features.groups, features.size, 1)
            sums -= columns * _features.transpose(columns) * features.samples
    return sums, off


def _image(matrix: Array, vector: Array) -> Array:
    """The images of the channels of a vector under the matrices of their groups."""
    with np.errstate(all="ignore"):
        return np.asarray(np.einsum("gij,gj->gi", matrix, vector.reshape(matrix.shape[:2])).ravel())


def _scaled(matrix: Array, weight: Array | None) -> Array:
    """Every row times the weight of its channel."""
    return matrix if weight is None else matrix * weight.astype(FLOAT64).reshape(*matrix.shape[:2], 1)

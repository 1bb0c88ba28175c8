"""Batch whitening: decorrelated batch normalization, within groups of channels, over samples and positions."""

import numpy as np
import numpy.typing as npt

from . import _batch_products as _products
from . import _features, _layout, _running
from . import _validate as check
from ._batch_whiteners import BatchMethod, root
from ._dtypes import FLOAT64, rounded_sums
from ._types import Array, BatchWhiteningForward, BatchWhiteningSaved, Gradients, GradMask


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
    offset: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Whiten with the running statistics of each group of channels (evaluation mode).

    ``y = W (x - running_mean) * (offset + weight) + bias`` with W as in :func:`batch_whitening_forward`, of
    ``running_cov + eps I``.

    Parameters
    ----------
    x : array_like, floating point
        Data with two or more dimensions, in any memory layout.
    running_mean : array_like, shape (C,)
        Means of the channels, in the dtype of `x` or a wider one.
    running_cov : array_like, shape (groups, C // groups, C // groups)
        Covariances of the groups, likewise; symmetric.
    weight, bias, axis, groups, method, iterations, eps, offset
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

    See Also
    --------
    batch_whitening_forward : The statistics too, for training.
    batch_whitening_backward : The gradients.
    nn.BatchWhitening : The layer.
    fit_whitening : Whitening of data, by a map that is fitted once.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 40.0], [3.0, 40.0]])
    >>> fn.batch_whitening(x, [2.0, 20.0], [[[1.0, 0.0], [0.0, 100.0]]], eps=0.0)
    array([[-1.,  2.],
           [ 1.,  2.]])
    """
    data = _products.batch(x, axis, groups)
    mean = check.per_channel("running_mean", running_mean, data.layout, data.x)
    cov = check.covariances("running_cov", running_cov, data.stack, data.x).astype(FLOAT64)
    method, iterations, eps = _products.options(method, iterations, eps)
    weight, bias = data.parameter("weight", weight), data.parameter("bias", bias)
    scale = _products.scale(weight, check.offset(offset), data)
    out = check.out(out, data.x)
    y = _layout.target(out, data.x.dtype, data.x)
    if data.x.size:
        matrix = root((cov + _features.transpose(cov)) / 2.0, method, iterations, eps).matrix
        shift = None if bias is None else np.array(bias, FLOAT64)
        data.features.transform(data.x, y, _products.scaled(matrix, scale), np.array(mean, FLOAT64), shift)
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
    offset: float = 0.0,
) -> BatchWhiteningForward:
    """Whiten with the batch's own statistics of each group of channels, and update the running ones (training mode).

    ``y = W (x - mean) * (offset + weight) + bias``. In every group of ``d = C // groups`` channels with n values per
    channel, ``S = sum((x - mean) (x - mean)') / n + eps I`` has the whitening matrix W, by `method`:

    - "zca": ``S^-1/2`` [1]_; the result is closest to the data.
    - "cholesky": the inverse of the lower Cholesky factor [2]_; each channel is freed of those before it.
    - "iternorm": some steps of Newton and Schulz [3]_ towards ``S^-1/2``, large eigenvalues first.

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
    offset : float, optional
        Added to the weight, also to the ones that None stands for.

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

    See Also
    --------
    batch_whitening : The output alone, for inference.
    batch_whitening_backward : The gradients.
    nn.BatchWhitening : The layer.
    fit_whitening : Whitening of data, by a map that is fitted once.

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
    data = _products.batch(x, axis, groups)
    method, iterations, eps = _products.options(method, iterations, eps)
    weight, bias = data.parameter("weight", weight), data.parameter("bias", bias)
    scale = _products.scale(weight, check.offset(offset), data)
    parameters: dict[str, object] = {"weight": weight, "bias": bias}
    buffers = check.running_covariances(running_mean, running_cov, data.layout, data.stack, data.x, parameters)
    momentum, ddof = check.momentum(momentum), check.ddof(ddof, data.layout, buffers is not None)
    check.several_values(data.layout, data.x)
    check.samples_of_covariance(data.features.samples, data.features.size)
    part, off, found = _products.whitening(data, method, iterations, eps)
    y = _products.whitened(data, found.matrix, part.mean_a, off, scale, bias)
    mean = part.mean_a + off if part.samples else np.full_like(off, np.nan)
    _running.Step(buffers, momentum, ddof, data.layout).update(mean, part.sums)
    saved = BatchWhiteningSaved(mean, *found, data.layout.axes[0], data.features.groups, method, iterations)
    return BatchWhiteningForward(y, saved)


def batch_whitening_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    saved: BatchWhiteningSaved,
    *,
    offset: float = 0.0,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of :func:`batch_whitening_forward`.

    With ``g = dy * (offset + weight)``, the whitened data ``Y = W (x - mean)`` and ``M = sum(g Y')``, in every group of
    channels with n values each::

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
    offset : float, optional
        That of the forward pass.
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

    See Also
    --------
    batch_whitening : The output alone, for inference.
    batch_whitening_forward : The statistics too, for training.
    nn.BatchWhitening : The layer.
    fit_whitening : Whitening of data, by a map that is fitted once.

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
    data, saved = _products.batch_of(saved, x)
    dy = check.like("dy", dy, data.x)
    weight = data.parameter("weight", weight)
    scale = _products.scale(weight, check.offset(offset), data)
    want_dx, want_dweight, want_dbias = check.grad_mask(grad_mask)
    dx = dweight = dbias = None
    if want_dx or want_dweight or want_dbias:
        part = _products.gradient_products(dy, data, saved)
        dx = _products.input_gradient(dy, data, scale, saved, part) if want_dx else None
        dweight = _products.weight_gradient(part, saved, part.mean_b) if want_dweight else None
        dbias = part.mean_a * part.samples if want_dbias else None
    dtype = data.x.dtype if weight is None else weight.dtype
    return Gradients(dx, *rounded_sums(dtype, dweight, dbias))

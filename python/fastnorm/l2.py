"""Division of rows by their Euclidean norms: unit vectors, for cosine similarities and normalized embeddings."""

from collections.abc import Sequence

import numpy.typing as npt

from . import _core
from ._types import Array, L2NormalizeForward


def l2_normalize(
    x: npt.ArrayLike, *, axis: int | Sequence[int] = -1, eps: float = 1e-12, out: Array | None = None
) -> Array:
    """Divide by the Euclidean norm over the given axes.

    ``y = x / max(norm, eps)`` with ``norm = sqrt(sum(x**2))``. Where all values are 0, ``y`` is 0.

    Parameters
    ----------
    x : array_like, float16, bfloat16, float32 or float64
        Data in any memory layout.
    axis : int or sequence of ints, optional
        The axes that the sum runs over: any, in any order.
    eps : float, optional
        The least divisor; finite and >= 0.
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

    See Also
    --------
    l2_normalize_forward : The statistics too, for training.
    l2_normalize_backward : The gradients.
    rms_norm : Division by the root mean square.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    return _core.l2_normalize(x, axis, eps, out)


def l2_normalize_forward(
    x: npt.ArrayLike, *, axis: int | Sequence[int] = -1, eps: float = 1e-12, out: Array | None = None
) -> L2NormalizeForward:
    """Do :func:`l2_normalize` and keep the norms for the backward.

    Parameters
    ----------
    x, axis, eps, out
        As in :func:`l2_normalize`.

    Returns
    -------
    L2NormalizeForward
        ``y`` like `x`; ``norm`` in float64, of the shape of `x` with length 1 along the given axes.

    Raises
    ------
    ValueError, TypeError
        As in :func:`l2_normalize`.

    See Also
    --------
    l2_normalize : The output alone, for inference.
    l2_normalize_backward : The gradients.
    rms_norm : Division by the root mean square.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.l2_normalize_forward(np.array([[3.0, 4.0]])).norm
    array([[5.]])
    """
    return L2NormalizeForward(*_core.l2_normalize_forward(x, axis, eps, out))


def l2_normalize_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    norm: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = -1,
    eps: float = 1e-12,
) -> Array:
    """Gradient of the input of :func:`l2_normalize`.

    With ``xhat = x / norm``, ``dx = (dy - xhat * sum(dy * xhat)) / norm``; where the norm is less than `eps`, which was
    the divisor there, ``dx = dy / eps``.

    Parameters
    ----------
    dy : array_like
        Gradient of the output, of the shape and dtype of `x`.
    x, axis, eps
        As in :func:`l2_normalize`.
    norm : array_like
        Norms of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    ndarray
        ``dx`` like `x`; 0 where norm and `eps` are 0.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    l2_normalize : The output alone, for inference.
    l2_normalize_forward : The statistics too, for training.
    rms_norm : Division by the root mean square.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x, dy = np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])
    >>> y, norm = fn.l2_normalize_forward(x)
    >>> fn.l2_normalize_backward(dy, x, norm)
    array([[ 0.128, -0.096]])
    """
    return _core.l2_normalize_backward(dy, x, norm, axis, eps)

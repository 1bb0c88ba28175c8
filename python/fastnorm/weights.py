"""Weight normalization and weight standardization: statistics per filter, over all other axes.

Both are the normalization of :mod:`fastnorm.batch` with another scale. They act on weights, so there is no evaluation
mode, and nothing is running.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy.typing as npt

from . import _core
from ._types import (
    Array,
    WeightNormForward,
    WeightNormGradients,
    WeightNormInit,
    WeightStandardizationForward,
    WeightStandardizationGradients,
)

Mode: TypeAlias = Literal["var", "std_unbiased", "std_biased", "max"]


# ---- weight normalization --------------------------------------------------------------------------------------------


def weight_norm(
    v: npt.ArrayLike,
    g: npt.ArrayLike,
    *,
    axis: int | Sequence[int] | None = 0,
    groups: int = 1,
    eps: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Give every filter a length of its own.

    ``w = g * v / norm`` [1]_ with ``norm = sqrt(sum(v**2) + eps)``, and the sum over all axes but `axis`.

    Parameters
    ----------
    v : array_like, floating point
        Directions, in any memory layout.
    g : array_like
        Lengths, in the dtype of `v` or a wider one: of the shape of `v` along `axis` and of length 1 along all
        other axes. For ``axis=None`` any array of one element.
    axis : int, sequence of ints or None, optional
        The axes with one filter per index; None is one norm of the whole array. A negative one counts from the end,
        as everywhere in NumPy (for PyTorch -1 is the whole array).
    groups : int, optional
        Groups of a transposed convolution with weights (in, out / groups, ...) and ``axis=1``: axis 0 falls into as
        many parts with filters of their own, and `g` is ``groups`` times as long along the first of `axis`. Where axis
        0 is one of `axis` it makes no difference.
    eps : float, optional
        Added to the sum of squares; finite and >= 0. Where the sum is 0 without it, `w` is NaN.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `v`, in any memory layout, `v` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `v`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or `out` cannot be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    weight_norm_forward : The statistics too, for training.
    weight_norm_backward : The gradients.
    nn.WeightNorm : The layer.
    weight_norm_init : A start from data.

    References
    ----------
    .. [1] Salimans, Kingma: Weight normalization: a simple reparameterization to accelerate training of deep neural
       networks, 2016, https://arxiv.org/abs/1602.07868

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.weight_norm(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[10.0], [1.0]]))
    array([[6., 8.],
           [0., 1.]])
    """
    return _core.weight_norm(v, g, axis, groups, eps, out)


def weight_norm_forward(
    v: npt.ArrayLike,
    g: npt.ArrayLike,
    *,
    axis: int | Sequence[int] | None = 0,
    groups: int = 1,
    eps: float = 0.0,
    out: Array | None = None,
) -> WeightNormForward:
    """Do :func:`weight_norm` and keep the norms for the backward.

    Parameters
    ----------
    v, g, axis, groups, eps, out
        As in :func:`weight_norm`.

    Returns
    -------
    WeightNormForward
        ``w`` like `v`; ``norm`` in float64, of length 1 along all axes but `axis`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_norm`.

    See Also
    --------
    weight_norm : The weights alone.
    weight_norm_backward : The gradients.
    nn.WeightNorm : The layer.
    weight_norm_init : A start from data.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.weight_norm_forward(np.array([[3.0, 4.0], [0.0, 2.0]]), np.array([[10.0], [1.0]])).norm
    array([[5.],
           [2.]])
    """
    return WeightNormForward(*_core.weight_norm_forward(v, g, axis, groups, eps, out))


def weight_norm_backward(
    dw: npt.ArrayLike,
    v: npt.ArrayLike,
    g: npt.ArrayLike,
    norm: npt.ArrayLike,
    *,
    axis: int | Sequence[int] | None = 0,
    groups: int = 1,
) -> WeightNormGradients:
    """Gradients of weight normalization.

    With ``s = sum(v * dw)`` over all axes but `axis`::

        dv = g / norm * (dw - v * s / norm**2)      dg = s / norm

    They hold for any `eps` of the forward pass, since it is in ``norm``.

    Parameters
    ----------
    dw : array_like
        Gradient of the weights, of the shape and dtype of `v`.
    v, g, axis, groups
        As in :func:`weight_norm`.
    norm : array_like
        Norms of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    WeightNormGradients
        ``dv`` like `v`; ``dg`` of the shape and dtype of `g`. Both are NaN where the norm is 0.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    weight_norm : The weights alone.
    weight_norm_forward : The statistics too, for training.
    nn.WeightNorm : The layer.
    weight_norm_init : A start from data.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> v, g = np.array([[3.0, 4.0]]), np.array([[10.0]])
    >>> w, norm = fn.weight_norm_forward(v, g)
    >>> dv, dg = fn.weight_norm_backward(np.array([[1.0, 0.0]]), v, g, norm)
    >>> dv.round(2), dg
    (array([[ 1.28, -0.96]]), array([[0.6]]))
    """
    return WeightNormGradients(*_core.weight_norm_backward(dw, v, g, norm, axis, groups))


def weight_norm_init(t: npt.ArrayLike, *, axis: int = 1) -> WeightNormInit:
    """Start of weight normalization from data: lengths and biases that make normalized outputs.

    ``g = 1 / std(t)`` [1]_ and ``bias = -mean(t) / std(t)``, so that ``g * t + bias`` has mean 0 and variance 1 in
    every channel.

    Parameters
    ----------
    t : array_like, float16, bfloat16, float32 or float64
        What the layer makes of a batch with lengths of 1 and no bias, ``(v / norm) x``; two or more dimensions.
    axis : int, optional
        The channel axis, with C channels.

    Returns
    -------
    WeightNormInit
        ``g`` and ``bias`` of shape (C,) in the dtype of `t`; 0 where all values of a channel are the same.

    Raises
    ------
    ValueError
        If a shape or a value does not fit.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    weight_norm : The normalization that it is a start of.
    nn.WeightNorm : The layer.

    References
    ----------
    .. [1] Salimans, Kingma: Weight normalization: a simple reparameterization to accelerate training of deep neural
       networks, 2016, https://arxiv.org/abs/1602.07868

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> fn.weight_norm_init(np.array([[1.0, 10.0], [3.0, 50.0]]))
    WeightNormInit(g=array([1.  , 0.05]), bias=array([-2. , -1.5]))
    """
    return WeightNormInit(*_core.weight_norm_init(t, axis))


# ---- weight standardization ------------------------------------------------------------------------------------------


def weight_standardization(
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Give every filter mean 0 and one spread.

    ``gain * scale * (w - mean) * s`` [1]_, with ``mean`` and ``var`` over all axes but `axis` and K weights per filter:

    ==============  ==========================================  ===========  ==================================
    mode            s                                           default eps  as in
    ==============  ==========================================  ===========  ==================================
    "var"           ``1 / sqrt(var + eps)``                     1e-6         BiT (eps 1e-10), timm's StdConv2d
    "std_unbiased"  ``1 / (sqrt(var * K / (K - 1)) + eps)``     1e-5         the authors' code
    "std_biased"    ``1 / (sqrt(var) + eps)``                   1e-5         ports of it
    "max"           ``1 / sqrt(max(K * var, eps))``             1e-4         NFNet [2]_
    ==============  ==========================================  ===========  ==================================

    Parameters
    ----------
    w : array_like, floating point
        Weights, in any memory layout.
    gain : array_like, shape (filters,), optional
        Scale of every filter, in the dtype of `w` or a wider one; None stands for ones.
    axis : int or sequence of ints, optional
        The axis with one filter per index: 0 for weights in the order OIHW, -1 for HWIO. Filters along several axes
        have one gain for every index of them, in the order they stand in `w`.
    groups : int, optional
        Groups of a transposed convolution with weights (in, out / groups, ...) and ``axis=1``: axis 0 falls into as
        many parts with filters of their own, ``groups * w.shape[axis]`` together. Where axis 0 is one of `axis` it
        makes no difference.
    mode : {'var', 'std_unbiased', 'std_biased', 'max'}, optional
        What the deviations are divided by.
    eps : float, optional
        As in the table; finite and >= 0. Where nothing is left to divide by, the result is 0.
    scale : float, optional
        A constant factor; for timm's ScaledStdConv2d ``gamma / sqrt(K)``.
    out : ndarray, optional
        Where to put the result: of the shape and dtype of `w`, in any memory layout, `w` itself also.

    Returns
    -------
    ndarray
        `out` if given, else a new array of the shape, the dtype and the order of axes in memory of `w`.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, if a filter has one weight only in mode 'std_unbiased', or if `out` cannot
        be written to.
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    weight_standardization_forward : The statistics too, for training.
    weight_standardization_backward : The gradients.
    nn.WeightStandardization : The layer.

    References
    ----------
    .. [1] Qiao, Wang, Liu, Shen, Yuille: Micro-batch training with batch-channel normalization and weight
       standardization, 2019, https://arxiv.org/abs/1903.10520
    .. [2] Brock, De, Smith, Simonyan: High-performance large-scale image recognition without normalization, 2021,
       https://arxiv.org/abs/2102.06171

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> w = np.array([[1.0, 3.0], [5.0, 5.0]])
    >>> fn.weight_standardization(w, gain=[1.0, 2.0], mode="std_biased", eps=0.0)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    return _core.weight_standardization(w, gain, axis, groups, mode, eps, scale, out)


def weight_standardization_forward(
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None = None,
    *,
    axis: int | Sequence[int] = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
    out: Array | None = None,
) -> WeightStandardizationForward:
    """Do :func:`weight_standardization` and keep the statistics for the backward.

    Parameters
    ----------
    w, gain, axis, groups, mode, eps, scale, out
        As in :func:`weight_standardization`.

    Returns
    -------
    WeightStandardizationForward
        ``w`` like `w`; ``mean`` and ``var``, divided by K, of shape (filters,) in float64.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_standardization`.

    See Also
    --------
    weight_standardization : The weights alone.
    weight_standardization_backward : The gradients.
    nn.WeightStandardization : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> result = fn.weight_standardization_forward(np.array([[1.0, 3.0], [5.0, 5.0]]))
    >>> result.mean, result.var
    (array([2., 5.]), array([1., 0.]))
    """
    return WeightStandardizationForward(
        *_core.weight_standardization_forward(w, gain, axis, groups, mode, eps, scale, out)
    )


def weight_standardization_backward(
    dw: npt.ArrayLike,
    w: npt.ArrayLike,
    gain: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    var: npt.ArrayLike,
    *,
    axis: int | Sequence[int] = 0,
    groups: int = 1,
    mode: Mode = "var",
    eps: float | None = None,
    scale: float = 1.0,
) -> WeightStandardizationGradients:
    """Gradients of weight standardization.

    With ``c = w - mean``, ``g = dw * gain * scale``, ``s`` as in :func:`weight_standardization`, and sums over a
    filter::

        dc = s * g + ds/dvar * 2 / K * sum(g * c) * c
        dw = dc - sum(dc) / K                           dgain = scale * s * sum(dw * c)

    where ``dw`` on the right is the argument. ``ds/dvar`` counts as 0 where a standard deviation is 0, and where
    `eps` is the greater one in mode 'max'.

    Parameters
    ----------
    dw : array_like
        Gradient of the standardized weights, of the shape and dtype of `w`.
    w, gain, axis, groups, mode, eps, scale
        As in :func:`weight_standardization`.
    mean, var : array_like, shape (filters,)
        Statistics of the forward pass, in float64 as it returned them or in float32.

    Returns
    -------
    WeightStandardizationGradients
        ``dw`` like `w`; ``dgain`` of shape (filters,) in the dtype of `gain`, of `w` without one.

    Raises
    ------
    ValueError, TypeError
        As in :func:`weight_standardization`.

    See Also
    --------
    weight_standardization : The weights alone.
    weight_standardization_forward : The statistics too, for training.
    nn.WeightStandardization : The layer.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> w, dw = np.array([[1.0, 3.0, 5.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> standardized, mean, var = fn.weight_standardization_forward(w)
    >>> fn.weight_standardization_backward(dw, w, None, mean, var).dw.round(3)
    array([[-0.204,  0.408, -0.204]])
    """
    return WeightStandardizationGradients(
        *_core.weight_standardization_backward(dw, w, gain, mean, var, axis, groups, mode, eps, scale)
    )

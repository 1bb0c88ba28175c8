"""Batch normalization folded into the convolution or linear layer before it, for inference without it."""

import numpy as np
import numpy.typing as npt

from . import _layout, _running
from . import _validate as check
from ._dtypes import FLOAT64, rounded
from ._types import Array, FoldedBatchNorm


@np.errstate(all="ignore")
def fold_batch_norm(
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    running_mean: npt.ArrayLike,
    running_var: npt.ArrayLike,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    axis: int = 0,
    groups: int = 1,
) -> FoldedBatchNorm:
    """Fold a batch normalization (evaluation mode) into the convolution or linear layer before it.

    With ``a = gamma / sqrt(running_var + eps)`` for each output channel::

        weight' = a * weight           bias' = (bias - running_mean) * a + beta

    The layer with these parameters computes what the layer and :func:`batch_norm` after it compute. The arithmetic is
    float64, and each result is rounded once.

    Parameters
    ----------
    weight : array_like, float16, bfloat16, float32 or float64
        Weight of the layer, in any memory layout. It is not written to.
    bias : array_like, shape (C,), or None
        Bias of the layer; None stands for zeros.
    running_mean, running_var : array_like, shape (C,)
        Statistics of the C output channels; variances are finite and >= 0.
    gamma, beta : array_like, shape (C,), optional
        Weight and bias of the batch normalization; None stands for ones and zeros.
    eps : float, optional
        Of the batch normalization; finite and >= 0. Where ``running_var + eps`` is 0, ``a`` is 0.
    axis : int, optional
        The axis of output channels of `weight`: 0 for linear layers and convolutions in the order OIHW, whatever
        their groups; 1 for transposed convolutions in the order (in, out / groups, H, W) of PyTorch and ONNX; -1 for
        the orders (in, out) and HWIO of Keras and Flax.
    groups : int, optional
        Groups of the layer, where `axis` counts the output channels within a group: then the input channels, axis 0,
        fall into as many groups, and C is ``groups * weight.shape[axis]``. With ``axis=0`` it makes no difference.

    Returns
    -------
    FoldedBatchNorm
        ``weight`` of the shape and dtype of `weight`; ``bias`` of shape (C,) in the dtype of `bias`, of `weight`
        without one.

    Raises
    ------
    ValueError
        If a shape or a value does not fit, or a result is not finite in its dtype.
    TypeError
        If an argument has another type or dtype. Parameters and statistics have the dtype of `weight` or a wider one.

    See Also
    --------
    batch_norm : The operation itself.

    Notes
    -----
    Only a batch normalization that comes directly after the layer, in evaluation mode, can be folded this way. One
    that is *before* a convolution with zero padding cannot be folded at all: the padding would have to be
    ``running_mean - beta / a`` instead of zero, so results at the border would be wrong. Nor can one be folded with an
    activation in between, or one that uses the statistics of the batch.

    The error of the folded layer grows with ``running_mean / sqrt(running_var)``, as that of any ``x * a + c`` does;
    that of :func:`batch_norm` does not.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> weight, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.0])
    >>> mean, var = np.array([1.0, 5.0]), np.array([4.0, 25.0])
    >>> folded = fn.fold_batch_norm(weight, bias, mean, var, eps=0.0)
    >>> x = np.array([2.0, 3.0])
    >>> folded.weight @ x + folded.bias
    array([4. , 2.6])
    >>> fn.batch_norm((weight @ x + bias)[None], mean, var, eps=0.0)
    array([[4. , 2.6]])
    """
    weight = check.data("weight", weight)
    axis = check.filter_axis(axis, weight, "weight")
    groups = check.groups_of_weight(groups, weight)
    within = groups if axis else 1  # groups that the channels of `axis` are counted within
    layout = _layout.batch(weight.shape, axis)
    layout = layout._replace(parameters=(within * weight.shape[axis],))
    of = "weight" if within == 1 else f"{within} groups of weight"
    mean = check.per_channel("running_mean", running_mean, layout, weight, of).astype(FLOAT64)
    var = check.variances("running_var", check.per_channel("running_var", running_var, layout, weight, of))
    given = check.parameter("bias", bias, layout, weight, of)
    scale, shift = (check.parameter(name, p, layout, weight, of) for name, p in (("gamma", gamma), ("beta", beta)))

    a = _running.scale(var, check.eps(eps))
    if scale is not None:
        a *= scale.astype(FLOAT64)
    folded_bias = (0.0 if given is None else given.astype(FLOAT64)) - mean
    folded_bias *= a
    if shift is not None:
        folded_bias += shift.astype(FLOAT64)
    folded = weight.astype(FLOAT64)
    folded *= _along(a, weight.shape, axis, within)
    return FoldedBatchNorm(
        check.representable("weight", rounded(folded, weight.dtype)),
        check.representable("bias", rounded(folded_bias, weight.dtype if given is None else given.dtype)),
    )


def _along(a: Array, shape: tuple[int, ...], axis: int, groups: int) -> Array:
    """One factor per output channel, as it broadcasts against a weight of this shape."""
    factor = [1] * len(shape)
    factor[axis] = shape[axis]
    if groups > 1:  # a group of input channels, axis 0, has output channels of its own
        a = a.reshape(groups, -1).repeat(shape[0] // groups, axis=0)
        factor[0] = shape[0]
    return a.reshape(factor)

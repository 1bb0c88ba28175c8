"""Results of the operations, shared by :mod:`fastnorm` and :mod:`fastnorm.reference`. Needs NumPy only."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Activation: TypeAlias = Literal["relu", "silu", "gelu", "gelu_tanh"]
GradMask: TypeAlias = tuple[bool, bool, bool]

# The default of a grad_mask, told from others by its identity.
ALL: Final[GradMask] = (True, True, True)


class Gradients(NamedTuple):
    """Gradients of an operation's input and parameters.

    Attributes
    ----------
    dx : ndarray or None
        Gradient of the input, in its shape; None if ``grad_mask`` left it out.
    dweight : ndarray or None
        Gradient of the weight (of the implicit ones if there was none).
    dbias : ndarray or None
        Gradient of the bias (of the implicit zeros if there was none).

    See Also
    --------
    layer_norm_backward : What returns it.
    """

    dx: Array | None
    dweight: Array | None
    dbias: Array | None


class BatchNormForward(NamedTuple):
    """Output and saved statistics of batch normalization.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    mean, rstd : ndarray, shape (C,)
        Mean and ``1 / sqrt(var + eps)`` of every channel.

    See Also
    --------
    batch_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array


class LayerNormForward(NamedTuple):
    """Output and saved statistics of layer normalization.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    mean, rstd : ndarray
        Statistics of every group, the normalized axes kept with length 1.

    See Also
    --------
    layer_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array


class RMSNormForward(NamedTuple):
    """Output and saved statistic of root mean square normalization.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    rstd : ndarray
        ``1 / sqrt(mean(x**2) + eps)``, the normalized axes kept with length 1.

    See Also
    --------
    rms_norm_forward : What returns it.
    """

    y: Array
    rstd: Array


class GroupNormForward(NamedTuple):
    """Output and saved statistics of group normalization.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    mean, rstd : ndarray, shape (N, num_groups)
        Statistics of every group of every sample.

    See Also
    --------
    group_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array


class InstanceNormForward(NamedTuple):
    """Output and saved statistics of instance normalization.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    mean, rstd : ndarray, shape (N, C)
        Statistics of every channel of every sample.

    See Also
    --------
    instance_norm_forward : What returns it.
    """

    y: Array
    mean: Array
    rstd: Array


class L2NormalizeForward(NamedTuple):
    """Data divided by their Euclidean norms, and these.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    norm : ndarray
        ``sqrt(sum(x**2))``, the axes of the sum kept with length 1.

    See Also
    --------
    l2_normalize_forward : What returns it.
    """

    y: Array
    norm: Array


class WeightNormForward(NamedTuple):
    """Weight-normalized weights and the norms that they were divided by.

    Attributes
    ----------
    w : ndarray
        ``g * v / norm``, in the shape of ``v``.
    norm : ndarray
        Norms, with length 1 everywhere but along ``axis``.

    See Also
    --------
    weight_norm_forward : What returns it.
    """

    w: Array
    norm: Array


class WeightNormGradients(NamedTuple):
    """Gradients of weight normalization.

    Attributes
    ----------
    dv, dg : ndarray
        Gradients of the direction and of the length, each in its own shape.

    See Also
    --------
    weight_norm_backward : What returns it.
    """

    dv: Array
    dg: Array


class WeightNormInit(NamedTuple):
    """Lengths and biases to start weight normalization with.

    Attributes
    ----------
    g, bias : ndarray, shape (C,)
        One value for every channel of the output.

    See Also
    --------
    weight_norm_init : What returns it.
    """

    g: Array
    bias: Array


class WeightStandardizationForward(NamedTuple):
    """Standardized weights and the statistics of the filters.

    Attributes
    ----------
    w : ndarray
        Standardized weights, in the shape of the input.
    mean, var : ndarray, shape (filters,)
        Mean and biased variance of every filter.

    See Also
    --------
    weight_standardization_forward : What returns it.
    """

    w: Array
    mean: Array
    var: Array


class WeightStandardizationGradients(NamedTuple):
    """Gradients of weight standardization.

    Attributes
    ----------
    dw : ndarray
        Gradient of the weights before standardization.
    dgain : ndarray, shape (filters,)
        Gradient of the gain (of the implicit ones if there was none).

    See Also
    --------
    weight_standardization_backward : What returns it.
    """

    dw: Array
    dgain: Array


class BatchWhiteningSaved(NamedTuple):
    """What the backward of batch whitening needs; d = C // groups.

    Attributes
    ----------
    mean : ndarray, shape (C,)
        Mean of every channel.
    matrix : ndarray, shape (groups, d, d)
        Whitening matrices W.
    covariance : ndarray, shape (groups, d, d)
        Covariances that were whitened, ``eps`` on the diagonal included.
    eigenvalues : ndarray, shape (groups, d), or None
        Eigenvalues of the covariances, ascending (method ``"zca"``).
    eigenvectors : ndarray, shape (groups, d, d), or None
        Their eigenvectors, in columns (method ``"zca"``).
    axis, groups, method, iterations
        Arguments of the forward call.

    See Also
    --------
    batch_whitening_forward : What returns it.
    """

    mean: Array
    matrix: Array
    covariance: Array
    eigenvalues: Array | None
    eigenvectors: Array | None
    axis: int
    groups: int
    method: str
    iterations: int


class BatchWhiteningForward(NamedTuple):
    """Output of batch whitening and what its backward needs.

    Attributes
    ----------
    y : ndarray
        Output, in the shape of the input.
    saved : BatchWhiteningSaved
        To be handed to ``batch_whitening_backward``.

    See Also
    --------
    batch_whitening_forward : What returns it.
    """

    y: Array
    saved: BatchWhiteningSaved


class AddNorm(NamedTuple):
    """Residual sum and its normalization.

    Attributes
    ----------
    y : ndarray
        Normalized sum.
    h : ndarray
        ``x + residual``, rounded to the data's dtype.

    See Also
    --------
    add_layer_norm : What returns it.
    """

    y: Array
    h: Array


class AddNormForward(NamedTuple):
    """Residual sum, its layer normalization and the saved statistics.

    Attributes
    ----------
    y, h : ndarray
        Normalized sum, and ``x + residual`` rounded to the data's dtype.
    mean, rstd : ndarray
        Statistics of every group of ``h``, the normalized axes kept with length 1.

    See Also
    --------
    add_layer_norm_forward : What returns it.
    """

    y: Array
    h: Array
    mean: Array
    rstd: Array


class AddRMSNormForward(NamedTuple):
    """Residual sum, its root mean square normalization and the saved statistic.

    Attributes
    ----------
    y, h : ndarray
        Normalized sum, and ``x + residual`` rounded to the data's dtype.
    rstd : ndarray
        Statistic of every group of ``h``, the normalized axes kept with length 1.

    See Also
    --------
    add_rms_norm_forward : What returns it.
    """

    y: Array
    h: Array
    rstd: Array


class Quantized(NamedTuple):
    """Rows of bytes, and what they stand for: ``scale * (y - zero_point)``.

    Attributes
    ----------
    y : ndarray
        The bytes, in the shape of the input.
    scale : ndarray
        Steps between neighbouring bytes of every row, in float32, the normalized axes kept with length 1.
    zero_point : ndarray
        The byte that stands for 0, in int32.

    See Also
    --------
    QuantizeRows : What asks for it.
    """

    y: Array
    scale: Array
    zero_point: Array


class FoldedBatchNorm(NamedTuple):
    """Parameters of the one linear operation that a linear one and a batch normalization amount to.

    Attributes
    ----------
    weight : ndarray
        Weight, in the shape of the linear operation's weight.
    bias : ndarray, shape (C,)
        Bias.

    See Also
    --------
    fold_batch_norm : What returns it.
    """

    weight: Array
    bias: Array


class Moments(NamedTuple):
    """Mergeable moments of data, in float64.

    Attributes
    ----------
    count : ndarray
        Number of elements.
    mean : ndarray
        Mean; 0 where count is 0.
    m2 : ndarray
        Sum of squared deviations from the mean.

    See Also
    --------
    moments : What returns it.
    """

    count: Array  # type: ignore[assignment]  # it hides tuple.count
    mean: Array
    m2: Array


class BatchNormSums(NamedTuple):
    """Sums over the batch that the input gradient of batch normalization needs.

    Attributes
    ----------
    sum_dy, sum_dy_xhat : ndarray, shape (C,)
        Sums of ``dy`` and of ``dy * (x - mean) * rstd``: also the gradients of bias and weight.

    See Also
    --------
    batch_norm_backward_reduce : What returns it.
    """

    sum_dy: Array
    sum_dy_xhat: Array

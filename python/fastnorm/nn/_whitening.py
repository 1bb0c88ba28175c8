"""Batch whitening with its running statistics."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._batch_whiteners import METHODS, BatchMethod, root
from .._dtypes import FLOAT64
from .._features import channels, transpose
from .._types import Array, Gradients, GradMask
from ..batch_whitening import batch_whitening, batch_whitening_backward, batch_whitening_forward
from ..statistics import batch_norm_backward_reduce
from . import _check
from ._tracking import Tracking


class BatchWhitening(Tracking):
    """Batch whitening: batch normalization that also decorrelates the channels of a group.

    In training it whitens with the covariance of the batch (:func:`fastnorm.batch_whitening_forward`) and updates the
    running statistics; in evaluation it whitens with these (:func:`fastnorm.batch_whitening`).

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float, optional
        Added to the diagonal of the covariance.
    momentum : float or None, optional
        Share of a batch in the running statistics; None is the average of all batches.
    affine : bool, optional
        Whether there are a weight and a bias.
    track_running_stats : bool, optional
        Whether there are running statistics; without them evaluation uses the batch's as well.
    bias : bool, optional
        Whether `affine` means a bias, too.
    groups : int, optional
        A divisor of C: channels are decorrelated from the other ones of their group.
    method : {'zca', 'cholesky', 'iternorm'}, optional
        Which whitening matrix.
    iterations : int, optional
        Steps of method 'iternorm'.
    axis : int, optional
        The channel axis.
    dtype : dtype_like, optional
        Of parameters and running statistics: that of the data or a wider one.

    Attributes
    ----------
    weight, bias : ndarray, shape (C,), or None
        Scale and shift.
    running_mean : ndarray, shape (C,), or None
        Running mean.
    running_cov : ndarray, shape (groups, C // groups, C // groups), or None
        Running covariance, with that of a batch divided by its number of values less one.
    num_batches_tracked : ndarray, shape (), or None
        Number of batches in them.

    See Also
    --------
    fastnorm.batch_whitening_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> x = np.random.default_rng(0).normal(size=(100, 2)) @ np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> np.cov(nn.BatchWhitening(2, eps=0.0, dtype=float)(x).T, ddof=0).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    _buffers = ("running_mean", "running_cov", "num_batches_tracked")
    _shown = ("num_features", "eps", "momentum", "affine", "track_running_stats", "groups", "method", "axis")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        groups: int = 1,
        method: BatchMethod = "zca",
        iterations: int = 5,
        axis: int = 1,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, axis=axis, dtype=dtype)
        self.groups = _check.divisor(groups, self.num_features, "groups")
        check.choice("method", method, METHODS)
        self.method, self.iterations = method, check.iterations(iterations)
        width = self.num_features // self.groups
        identities = np.broadcast_to(np.eye(width, dtype=self.dtype), (self.groups, width, width))
        self.running_cov: Array | None = identities.copy() if track_running_stats else None

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Whiten `x`, which training keeps for the backward without a copy."""
        x = self._data(x)
        form: dict[str, Any] = {"method": self.method, "iterations": self.iterations, "eps": self.eps}
        place: dict[str, Any] = {"axis": self.axis, "groups": self.groups}
        if self._from_batch:
            y, saved = batch_whitening_forward(x, self.weight, self.bias, **place, **form, **self._buffers_to_update())
            self._count(x)
            self._remember(batch_whitening_backward, x, saved=saved)
            return y
        assert self.running_mean is not None
        assert self.running_cov is not None
        y = batch_whitening(x, self.running_mean, self.running_cov, self.weight, self.bias, **place, **form)
        # Copies: training may go on before the backward.
        constants = {"mean": self.running_mean.astype(FLOAT64), "cov": self.running_cov.astype(FLOAT64)}
        self._remember(_backward_of_evaluation, x, constant=True, **constants, **place, form=form)
        return y


def _backward_of_evaluation(
    dy: npt.ArrayLike,
    x: Array,
    weight: Array | None,
    mean: Array,
    cov: Array,
    axis: int,
    groups: int,
    form: dict[str, Any],
    grad_mask: GradMask,
) -> Gradients:
    """Gradients of whitening with constants: ``dx = W' (dy * weight)``, ``dweight = sum(dy * W (x - mean))``."""
    dy = check.like("dy", dy, x)
    dx, dweight, dbias = np.empty_like(x), np.zeros(mean.shape), np.zeros(mean.shape)
    if x.size:
        features = channels(x.shape, axis % x.ndim, groups)
        matrix = root((cov + transpose(cov)) / 2.0, **form).matrix
        if grad_mask[1]:
            dweight = np.einsum("gij,gij->gi", features.comoments(dy, None, x, mean), matrix).ravel()
        if grad_mask[2]:
            dbias = batch_norm_backward_reduce(dy, x, mean, np.ones_like(mean), axis=axis).sum_dy
        scale = np.ones_like(mean) if weight is None else weight.astype(FLOAT64)
        features.transform(dy, dx, transpose(matrix * scale.reshape(*matrix.shape[:2], 1)), None)
    dtype = x.dtype if weight is None else weight.dtype
    with np.errstate(all="ignore"):
        rounded = [gradient.astype(dtype) for gradient in (dweight, dbias)]
    return Gradients(
        dx, *(gradient if wanted else None for gradient, wanted in zip(rounded, grad_mask[1:], strict=True))
    )

"""Batch normalization with its running statistics."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._dtypes import FLOAT64
from .._running import scale
from .._types import Array
from ..batch import batch_norm, batch_norm_backward, batch_norm_forward
from ._tracking import Tracking


class RunningVariance(Tracking):
    """Base of the layers that evaluate as batch normalization does.

    Attributes
    ----------
    running_var : ndarray or None
        Running variance, with the variance of a batch divided by its number of values less one.
    """

    _buffers = ("running_mean", "running_var", "num_batches_tracked")
    _shown = ("num_features", "eps", "momentum", "affine", "track_running_stats", "axis")

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.running_var: Array | None = np.ones(self.num_features, self.dtype) if self.track_running_stats else None

    def _evaluate(self, x: Array) -> Array:
        assert self.running_mean is not None
        assert self.running_var is not None
        y = batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, axis=self.axis, eps=self.eps)
        # Copies: training may go on before the backward.
        mean, rstd = self.running_mean.astype(FLOAT64), scale(self.running_var, self.eps)
        constants = {"mean": mean, "rstd": rstd, "training": False}
        self._remember(batch_norm_backward, x, constant=True, axis=self.axis, **constants)
        return y


class BatchNorm(RunningVariance):
    """Batch normalization, as :class:`torch.nn.BatchNorm1d` and its siblings do it, for any number of axes.

    In training it normalizes with the statistics of the batch (:func:`fastnorm.batch_norm_forward`) and updates the
    running ones; in evaluation it normalizes with these (:func:`fastnorm.batch_norm`).

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float, optional
        Added to the variance.
    momentum : float or None, optional
        Share of a batch in the running statistics; None is the average of all batches.
    affine : bool, optional
        Whether there are a weight and a bias.
    track_running_stats : bool, optional
        Whether there are running statistics; without them evaluation uses the batch's as well.
    bias : bool, optional
        Whether `affine` means a bias, too.
    axis : int, optional
        The channel axis.
    dtype : dtype_like, optional
        Of parameters and running statistics: that of the data or a wider one.

    Attributes
    ----------
    weight, bias : ndarray, shape (C,), or None
        Scale and shift.
    running_mean, running_var : ndarray, shape (C,), or None
        Running statistics.
    num_batches_tracked : ndarray, shape (), or None
        Number of batches in them.

    See Also
    --------
    fastnorm.batch_norm_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.BatchNorm(2, eps=0.0)
    >>> layer(np.array([[1.0, 40.0], [3.0, 60.0]], np.float32))
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean, layer.running_var
    (array([0.2, 5. ], dtype=float32), array([ 1.1, 20.9], dtype=float32))
    >>> dx = layer.backward(np.ones((2, 2), np.float32))
    >>> for name, parameter in layer.parameters().items():
    ...     parameter -= 0.1 * layer.gradients()[name]
    >>> layer.bias
    array([-0.2, -0.2], dtype=float32)
    >>> sorted(layer.eval().state_dict())
    ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        axis: int = 1,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, axis=axis, dtype=dtype)

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Normalize `x`, which training keeps for the backward without a copy."""
        x = self._data(x)
        if not self._from_batch:
            return self._evaluate(x)
        arguments = {"axis": self.axis, "eps": self.eps, **self._buffers_to_update()}
        y, mean, rstd = batch_norm_forward(x, self.weight, self.bias, **arguments)
        self._count(x)
        self._remember(batch_norm_backward, x, mean=mean, rstd=rstd, axis=self.axis)
        return y

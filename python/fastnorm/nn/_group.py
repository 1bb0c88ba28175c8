"""Group and instance normalization."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._types import Array
from ..group import group_norm_backward, group_norm_forward, instance_norm_backward, instance_norm_forward
from . import _check
from ._batch import RunningVariance
from ._layer import Norm


class GroupNorm(Norm):
    """Group normalization, as :class:`torch.nn.GroupNorm` does it (:func:`fastnorm.group_norm`).

    Parameters
    ----------
    num_groups : int
        A divisor of the number of channels.
    num_channels : int
        Number of channels C.
    eps : float, optional
        Added to the variance.
    affine : bool, optional
        Whether there are a weight and a bias.
    bias : bool, optional
        Whether `affine` means a bias, too.
    axis : int, optional
        The channel axis; not 0.
    dtype : dtype_like, optional
        Of the parameters: that of the data or a wider one.

    Attributes
    ----------
    weight, bias : ndarray, shape (C,), or None
        Scale and shift.

    See Also
    --------
    fastnorm.group_norm_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> nn.GroupNorm(2, 4, eps=0.0)(np.array([[1.0, 3.0, 40.0, 60.0]], np.float32))
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    _shown = ("num_groups", "num_channels", "eps", "affine", "axis")

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        axis: int = 1,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.num_channels = _check.size("num_channels", num_channels)
        self.num_groups = _check.divisor(num_groups, self.num_channels, "num_groups")
        self.eps = check.eps(eps)
        self.affine = check.boolean("affine", affine)
        self.axis = axis
        super().__init__((self.num_channels,), dtype, weight=affine, bias=affine and check.boolean("bias", bias))

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Normalize `x`, which training keeps for the backward without a copy."""
        x = self._data(x)
        _check.features(x, self.axis, self.num_channels)
        common: dict[str, Any] = {"num_groups": self.num_groups, "axis": self.axis}
        y, mean, rstd = group_norm_forward(x, weight=self.weight, bias=self.bias, eps=self.eps, **common)
        self._remember(group_norm_backward, x, mean=mean, rstd=rstd, **common)
        return y


class InstanceNorm(RunningVariance):
    """Instance normalization, as :class:`torch.nn.InstanceNorm1d` and its siblings do it, for any number of axes.

    It normalizes with the statistics of each sample (:func:`fastnorm.instance_norm_forward`), except in evaluation
    with running statistics: then with these (:func:`fastnorm.batch_norm`).

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
        Whether there are running statistics.
    bias : bool, optional
        Whether `affine` means a bias, too.
    axis : int, optional
        The channel axis; not 0.
    dtype : dtype_like, optional
        Of parameters and running statistics: that of the data or a wider one.

    Attributes
    ----------
    weight, bias : ndarray, shape (C,), or None
        Scale and shift.
    running_mean, running_var : ndarray, shape (C,), or None
        Running statistics.
    num_batches_tracked : ndarray, shape (), or None
        Number of batches in them. PyTorch has this number as well, but leaves it at 0.

    See Also
    --------
    fastnorm.instance_norm_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> nn.InstanceNorm(2, eps=0.0)(np.array([[[1.0, 3.0], [40.0, 60.0]]], np.float32))
    array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
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
        y, mean, rstd = instance_norm_forward(x, self.weight, self.bias, **arguments)
        self._count(x)
        self._remember(instance_norm_backward, x, mean=mean, rstd=rstd, axis=self.axis)
        return y

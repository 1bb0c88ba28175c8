"""What layers with running statistics share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._types import Array
from . import _check
from ._layer import Norm


class Tracking(Norm):
    """Base of the layers that train with the statistics of the batch and evaluate with running ones.

    Attributes
    ----------
    running_mean, num_batches_tracked : ndarray or None
        Running mean, and the number of batches in it: a 0-d array.
    """

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        *,
        bias: bool,
        axis: int,
        dtype: npt.DTypeLike,
    ) -> None:
        self.num_features = _check.size("num_features", num_features)
        self.eps = check.eps(eps)
        self.momentum = _check.momentum(momentum)
        self.affine = check.boolean("affine", affine)
        self.track_running_stats = check.boolean("track_running_stats", track_running_stats)
        self.axis = axis
        super().__init__((self.num_features,), dtype, weight=affine, bias=affine and check.boolean("bias", bias))
        self.running_mean: Array | None = None
        self.num_batches_tracked: Array | None = None
        if track_running_stats:
            self.running_mean = np.zeros(num_features, self.dtype)
            self.num_batches_tracked = np.zeros((), np.int64)

    def _data(self, x: npt.ArrayLike) -> Array:
        x = super()._data(x)
        _check.features(x, self.axis, self.num_features)
        return x

    @property
    def _from_batch(self) -> bool:
        """Whether a call normalizes with the statistics of its data."""
        return self.training or not self.track_running_stats

    def _buffers_to_update(self) -> dict[str, Any]:
        """Arguments of the forward function: the buffers, where they are updated, and the share of the new batch."""
        if not (self.training and self.track_running_stats):
            return {}
        assert self.num_batches_tracked is not None
        momentum = 1.0 / (int(self.num_batches_tracked) + 1) if self.momentum is None else self.momentum
        buffers = {name: getattr(self, name) for name in self._buffers if name.startswith("running")}
        return {**buffers, "momentum": momentum}

    def _count(self, x: Array) -> None:
        """Count a batch, once it is in the running statistics; one without values is not."""
        if self.training and self.num_batches_tracked is not None and x.size:
            self.num_batches_tracked += 1

"""PyTorch's modules with another `forward`. What fastnorm does not take goes to PyTorch's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import fastnorm as fn

from . import _tensors
from ._autograd import normalize, output
from ._gains import gains


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize over the last axes."""
        n = len(self.normalized_shape)
        if tuple(input.shape[-n:]) != self.normalized_shape or not _tensors.suits(input, self.weight, self.bias):
            return super().forward(input)
        return output("layer_norm", input, self.weight, self.bias, n, self.eps)


class RMSNorm(nn.RMSNorm):
    """`torch.nn.RMSNorm`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over the last axes."""
        n = len(self.normalized_shape)
        suits = tuple(x.shape[-n:]) == self.normalized_shape and _tensors.suits(x, self.weight)
        if not suits or (self.eps is None and x.dtype.itemsize == 2):  # which epsilon that is, PyTorch knows
            return super().forward(x)
        eps = torch.finfo(x.dtype).eps if self.eps is None else self.eps
        return output("rms_norm", x, self.weight, None, n, eps)


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize groups of channels."""
        if input.dim() < 2 or input.shape[1] != self.num_channels or not _tensors.suits(input, self.weight, self.bias):
            return super().forward(input)
        return output("group_norm", input, self.weight, self.bias, self.num_groups, self.eps)


class _Running:
    """What batch and instance norm do with running statistics."""

    # Of modules that were swapped since their kind gains: then calls that do not gain stay with PyTorch.
    _only_gains = False

    def _track(self: Any, mean: Tensor, rstd: Tensor, count: int) -> None:
        """Update the running statistics by those of channels with `count` values, averaged over samples."""
        momentum = self.momentum
        if self.num_batches_tracked is not None and isinstance(self, nn.modules.batchnorm._BatchNorm):
            self.num_batches_tracked.add_(1)
            momentum = 1.0 / float(self.num_batches_tracked) if momentum is None else momentum
        momentum = 0.0 if momentum is None else momentum
        var = (rstd**-2 - self.eps) * (count / (count - 1))
        for running, batch in ((self.running_mean, mean), (self.running_var, var)):
            batch = batch.mean(0) if batch.dim() == 2 else batch
            running.copy_(running.double() * (1 - momentum) + batch * momentum)

    def _constant(self: Any, input: Tensor) -> Tensor | None:
        """Normalize with the running statistics, where nothing is differentiated."""
        tensors = input, self.running_mean, self.running_var, self.weight, self.bias
        wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        if wanted or torch.compiler.is_compiling() or not _tensors.suits(*tensors):
            return None
        return _tensors.tensor(fn.batch_norm(*map(_tensors.array, tensors), eps=self.eps))


class _BatchNorm(_Running):
    def forward(self: Any, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        fits = input.shape[1] == self.num_features
        evaluates = not self.training and self.running_mean is not None
        if self._only_gains and not gains("batch_norm", input, training=not evaluates):
            return super().forward(input)  # type: ignore[misc]
        if evaluates:
            y = self._constant(input) if fits else None
            return super().forward(input) if y is None else y  # type: ignore[misc]
        count = input.numel() // max(1, input.shape[1])
        if not fits or count == 1 or not _tensors.suits(input, self.weight, self.bias, self.running_mean):
            return super().forward(input)  # type: ignore[misc]
        y, mean, rstd = normalize("batch_norm", input, self.weight, self.bias, 0, self.eps)
        if self.training and self.track_running_stats and self.running_mean is not None:
            with torch.no_grad():
                self._track(mean, rstd, count)
        return y


class _InstanceNorm(_Running):
    def _apply_instance_norm(self: Any, input: Tensor) -> Tensor:
        evaluates = not self.training and self.track_running_stats
        operation = "batch_norm" if evaluates else "instance_norm"
        if self._only_gains and not gains(operation, input, training=self.training):
            return super()._apply_instance_norm(input)  # type: ignore[misc]
        if evaluates:
            y = self._constant(input)
            return super()._apply_instance_norm(input) if y is None else y  # type: ignore[misc]
        count = input[0, 0].numel() if input.numel() else 0
        if count < 2 or not _tensors.suits(input, self.weight, self.bias):
            return super()._apply_instance_norm(input)  # type: ignore[misc]
        if self.running_mean is None or not self.training:
            return output("instance_norm", input, self.weight, self.bias, 0, self.eps)
        y, mean, rstd = normalize("instance_norm", input, self.weight, self.bias, 0, self.eps)
        with torch.no_grad():
            self._track(mean, rstd, count)
        return y


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """


class BatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """


class InstanceNorm1d(_InstanceNorm, nn.InstanceNorm1d):
    """`torch.nn.InstanceNorm1d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """


class InstanceNorm2d(_InstanceNorm, nn.InstanceNorm2d):
    """`torch.nn.InstanceNorm2d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """


class InstanceNorm3d(_InstanceNorm, nn.InstanceNorm3d):
    """`torch.nn.InstanceNorm3d`, computed by fastnorm.

    See Also
    --------
    swap_norms : Make those of a model instances of this.
    """

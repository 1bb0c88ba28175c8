"""Batch normalization over the ranks of a process group, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn

from ..distributed import sync_batch_norm_backward, sync_batch_norm_forward
from . import _tensors
from ._modules import _Running

Allgather = Callable[[Any], list[Any]]


class SyncBatchNorm(_Running, nn.SyncBatchNorm):
    """`torch.nn.SyncBatchNorm` that takes tensors of the CPU, over gloo for example.

    The batch is that of all ranks of the process group together, which may have different numbers of samples. As in
    PyTorch the gradients of weight and bias are each rank's part; `DistributedDataParallel` adds them up.

    Without a process group it is batch normalization. On other devices it is PyTorch's.

    See Also
    --------
    swap_norms : The other norms of a model.
    fastnorm.distributed.sync_batch_norm_forward : The function.
    """

    @classmethod
    def convert_sync_batchnorm(cls, module: nn.Module, process_group: Any = None) -> nn.Module:
        """Replace the batch normalizations of a model, as `torch.nn.SyncBatchNorm.convert_sync_batchnorm` does."""
        model: nn.Module = super().convert_sync_batchnorm(module, process_group)
        for child in model.modules():
            if type(child) is nn.SyncBatchNorm:
                child.__class__ = cls
        return model

    def forward(self, input: Tensor) -> Tensor:
        """Normalize with the statistics of all ranks, or in evaluation mode with the running ones."""
        if not self.training and self.running_mean is not None:
            y = self._constant(input)
            if y is not None:
                return y
        if input.device.type != "cpu":
            return super().forward(input)
        self._check_input_dim(input)
        self._check_non_zero_input_channels(input)
        if not self.training and self.running_mean is not None:
            arguments = self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            return torch.nn.functional.batch_norm(input, *arguments)
        y, mean, rstd, count = _SyncNorm.apply(input, self.weight, self.bias, self.eps, self._allgather())
        if self.training and self.track_running_stats and self.running_mean is not None:
            with torch.no_grad():
                self._track(mean, rstd, int(count[0]))
        return y

    def _allgather(self) -> Allgather | None:
        if not self.training or not distributed.is_available() or not distributed.is_initialized():
            return None
        group = self.process_group

        def allgather(value: Any) -> list[Any]:
            values: list[Any] = [None] * distributed.get_world_size(group)
            distributed.all_gather_object(values, value, group=group)
            return values

        return allgather


class _SyncNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, allgather: Allgather | None
    ) -> tuple[Tensor, ...]:
        arrays = map(_tensors.array, (x, weight, bias))
        y, *statistics = map(_tensors.tensor, sync_batch_norm_forward(*arrays, eps=eps, allgather=allgather))
        ctx.save_for_backward(x, weight, *statistics)
        ctx.allgather = allgather
        ctx.mark_non_differentiable(*statistics)
        return y, *statistics

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        arrays = map(_tensors.array, (dy, *ctx.saved_tensors))
        mask = tuple(ctx.needs_input_grad[:3])
        if ctx.allgather is not None:
            mask = (True, *mask[1:])  # all ranks take part, whatever is asked of this one
        gradients = sync_batch_norm_backward(*arrays, allgather=ctx.allgather, grad_mask=mask)
        return *(None if a is None else _tensors.tensor(a) for a in gradients), None, None

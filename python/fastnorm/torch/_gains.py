"""Which calls take less time than PyTorch's own, by what bench/peers_torch.py and larger sweeps of shapes measured."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

# The least elements: a call costs some ten microseconds more than PyTorch's own, in training a hundred.
_EVALUATION: Final = {"batch_norm": 1 << 18, "instance_norm": 1 << 13}
_TRAINING: Final = {"batch_norm": 1 << 17, "instance_norm": 1 << 16}


def gains(operation: str, x: Tensor, *, training: bool) -> bool:
    """Whether batch or instance norm gains. In training PyTorch's batch norm is as fast for channels that lie last."""
    if torch.compiler.is_compiling():  # which fuses PyTorch's own with what stands around it
        return operation == "instance_norm"
    if x.numel() < (_TRAINING if training else _EVALUATION)[operation]:
        return False
    return operation == "instance_norm" or not training or (x.dim() > 2 and x.stride(1) != 1)

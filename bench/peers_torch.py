"""Modules of PyTorch as they are and after `fastnorm.torch.swap_norms`: what it swaps by default, and the others.

A training step is forward and backward as inside of a network: gradients are made, and not added to older ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

import fastnorm as fn
from fastnorm.torch import swap_norms
from with_without import compare, heading

LAST_2D, LAST_3D = torch.channels_last, torch.channels_last_3d
MODULES: tuple[tuple[nn.Module, tuple[int, ...], torch.memory_format], ...] = (
    (nn.InstanceNorm3d(32, affine=True), (1, 32, 32, 64, 64), torch.contiguous_format),
    (nn.InstanceNorm3d(32, affine=True), (1, 32, 32, 64, 64), LAST_3D),
    (nn.InstanceNorm2d(64), (8, 64, 56, 56), torch.contiguous_format),
    (nn.BatchNorm2d(64), (8, 64, 56, 56), torch.contiguous_format),
    (nn.BatchNorm2d(64), (8, 64, 56, 56), LAST_2D),
    (nn.BatchNorm2d(16), (8, 16, 8, 8), torch.contiguous_format),
    (nn.BatchNorm1d(256), (64, 256), torch.contiguous_format),
    (nn.GroupNorm(32, 320), (2, 320, 32, 32), torch.contiguous_format),
    (nn.GroupNorm(32, 320), (2, 320, 32, 32), LAST_2D),
    (nn.LayerNorm(768), (512, 768), torch.contiguous_format),
    (nn.LayerNorm(8), (1, 8), torch.contiguous_format),
    (nn.RMSNorm(768), (512, 768), torch.contiguous_format),
    (nn.RMSNorm(8), (1, 8), torch.contiguous_format),
)


def main() -> None:
    torch.set_num_threads(fn.get_num_threads())
    heading("PyTorch", torch.__version__)
    for module, shape, order in MODULES:
        last = "" if order == torch.contiguous_format else ", channels last"
        name = f"{type(module).__name__} {'x'.join(map(str, shape))}{last}"
        x = torch.randn(shape).contiguous(memory_format=order)
        both(f"{name}, evaluation", module.eval(), x, infer)
        both(f"{name}, training step", module.train(), x, train)


def both(name: str, module: nn.Module, x: torch.Tensor, call: Callable[[nn.Module, torch.Tensor], None]) -> None:
    ours = swap_norms(copy.deepcopy(module))
    if type(ours) is type(module):
        swap_norms(ours, kinds=[type(module)])
    compare(name, lambda: call(module, x), lambda: call(ours, x))


def infer(module: nn.Module, x: torch.Tensor) -> None:
    with torch.inference_mode():
        module(x)


def train(module: nn.Module, x: torch.Tensor) -> None:
    leaf = x.requires_grad_()
    y = module(leaf)
    torch.autograd.grad(y, [leaf, *module.parameters()], y.detach())


if __name__ == "__main__":
    main()

"""Forward and backward of the normalizations over tensors, by the name of the operation.

`n` is the number of normalized axes, which are the last ones, of layer and RMS norm; the number of groups of group
norm; and 0 else. RMS norm has an empty tensor for its mean.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import fastnorm as fn

from ._tensors import array, tensor

OPERATIONS = ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")


def inference(operation: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float) -> Tensor:
    """Return the output only; not for batch norm."""
    call = getattr(fn, operation)
    return tensor(call(array(x), weight=array(weight), bias=array(bias), eps=eps, **_options(operation, n)))


def forward(
    operation: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output and the statistics."""
    call = getattr(fn, f"{operation}_forward")
    result = call(array(x), weight=array(weight), bias=array(bias), eps=eps, **_options(operation, n))
    y, *statistics = map(tensor, result)
    mean = statistics[0] if len(statistics) == 2 else torch.empty(0, dtype=torch.float64)
    return y, mean, statistics[-1]


def backward(
    operation: str,
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    n: int,
    mask: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients that the mask asks for."""
    call = getattr(fn, f"{operation}_backward")
    statistics = {"rstd": array(rstd)} if operation == "rms_norm" else {"mean": array(mean), "rstd": array(rstd)}
    arrays = {"dy": array(dy), "x": array(x), "weight": array(weight), **statistics}
    gradients = call(**arrays, grad_mask=mask, **_options(operation, n))
    dx, dweight, dbias = (None if a is None else tensor(a) for a in gradients)
    return dx, dweight, dbias


def native(operation: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float) -> Tensor:
    """Return what PyTorch computes."""
    if operation == "layer_norm":
        return F.layer_norm(x, x.shape[-n:], weight, bias, eps)
    if operation == "rms_norm":
        return F.rms_norm(x, x.shape[-n:], weight, eps)
    if operation == "group_norm":
        return F.group_norm(x, n, weight, bias, eps)
    if operation == "instance_norm":
        return F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)
    return F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)


def statistics_shape(operation: str, x: Tensor, n: int) -> tuple[Any, ...]:
    """Return the shape of `rstd`."""
    if operation in ("layer_norm", "rms_norm"):
        return (*x.shape[: x.dim() - n], *[1] * n)
    if operation == "batch_norm":
        return (x.shape[1],)
    return (x.shape[0], n if operation == "group_norm" else x.shape[1])


def _options(operation: str, n: int) -> dict[str, Any]:
    if operation in ("layer_norm", "rms_norm"):
        return {"axis": -1 if n == 1 else tuple(range(-n, 0))}
    return {"num_groups": n} if operation == "group_norm" else {}

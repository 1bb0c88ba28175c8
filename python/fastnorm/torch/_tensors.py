"""Tensors as arrays and back, without copies; and which tensors fastnorm takes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from .._dtypes import DATA
from .._types import Array

try:
    from ml_dtypes import bfloat16
except ModuleNotFoundError:  # then bfloat16 stays with PyTorch
    bfloat16 = None

# What parameters may have, by the dtype of the data.
_PARAMETERS: Final[dict[torch.dtype, tuple[torch.dtype, ...]]] = {
    torch.float64: (torch.float64,),
    torch.float32: (torch.float32, torch.float64),
    torch.float16: (torch.float16, torch.float32, torch.float64),
}
if bfloat16 is not None:
    _PARAMETERS[torch.bfloat16] = (torch.bfloat16, torch.float32, torch.float64)
    assert np.dtype(bfloat16) in DATA


def suits(x: Tensor, *parameters: Tensor | None) -> bool:
    """Whether fastnorm can do it: real numbers on the CPU, and nobody who traces, transforms or casts."""
    allowed = _PARAMETERS.get(x.dtype)
    if allowed is None or x.device.type != "cpu" or x.layout != torch.strided or not x.numel():
        return False
    if not all(p is None or (p.dtype in allowed and p.device.type == "cpu") for p in parameters):
        return False
    if torch.is_autocast_enabled("cpu"):
        return False
    return torch.compiler.is_compiling() or _is_plain(x)


def _is_plain(x: Tensor) -> bool:
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and not x.is_nested
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
        and not torch._C._len_torch_dispatch_stack()
        and not torch.jit.is_tracing()
    )


def array(t: Tensor | None) -> Any:
    """The memory of a tensor as an array."""
    if t is None:
        return None
    t = t.detach()
    return t.view(torch.int16).numpy().view(bfloat16) if t.dtype == torch.bfloat16 else t.numpy()


def tensor(a: Array) -> Tensor:
    """The memory of an array as a tensor."""
    if a.dtype.kind == "V" or a.dtype.name == "bfloat16":
        return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)

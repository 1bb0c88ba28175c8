"""Stubs of the extension.

Operations take their arguments by position, in the order of :mod:`fastnorm`'s functions; what is no plain array, float,
integer, string or tuple goes through :mod:`fastnorm._arguments`. Texts of errors come from the operations in C++.

`role_moments`, `comoments` and `transform` are the lower entry for whitening: data arrays of one dtype that are viewed
in the logical order of the operation, `roles` with one byte per axis of the data, and small C-contiguous side arrays in
float64. A role is the sum of ``REDUCED`` (the statistics run over the axis) and ``PARAM`` (the features, for comoments
and transform). Statistics have one value per index of the axes that are not REDUCED, in the axes' logical order.
Centres and shifts have one value per group and feature, matrices are (groups, rows, columns).
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_Data = npt.NDArray[Any]
_F64 = npt.NDArray[np.float64]
_One = _Data
_Two = tuple[_Data, _Data]
_Three = tuple[_Data, _Data, _Data]
_Four = tuple[_Data, _Data, _Data, _Data]
# Gradients that nobody wants are None.
_Gradients = tuple[Any, Any, Any]

REDUCED: Final[int]
PARAM: Final[int]

# The numbers of the activations by their names; 0 is none. The names of the forms of weight standardization.
ACTIVATIONS: Final[dict[str, int]]
STANDARDIZATIONS: Final[tuple[str, ...]]

# What `fastnorm.threads` has set in a context; 0 is nothing.
num_threads_override: Final[ContextVar[int]]

# Handlers of XLA's foreign function interface, by the names of the operations.
def xla_handlers() -> dict[str, Any]: ...

# Whether a library of custom operators that this thread registers overrides ONNX Runtime's own; what was set before.
def set_onnxruntime_override(override: bool) -> bool: ...
def number_expectation(name: str) -> str: ...
def layer_norm(
    x: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _One: ...
def layer_norm_forward(
    x: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Three: ...
def layer_norm_backward(
    dy: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def l2_normalize(x: Any, axis: Any, eps: Any, out: Any, /) -> _One: ...
def l2_normalize_forward(x: Any, axis: Any, eps: Any, out: Any, /) -> _Two: ...
def l2_normalize_backward(dy: Any, x: Any, norm: Any, axis: Any, eps: Any, /) -> _One: ...
def add_layer_norm(
    x: Any,
    residual: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Two: ...
def add_layer_norm_forward(
    x: Any,
    residual: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Four: ...
def add_layer_norm_backward(
    dy: Any,
    dh: Any,
    h: Any,
    mean: Any,
    rstd: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def rms_norm(
    x: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _One: ...
def rms_norm_forward(
    x: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Two: ...
def rms_norm_backward(
    dy: Any,
    x: Any,
    rstd: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def add_rms_norm(
    x: Any,
    residual: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Two: ...
def add_rms_norm_forward(
    x: Any,
    residual: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Three: ...
def add_rms_norm_backward(
    dy: Any,
    dh: Any,
    h: Any,
    rstd: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    mean_only: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _One: ...
def batch_norm_forward(
    x: Any,
    running_mean: Any,
    running_var: Any,
    momentum: Any,
    ddof: Any,
    mean_only: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Three: ...
def batch_norm_backward(
    dy: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    training: Any,
    mean_only: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def instance_norm_forward(
    x: Any,
    running_mean: Any,
    running_var: Any,
    momentum: Any,
    ddof: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Three: ...
def instance_norm_backward(
    dy: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    training: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def instance_norm(
    x: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _One: ...
def group_norm(
    x: Any,
    num_groups: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _One: ...
def group_norm_forward(
    x: Any,
    num_groups: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    eps: Any,
    offset: Any,
    activation: Any,
    quantize: Any,
    where: Any,
    out: Any,
    /,
) -> _Three: ...
def group_norm_backward(
    dy: Any,
    x: Any,
    num_groups: Any,
    mean: Any,
    rstd: Any,
    axis: Any,
    weight: Any,
    bias: Any,
    offset: Any,
    activation: Any,
    where: Any,
    grad_mask: Any,
    /,
) -> _Gradients: ...
def weight_norm(v: Any, g: Any, axis: Any, groups: Any, eps: Any, out: Any, /) -> _One: ...
def weight_norm_forward(v: Any, g: Any, axis: Any, groups: Any, eps: Any, out: Any, /) -> _Two: ...
def weight_norm_backward(dw: Any, v: Any, g: Any, norm: Any, axis: Any, groups: Any, /) -> _Two: ...
def weight_norm_init(t: Any, axis: Any, /) -> _Two: ...
def weight_standardization(
    w: Any, gain: Any, axis: Any, groups: Any, mode: Any, eps: Any, scale: Any, out: Any, /
) -> _One: ...
def weight_standardization_forward(
    w: Any, gain: Any, axis: Any, groups: Any, mode: Any, eps: Any, scale: Any, out: Any, /
) -> _Three: ...
def weight_standardization_backward(
    dw: Any, w: Any, gain: Any, mean: Any, var: Any, axis: Any, groups: Any, mode: Any, eps: Any, scale: Any, /
) -> _Two: ...
def moments(x: Any, axis: Any, where: Any, /) -> _Three: ...
def batch_norm_backward_reduce(dy: Any, x: Any, mean: Any, rstd: Any, axis: Any, /) -> _Two: ...
def batch_norm_backward_apply(
    dy: Any,
    x: Any,
    weight: Any,
    mean: Any,
    rstd: Any,
    sum_dy: Any,
    sum_dy_xhat: Any,
    count: Any,
    axis: Any,
    offset: Any,
    /,
) -> _One: ...
def role_moments(
    x: _Data, roles: bytes, mean: _F64, m2: _F64, where: _Data | None = None, count: _F64 | None = None
) -> None: ...
def triangular_factor(x: _Data, centre: _F64 | None, upper: _F64) -> None: ...
def orthogonal_rows(matrix: _F64, columns: int) -> None: ...
def comoments(
    a: _Data,
    b: _Data | None,
    roles: bytes,
    centre_a: _F64 | None,
    centre_b: _F64 | None,
    sums: _F64,
    totals: _F64 | None = None,
) -> None: ...
def transform(
    x: _Data,
    dy: _Data | None,
    y: _Data,
    roles: bytes,
    centre_x: _F64 | None,
    centre_dy: _F64 | None,
    matrix: _F64,
    shift: _F64 | None,
    wide: bool = False,
) -> None: ...
def empty_like(dtype: np.dtype[Any], inputs: Sequence[_Data]) -> _Data: ...
def pool_limit() -> int: ...
def pool_held() -> int: ...
def set_pool_limit(bytes: int) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def set_local_num_threads(n: int) -> int: ...
def default_num_threads() -> int: ...
def thread_limits() -> dict[str, int | None]: ...
def simd_targets() -> list[str]: ...
def simd_target() -> str: ...
def set_simd_target(name: str) -> None: ...
def caches() -> dict[str, int]: ...
def build_info() -> dict[str, str]: ...

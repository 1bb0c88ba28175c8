"""Stubs of the extension: the C++ core behind plain arguments, no checks.

Callers hand in what :mod:`fastnorm._layout` prepared: data arrays of one dtype that are viewed in the logical
order of the operation, `roles` with one byte per axis of the data, and small C-contiguous side arrays.

A role is the sum of ``REDUCED`` (the statistics run over the axis) and ``PARAM`` (weight and bias vary along it).
Parameters have one value per index of the PARAM axes, statistics one per index of the axes that are not REDUCED,
both in the axes' logical order. Parameters are in the compute dtype (float32 for data of up to 32 bits, else
float64), statistics and parameter gradients in float64. `None` for a parameter is the constant one (weight) or zero
(bias); `None` for an output means that nobody wants it.

For `comoments` and `transform` the one PARAM axis is the features, REDUCED axes are the samples and the others groups.
Centres and shifts have one value per group and feature, matrices are (groups, rows, columns), all C-contiguous float64.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_Data = npt.NDArray[Any]
_F64 = npt.NDArray[np.float64]

REDUCED: Final[int]
PARAM: Final[int]

# How the scale comes from a group's second moment: see cpp/include/fastnorm/fastnorm.h.
VARIANCE: Final[int]
MEAN_SQUARE: Final[int]
NORM: Final[int]
STD_UNBIASED: Final[int]
STD_BIASED: Final[int]
MAX: Final[int]

# From this size on `empty_like` is used, whose memory is kept for other results.
POOLED_BYTES: Final[int]

# The numbers of the activations by their names; 0 is none.
ACTIVATIONS: Final[dict[str, int]]

# Scale and zero point of quantized output, of one element or one per parameter, in the compute dtype.
_ScaleAndZero = tuple[_Data, _Data]

def moments(
    x: _Data, roles: bytes, mean: _F64, m2: _F64, where: _Data | None = None, count: _F64 | None = None
) -> None: ...
def forward(
    x: _Data,
    y: _Data,
    roles: bytes,
    weight: _Data | None,
    bias: _Data | None,
    statistic: int,
    eps: float,
    mean: _F64 | None = None,
    rstd: _F64 | None = None,
    m2: _F64 | None = None,
    activation: int = 0,
    quantize: _ScaleAndZero | None = None,
    where: _Data | None = None,
    count: _F64 | None = None,
) -> None: ...
def add_forward(
    a: _Data,
    b: _Data,
    h: _Data,
    y: _Data,
    roles: bytes,
    weight: _Data | None,
    bias: _Data | None,
    statistic: int,
    eps: float,
    mean: _F64 | None = None,
    rstd: _F64 | None = None,
    activation: int = 0,
    quantize: _ScaleAndZero | None = None,
) -> None: ...
def apply(
    x: _Data,
    y: _Data,
    roles: bytes,
    weight: _Data | None,
    bias: _Data | None,
    mean: _F64 | None,
    rstd: _F64,
    activation: int = 0,
    quantize: _ScaleAndZero | None = None,
) -> None: ...
def backward(
    dy: _Data,
    x: _Data,
    dx: _Data | None,
    roles: bytes,
    weight: _Data | None,
    statistic: int,
    training: bool,
    mean: _F64 | None,
    rstd: _F64,
    dweight: _F64 | None,
    dbias: _F64 | None,
    slope: _F64 | None = None,
    added: _Data | None = None,
    where: _Data | None = None,
    count: _F64 | None = None,
) -> None: ...
def activation_gradient(
    dy: _Data,
    x: _Data,
    dz: _Data,
    roles: bytes,
    weight: _Data | None,
    bias: _Data | None,
    mean: _F64 | None,
    rstd: _F64,
    activation: int,
) -> None: ...
def input_gradient(
    dy: _Data,
    x: _Data,
    dx: _Data,
    roles: bytes,
    weight: _Data | None,
    mean: _F64,
    rstd: _F64,
    mean_g: _F64,
    mean_gx: _F64,
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

# For plain arguments: exact arrays, C-contiguous, of fitting shapes and dtypes, of which none that is written overlaps
# another, and saved statistics in float64. For anything else they return None and have done nothing.
_Plain = _Data | None
_Two = tuple[_Data, _Data] | None
_Three = tuple[_Data, _Data, _Data] | None

def plain_layer_norm(x: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /) -> _Plain: ...
def plain_layer_norm_forward(x: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /) -> _Three: ...
def plain_layer_norm_backward(dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, /) -> _Three: ...
def plain_rms_norm(x: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /) -> _Plain: ...
def plain_rms_norm_forward(x: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /) -> _Two: ...
def plain_rms_norm_backward(dy: Any, x: Any, weight: Any, rstd: Any, /) -> _Three: ...
def plain_add_layer_norm(
    x: Any, residual: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /
) -> _Two: ...
def plain_add_rms_norm(
    x: Any, residual: Any, weight: Any, bias: Any, eps: Any, activation: Any, out: Any, /
) -> _Two: ...
def plain_group_norm(
    x: Any, num_groups: Any, weight: Any, bias: Any, axis: Any, eps: Any, activation: Any, out: Any, /
) -> _Plain: ...
def plain_group_norm_forward(
    x: Any, num_groups: Any, weight: Any, bias: Any, axis: Any, eps: Any, activation: Any, out: Any, /
) -> _Three: ...
def plain_group_norm_backward(
    dy: Any, x: Any, num_groups: Any, weight: Any, mean: Any, rstd: Any, axis: Any, /
) -> _Three: ...
def plain_instance_norm(
    x: Any, weight: Any, bias: Any, axis: Any, eps: Any, activation: Any, out: Any, /
) -> _Plain: ...
def plain_instance_norm_forward(
    x: Any, weight: Any, bias: Any, axis: Any, momentum: Any, ddof: Any, eps: Any, activation: Any, out: Any, /
) -> _Three: ...
def plain_instance_norm_backward(dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, axis: Any, /) -> _Three: ...
def plain_batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    axis: Any,
    eps: Any,
    activation: Any,
    out: Any,
    /,
) -> _Plain: ...
def plain_batch_norm_forward(
    x: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    axis: Any,
    momentum: Any,
    ddof: Any,
    eps: Any,
    activation: Any,
    out: Any,
    /,
) -> _Three: ...
def plain_batch_norm_backward(dy: Any, x: Any, weight: Any, mean: Any, rstd: Any, axis: Any, /) -> _Three: ...
def plain_weight_norm(v: Any, g: Any, axis: Any, eps: Any, out: Any, /) -> _Plain: ...
def plain_weight_norm_backward(dw: Any, v: Any, g: Any, norm: Any, axis: Any, /) -> _Two: ...
def plain_weight_standardization(w: Any, gain: Any, axis: Any, eps: Any, out: Any, /) -> _Plain: ...
def plain_weight_standardization_backward(
    dw: Any, w: Any, gain: Any, mean: Any, var: Any, axis: Any, eps: Any, /
) -> _Two: ...
def empty_like(x: _Data, dtype: np.dtype[Any]) -> _Data: ...
def pool_limit() -> int: ...
def pool_held() -> int: ...
def set_pool_limit(bytes: int) -> None: ...
def copy(from_: _Data, to: _Data) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def set_local_num_threads(n: int) -> int: ...
def default_num_threads() -> int: ...
def simd_targets() -> list[str]: ...
def simd_target() -> str: ...
def set_simd_target(name: str) -> None: ...
def build_info() -> dict[str, str]: ...

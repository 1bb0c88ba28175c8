"""Output in bytes: what an inference pipeline hands on to integer kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _validate as check
from ._types import Array


class Quantize:
    """How an operation rounds its output to bytes: ``q = clip(round(y / scale) + zero_point)``.

    Ties round to even, and values beyond the range of the dtype become its ends, as in ONNX's ``QuantizeLinear``. ``y``
    is the result that the operation has without this, rounded to the dtype of the data.

    Parameters
    ----------
    scale : array_like
        Steps between neighbouring bytes, > 0 and finite: one number, or one for each value of the weight.
    zero_point : array_like of int, optional
        The byte that stands for 0, of the same shape as `scale` or one number; 0 by default.
    dtype : dtype, optional
        ``int8`` or ``uint8``.

    Raises
    ------
    ValueError
        If a scale is not positive or a zero point not in the range of `dtype`.
    TypeError
        If an argument has another type or dtype.

    Notes
    -----
    NaN has no byte and becomes `zero_point`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 3.0, 5.0]], dtype=np.float32)
    >>> fn.layer_norm(x, quantize=fn.Quantize(scale=0.01))
    array([[-122,    0,  122]], dtype=int8)
    """

    __slots__ = ("_parts", "dtype", "scale", "zero_point")

    scale: Array
    zero_point: Array
    dtype: np.dtype[Any]
    _parts: tuple[Array, Array, bool]  # for the core: float64, and whether the bytes are signed

    def __init__(self, scale: npt.ArrayLike, zero_point: npt.ArrayLike = 0, dtype: npt.DTypeLike = np.int8) -> None:
        self.scale, self.zero_point, self.dtype = check.quantization(scale, zero_point, dtype)
        self._parts = self.scale, self.zero_point.astype(np.float64), self.dtype.kind == "i"

    def __repr__(self) -> str:
        return f"Quantize(scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype})"

"""Output in bytes: what an inference pipeline hands on to integer kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _validate as check
from ._types import Array
from ._validate.fused import LEAST_SCALE, MOST_SCALE

# Dtypes as most give them, with the least of their values.
_KNOWN: dict[Any, tuple[int, np.dtype[Any]]] = {np.int8: (-128, np.dtype(np.int8)), np.uint8: (0, np.dtype(np.uint8))}


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

    See Also
    --------
    QuantizeRows : A scale for every row, from its values.

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

    __slots__ = ("_core_parts", "dtype", "scale", "zero_point")

    scale: Array
    zero_point: Array
    dtype: np.dtype[Any]
    _core_parts: tuple[bool, Array, Array]  # for the core: whether the bytes are signed, and float64

    def __init__(self, scale: npt.ArrayLike, zero_point: npt.ArrayLike = 0, dtype: npt.DTypeLike = np.int8) -> None:
        # One number of each, as most give: made in the time of a few calls of NumPy.
        known = _KNOWN.get(dtype) if isinstance(dtype, type) else None
        step: Any = scale
        zero: Any = zero_point
        if known and isinstance(step, float) and type(zero) is int:
            least, self.dtype = known
            if LEAST_SCALE <= step <= MOST_SCALE and least <= zero <= least + 255:
                self.scale, self.zero_point = np.array(float(step)), np.array(zero)
                self._core_parts = least < 0, self.scale, np.array(float(zero))
                return
        self.scale, self.zero_point, self.dtype = check.quantization(scale, zero_point, dtype)
        self._core_parts = self.dtype.kind == "i", self.scale, self.zero_point.astype(np.float64)

    def __repr__(self) -> str:
        return f"Quantize(scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype})"


class QuantizeRows:
    """How an operation rounds its output to bytes with a scale for every row, which follows from the row itself.

    A row is what has one mean and one variance: the elements along the normalized axes. With ``y`` the result that the
    operation has without this, rounded to the dtype of the data, ``low = min(y, 0)`` and ``high = max(y, 0)`` of a row,
    all in float32::

        symmetric       scale = max(abs(y)) / 127       zero_point = 0 for int8, 128 for uint8
        otherwise       scale = (high - low) / 255      zero_point = clip(round(least - low / scale))

        q = clip(round(y / scale) + zero_point)

    where ``least`` is -128 or 0. Ties round to even. The second form is ONNX's ``DynamicQuantizeLinear``, row by row.

    Parameters
    ----------
    dtype : dtype, optional
        ``int8`` or ``uint8``.
    symmetric : bool, optional
        Which form; by default the first for int8, the second for uint8.

    Raises
    ------
    TypeError
        If an argument has another type or dtype.

    See Also
    --------
    Quantize : Scales that are given.
    Quantized : What a call returns then.

    Notes
    -----
    The operation returns a :class:`Quantized` in the place of ``y``, and takes ``out=(y, scale, zero_point)``. A scale
    that would be 0 is 1. A row with NaN has scale NaN and zero points only.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> x = np.array([[1.0, 7.0], [-5.0, 5.0]], dtype=np.float32)
    >>> y, scale, zero_point = fn.rms_norm(x, quantize=fn.QuantizeRows())
    >>> y
    array([[  18,  127],
           [-127,  127]], dtype=int8)
    >>> (scale * (y - zero_point)).round(2)
    array([[ 0.2,  1.4],
           [-1. ,  1. ]])
    """

    __slots__ = ("_core_parts", "dtype", "symmetric")

    dtype: np.dtype[Any]
    symmetric: bool
    _core_parts: tuple[bool, bool]  # for the core

    def __init__(self, dtype: npt.DTypeLike = np.int8, symmetric: bool | None = None) -> None:
        self.dtype = check.byte_dtype(dtype)
        is_signed = self.dtype.kind == "i"
        self.symmetric = is_signed if symmetric is None else check.boolean("symmetric", symmetric)
        self._core_parts = is_signed, self.symmetric

    def __repr__(self) -> str:
        return f"QuantizeRows(dtype={self.dtype}, symmetric={self.symmetric})"

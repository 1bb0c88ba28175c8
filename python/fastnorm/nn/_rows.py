"""Layer and root mean square normalization."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._types import Array
from ..layer import layer_norm_backward, layer_norm_forward, rms_norm_backward, rms_norm_forward
from . import _check
from ._layer import Norm


class _Rows(Norm):
    """Base of the two."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        elementwise_affine: bool,
        bias: bool,
        axis: int | Sequence[int] | None,
        dtype: npt.DTypeLike,
    ) -> None:
        self.normalized_shape = _check.normalized_shape(normalized_shape)
        self.elementwise_affine = check.boolean("elementwise_affine", elementwise_affine)
        self.axis = _check.axes(axis, len(self.normalized_shape))
        bias = elementwise_affine and check.boolean("bias", bias)
        super().__init__(self.normalized_shape, dtype, weight=elementwise_affine, bias=bias)

    def _data(self, x: npt.ArrayLike) -> Array:
        x = super()._data(x)
        _check.lengths(x, self.axis, self.normalized_shape)
        return x


class LayerNorm(_Rows):
    """Layer normalization, as :class:`torch.nn.LayerNorm` does it (:func:`fastnorm.layer_norm`).

    Parameters
    ----------
    normalized_shape : int or sequence of ints
        Lengths of the normalized axes, in the order they stand in `x`.
    eps : float, optional
        Added to the variance.
    elementwise_affine : bool, optional
        Whether there are a weight and a bias.
    bias : bool, optional
        Whether `elementwise_affine` means a bias, too.
    axis : int or sequence of ints, optional
        The normalized axes; the last ones if None.
    dtype : dtype_like, optional
        Of the parameters: that of the data or a wider one.

    Attributes
    ----------
    weight, bias : ndarray or None
        Scale and shift, of shape `normalized_shape`.

    See Also
    --------
    fastnorm.layer_norm_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.LayerNorm(2, eps=0.0)
    >>> layer(np.array([[1.0, 3.0], [40.0, 60.0]], np.float32))
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    >>> dx = layer.backward(np.ones((2, 2), np.float32))
    >>> layer.gradients()["weight"]
    array([-2.,  2.], dtype=float32)
    """

    _shown = ("normalized_shape", "eps", "elementwise_affine", "axis")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        axis: int | Sequence[int] | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, bias, axis, dtype)
        self.eps = check.eps(eps)

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Normalize `x`, which training keeps for the backward without a copy."""
        x = self._data(x)
        y, mean, rstd = layer_norm_forward(x, self.weight, self.bias, axis=self.axis, eps=self.eps)
        self._remember(layer_norm_backward, x, mean=mean, rstd=rstd, axis=self.axis)
        return y


class RMSNorm(_Rows):
    """Root mean square normalization, as :class:`torch.nn.RMSNorm` does it (:func:`fastnorm.rms_norm`).

    Parameters
    ----------
    normalized_shape : int or sequence of ints
        Lengths of the normalized axes, in the order they stand in `x`.
    eps : float or None, optional
        Added to the mean square; None is the machine epsilon of the arithmetic, as in PyTorch.
    elementwise_affine : bool, optional
        Whether there is a weight.
    offset : float, optional
        Added to the weight; 1 as in Gemma. The weight starts at ``1 - offset``.
    axis : int or sequence of ints, optional
        The normalized axes; the last ones if None.
    dtype : dtype_like, optional
        Of the weight: that of the data or a wider one.

    Attributes
    ----------
    weight : ndarray or None
        Scale, of shape `normalized_shape`.

    See Also
    --------
    fastnorm.rms_norm_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.RMSNorm(2, eps=0.0)
    >>> layer(np.array([[1.0, 7.0], [-5.0, 5.0]], np.float32))
    array([[ 0.2,  1.4],
           [-1. ,  1. ]], dtype=float32)
    """

    _shown = ("normalized_shape", "eps", "elementwise_affine", "offset", "axis")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        offset: float = 0.0,
        axis: int | Sequence[int] | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, False, axis, dtype)
        self.eps = None if eps is None else check.eps(eps)
        self.offset = check.offset(offset)
        if self.weight is not None:
            self.weight -= self.weight.dtype.type(self.offset)

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Normalize `x`, which training keeps for the backward without a copy."""
        x = self._data(x)
        common: dict[str, Any] = {"axis": self.axis, "offset": self.offset}
        y, rstd = rms_norm_forward(x, self.weight, eps=self.eps, **common)
        self._remember(rms_norm_backward, x, rstd=rstd, **common)
        return y

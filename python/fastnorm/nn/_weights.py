"""Weight normalization and weight standardization: layers that hold weights and make others of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._dtypes import FLOAT32
from .._types import Array, WeightNormGradients, WeightStandardizationGradients
from ..weights import (
    Mode,
    weight_norm_backward,
    weight_norm_forward,
    weight_standardization_backward,
    weight_standardization_forward,
)
from . import _check
from ._layer import Layer, _no_inputs


class _Weights(Layer):
    """Base of the two. The weights are parameters and data in one: calls that go back keep a copy of them."""

    def _remember(self, backward: Callable[..., Any], arrays: dict[str, Array | None], **arguments: Any) -> None:
        """Keep what `backward` needs besides `dw`: `arrays` as they are now."""
        if not self._keeps:
            self._backward = _no_inputs
            return
        copies = {name: None if array is None else array.copy() for name, array in arrays.items()}
        self._backward = partial(backward, **copies, **arguments)


def _lengths(weight: Array, axis: int | Sequence[int], groups: int) -> dict[int, int]:
    """How many filters stand along each of their axes."""
    lengths = {a: weight.shape[a] for a in check.normalized_axes(axis, weight, "weight")}
    groups = check.groups_of_weight(groups, weight)
    if 0 not in lengths:
        lengths[min(lengths)] *= groups
    return lengths


class WeightNorm(_Weights):
    """Weight normalization, as :func:`torch.nn.utils.parametrizations.weight_norm` does it.

    ``layer()`` makes the weights of a filter from its length and its direction (:func:`fastnorm.weight_norm`), both
    parameters. At first it makes the weights that it was given.

    Parameters
    ----------
    weight : array_like
        Weights to start from.
    axis : int, sequence of ints or None, optional
        The axes with one filter per index, None for one length of the whole array: PyTorch's `dim`, except that -1
        is the last axis.
    groups : int, optional
        Groups of a transposed convolution, as in :func:`fastnorm.weight_norm`.
    eps : float, optional
        Added to the sum of squares.

    Attributes
    ----------
    original0 : ndarray
        Lengths, of length 1 along all axes but `axis`; a 0-d array for ``axis=None``. In the dtype of `weight`, of 16
        bits in float32: a length may lie beyond float16, and rounded ones would not give the weights back. Gradients
        go by the same name.
    original1 : ndarray
        Directions, of the shape and dtype of `weight`.

    See Also
    --------
    fastnorm.weight_norm_forward : The function.

    Notes
    -----
    A call in training copies both parameters: its backward is that of the weights that the call made.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.WeightNorm(np.array([[3.0, 4.0]]))
    >>> layer(), layer.original0
    (array([[3., 4.]]), array([[5.]]))
    >>> dv = layer.backward(np.array([[1.0, 0.0]]))
    >>> dv.round(2), layer.gradients()["original0"]
    (array([[ 0.64, -0.48]]), array([[0.6]]))
    """

    _parameters = ("original0", "original1")
    _shown = ("shape", "axis", "groups", "eps")

    def __init__(
        self,
        weight: npt.ArrayLike,
        axis: int | Sequence[int] | None = 0,
        eps: float = 0.0,
        *,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.original1: Array = np.array(check.data("weight", weight), order="C")
        self.axis, self.groups, self.eps = axis, groups, eps
        kept = [1] * self.original1.ndim
        if axis is not None:
            for a, n in _lengths(self.original1, axis, groups).items():
                kept[a] = n
        dtype = np.result_type(self.original1, FLOAT32)
        norm = weight_norm_forward(self.original1, np.ones(kept, dtype), axis=axis, groups=groups, eps=eps).norm
        self.original0: Array = norm.astype(dtype).reshape(() if axis is None else kept)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return self.original1.shape

    def __call__(self) -> Array:
        """Make the weights."""
        v, g = self.original1, self.original0
        form: dict[str, Any] = {"axis": self.axis, "groups": self.groups}
        w, norm = weight_norm_forward(v, g, eps=self.eps, **form)
        self._remember(weight_norm_backward, {"v": v, "g": g}, norm=norm, **form)
        return w

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy a state into the layer's arrays, in their dtype.

        Parameters
        ----------
        state : mapping of str to array_like
            What :meth:`state_dict` returned, or that of PyTorch, with its newer names ``original0`` and ``original1``
            or its older ones ``weight_g`` and ``weight_v``, both behind the same path or none: for instance
            ``conv.parametrizations.weight.original0``.

        Raises
        ------
        ValueError
            If a name is missing or too much, or a shape does not fit; then nothing has changed.
        TypeError
            If something is not an array of numbers.
        """
        super().load_state_dict(_check.names_of_weight_norm(state))

    def backward(self, dw: npt.ArrayLike) -> Array:
        """Go back through the latest call.

        Parameters
        ----------
        dw : array_like
            Gradient of the weights that the layer made.

        Returns
        -------
        ndarray
            Gradient of the directions. It and that of the lengths are in :meth:`gradients`.

        Raises
        ------
        RuntimeError
            If the layer has not been called yet, or in evaluation, where calls keep nothing; see :meth:`eval`.
        ValueError, TypeError
            If `dw` does not fit.
        """
        gradients: WeightNormGradients = self._backward(dw)
        self._gradients = {"original0": gradients.dg, "original1": gradients.dv}
        return gradients.dv


class WeightStandardization(_Weights):
    """Weight standardization (:func:`fastnorm.weight_standardization`).

    ``layer()`` makes the standardized weights from its parameter ``weight``.

    Parameters
    ----------
    weight : array_like
        Weights to start from.
    gain : bool, optional
        Whether there is a gain, which starts as ones.
    axis : int or sequence of ints, optional
        The axes with one filter per index: 0 for weights in the order OIHW, -1 for HWIO.
    groups : int, optional
        Groups of a transposed convolution, as in :func:`fastnorm.weight_standardization`.
    mode : {'var', 'std_unbiased', 'std_biased', 'max'}, optional
        What the deviations are divided by.
    eps : float, optional
        Depends on the mode if None.
    scale : float, optional
        A constant factor.

    Attributes
    ----------
    weight : ndarray
        Weights before standardization.
    gain : ndarray, shape (filters,), or None
        Scale of every filter.

    See Also
    --------
    fastnorm.weight_standardization_forward : The function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.WeightStandardization(np.array([[1.0, 1.0, 3.0, 3.0]]), gain=True, eps=0.0)
    >>> layer()
    array([[-1., -1.,  1.,  1.]])
    >>> layer.backward(np.array([[0.0, 0.0, 0.0, 1.0]]))
    array([[ 0. ,  0. , -0.5,  0.5]])
    >>> layer.gradients()["gain"]
    array([1.])
    """

    _parameters = ("weight", "gain")
    _shown = ("shape", "axis", "groups", "mode", "eps", "scale")

    def __init__(
        self,
        weight: npt.ArrayLike,
        gain: bool = False,
        *,
        axis: int | Sequence[int] = 0,
        groups: int = 1,
        mode: Mode = "var",
        eps: float | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight: Array = np.array(check.data("weight", weight), order="C")
        self.axis, self.groups, self.mode, self.eps, self.scale = axis, groups, mode, eps, scale
        filters = tuple(_lengths(self.weight, axis, groups).values())
        self.gain: Array | None = np.ones(filters, self.weight.dtype) if check.boolean("gain", gain) else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return self.weight.shape

    def __call__(self) -> Array:
        """Make the weights."""
        form = {name: getattr(self, name) for name in ("axis", "groups", "mode", "eps", "scale")}
        w, mean, var = weight_standardization_forward(self.weight, self.gain, **form)
        arrays = {"w": self.weight, "gain": self.gain}
        self._remember(weight_standardization_backward, arrays, mean=mean, var=var, **form)
        return w

    def backward(self, dw: npt.ArrayLike) -> Array:
        """Go back through the latest call.

        Parameters
        ----------
        dw : array_like
            Gradient of the weights that the layer made.

        Returns
        -------
        ndarray
            Gradient of ``weight``. It and that of the gain are in :meth:`gradients`.

        Raises
        ------
        RuntimeError
            If the layer has not been called yet, or in evaluation, where calls keep nothing; see :meth:`eval`.
        ValueError, TypeError
            If `dw` does not fit.
        """
        gradients: WeightStandardizationGradients = self._backward(dw)
        both = {"weight": gradients.dw, "gain": gradients.dgain}
        self._gradients = {name: both[name] for name in self.parameters()}
        return gradients.dw

"""Adaptive normalization: layers without parameters, whose scale and shift come with the data."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._types import Array, Gradients
from ..group import group_norm_backward, group_norm_forward, instance_norm_backward, instance_norm_forward
from ..layer import layer_norm_backward, layer_norm_forward
from . import _check
from ._layer import Layer, _no_inputs


class Adaptive(Layer):
    """Base of the three.

    Attributes
    ----------
    offset : float
        Added to the scale.
    """

    def __init__(self, eps: float, offset: float) -> None:
        super().__init__()
        self.eps, self.offset = check.eps(eps), check.offset(offset)

    def __call__(
        self, x: npt.ArrayLike, scale: npt.ArrayLike | None = None, shift: npt.ArrayLike | None = None
    ) -> Array:
        """Normalize `x`, then scale and shift it: ``xhat * (offset + scale) + shift``.

        Parameters
        ----------
        x : array_like
            Data, which training keeps for the backward without a copy.
        scale, shift : array_like, optional
            One value for every sample and feature, of shape (samples, features), or as many dimensions as `x` and a
            shape that broadcasts against it. None: `xhat` is not scaled, or not shifted.
        """
        x = check.data("x", x)
        axes = self._features(x)
        weight, bias = (_spread(name, value, x, axes) for name, value in (("scale", scale), ("shift", shift)))
        offset = 0.0 if weight is None else self.offset
        y, back = self._normalize(x, weight=weight, bias=bias, offset=offset)
        if not self._keeps:
            self._backward = _no_inputs
            return y
        shapes = [None if p is None else np.shape(p) for p in (scale, shift)]
        copies = {"weight": _copy(weight), "bias": _copy(bias)}
        mask = True, weight is not None, bias is not None
        self._backward = partial(_reshaped, partial(back, x=x, grad_mask=mask, offset=offset, **copies), shapes)
        return y

    def backward(self, dy: npt.ArrayLike) -> Array:
        """Go back through the latest call.

        Parameters
        ----------
        dy : array_like
            Gradient of the result, of its shape and dtype.

        Returns
        -------
        ndarray
            Gradient of `x`. Those of what was given with it are in ``gradients()``, as ``"scale"`` and ``"shift"``.

        Raises
        ------
        RuntimeError
            If the layer has not been called yet, or in evaluation, where calls keep nothing; see :meth:`eval`.
        ValueError, TypeError
            If `dy` does not fit.
        """
        dx, gradients = self._backward(dy)
        self._gradients = gradients
        assert dx is not None
        return np.asarray(dx)

    def _features(self, x: Array) -> tuple[int, ...]:
        """The axes, counted from the front, that scale and shift of shape (samples, features) have besides axis 0."""
        raise NotImplementedError

    def _normalize(self, x: Array, **affine: Any) -> tuple[Array, Callable[..., Gradients]]:
        """The result, and its backward without what the base knows."""
        raise NotImplementedError


class AdaLayerNorm(Adaptive):
    """Layer normalization with a scale and a shift for every sample, as in diffusion transformers.

    The source is [1]_.

    Parameters
    ----------
    normalized_shape : int or sequence of ints
        Lengths of the normalized axes, in the order they stand in `x`.
    eps : float, optional
        Added to the variance.
    offset : float, optional
        Added to the scale.
    axis : int or sequence of ints, optional
        The normalized axes; the last ones if None.

    See Also
    --------
    fastnorm.layer_norm_forward : The function.

    References
    ----------
    .. [1] Peebles, Xie: Scalable diffusion models with transformers, 2023, https://arxiv.org/abs/2212.09748

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.AdaLayerNorm(2, eps=0.0)
    >>> layer(np.array([[[1.0, 3.0]], [[40.0, 60.0]]]), scale=[[0.0, 0.0], [1.0, 2.0]], shift=[[0.0, 0.0], [5.0, 5.0]])
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[ 3.,  8.]]])
    >>> dx = layer.backward(np.ones((2, 1, 2)))
    >>> layer.gradients()["scale"]
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    _shown = ("normalized_shape", "eps", "offset", "axis")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        *,
        offset: float = 1.0,
        axis: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(eps, offset)
        self.normalized_shape = _check.normalized_shape(normalized_shape)
        self.axis = _check.axes(axis, len(self.normalized_shape))

    def _features(self, x: Array) -> tuple[int, ...]:
        _check.lengths(x, self.axis, self.normalized_shape)
        return tuple(sorted(a % x.ndim for a in self.axis))

    def _normalize(self, x: Array, **affine: Any) -> tuple[Array, Callable[..., Gradients]]:
        y, mean, rstd = layer_norm_forward(x, axis=self.axis, eps=self.eps, **affine)
        return y, partial(layer_norm_backward, mean=mean, rstd=rstd, axis=self.axis)


class AdaGroupNorm(Adaptive):
    """Group normalization with a scale and a shift for every sample and channel, as in diffusion models.

    The source is [1]_.

    Parameters
    ----------
    num_groups : int
        A divisor of the number of channels.
    num_channels : int
        Number of channels C.
    eps : float, optional
        Added to the variance.
    offset : float, optional
        Added to the scale.
    axis : int, optional
        The channel axis; not 0.

    See Also
    --------
    fastnorm.group_norm_forward : The function.

    References
    ----------
    .. [1] Dhariwal, Nichol: Diffusion models beat GANs on image synthesis, 2021, https://arxiv.org/abs/2105.05233

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> layer = nn.AdaGroupNorm(2, 4, eps=0.0)
    >>> layer(np.array([[1.0, 3.0, 40.0, 60.0]]), scale=[[0.0, 0.0, 1.0, 2.0]])
    array([[-1.,  1., -2.,  3.]])
    """

    _shown = ("num_groups", "num_channels", "eps", "offset", "axis")

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, *, offset: float = 1.0, axis: int = 1
    ) -> None:
        super().__init__(eps, offset)
        self.num_channels = _check.size("num_channels", num_channels)
        self.num_groups = _check.divisor(num_groups, self.num_channels, "num_groups")
        self.axis = axis

    def _features(self, x: Array) -> tuple[int, ...]:
        _check.features(x, self.axis, self.num_channels)
        return (self.axis % x.ndim,)

    def _normalize(self, x: Array, **affine: Any) -> tuple[Array, Callable[..., Gradients]]:
        common: dict[str, Any] = {"num_groups": self.num_groups, "axis": self.axis}
        y, mean, rstd = group_norm_forward(x, eps=self.eps, **affine, **common)
        return y, partial(group_norm_backward, mean=mean, rstd=rstd, **common)


class AdaInstanceNorm(Adaptive):
    """Adaptive instance normalization (AdaIN): every channel of a sample gets the statistics that it is given.

    The source is [1]_.

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float, optional
        Added to the variance.
    offset : float, optional
        Added to the scale: 0, since the scale is a standard deviation; 1 for networks that learn the difference.
    axis : int, optional
        The channel axis; not 0.

    See Also
    --------
    fastnorm.instance_norm_forward : The function.

    References
    ----------
    .. [1] Huang, Belongie: Arbitrary style transfer in real-time with adaptive instance normalization, 2017,
       https://arxiv.org/abs/1703.06868

    Examples
    --------
    >>> import numpy as np
    >>> from fastnorm import nn
    >>> content, style = np.array([[[1.0, 3.0]]]), np.array([[[70.0, 50.0]]])
    >>> nn.AdaInstanceNorm(1, eps=0.0)(content, style.std(axis=2), style.mean(axis=2))
    array([[[50., 70.]]])
    """

    _shown = ("num_features", "eps", "offset", "axis")

    def __init__(self, num_features: int, eps: float = 1e-5, *, offset: float = 0.0, axis: int = 1) -> None:
        super().__init__(eps, offset)
        self.num_features = _check.size("num_features", num_features)
        self.axis = axis

    def _features(self, x: Array) -> tuple[int, ...]:
        _check.features(x, self.axis, self.num_features)
        return (self.axis % x.ndim,)

    def _normalize(self, x: Array, **affine: Any) -> tuple[Array, Callable[..., Gradients]]:
        y, mean, rstd = instance_norm_forward(x, axis=self.axis, eps=self.eps, **affine)
        return y, partial(instance_norm_backward, mean=mean, rstd=rstd, axis=self.axis)


def _spread(name: str, value: npt.ArrayLike | None, x: Array, features: tuple[int, ...]) -> Array | None:
    """Scale or shift as it broadcasts against `x`."""
    if value is None:
        return None
    array = check.numbers(name, value)
    along = (0, *(a for a in features if a != 0))
    shape = tuple(x.shape[a] for a in along)
    if array.ndim == x.ndim and all(n in (1, m) for n, m in zip(array.shape, x.shape, strict=True)):
        return array
    if array.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape} or one of as many dimensions as x that broadcasts to {x.shape},"
            f" got {array.shape}"
        )
    return array.reshape([n if a in along else 1 for a, n in enumerate(x.shape)])


def _copy(array: Array | None) -> Array | None:
    return None if array is None else array.copy()


def _reshaped(
    back: Callable[..., Gradients], shapes: list[tuple[int, ...] | None], dy: npt.ArrayLike
) -> tuple[Array | None, dict[str, Array]]:
    """The gradients of a call, of scale and shift in the shapes that these had."""
    gradients = back(dy)
    named = zip(("scale", "shift"), gradients[1:], shapes, strict=True)
    return gradients.dx, {name: g.reshape(shape) for name, g, shape in named if g is not None and shape is not None}

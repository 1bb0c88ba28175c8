"""What all layers are: named arrays, some of them parameters with gradients, in training or in evaluation."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from .._types import Array, Gradients
from . import _check

_L = TypeVar("_L", bound="Layer")


class Layer:
    """Base of the layers.

    Attributes
    ----------
    training : bool
        Whether the layer is in training; see :meth:`train` and :meth:`eval`.
    """

    # Names of attributes, each an array or None: the parameters, and what else belongs to the state.
    _parameters: ClassVar[tuple[str, ...]] = ()
    _buffers: ClassVar[tuple[str, ...]] = ()
    # Names of attributes that the representation shows.
    _shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.training = True
        self._gradients: dict[str, Array] = {}
        self._backward: Callable[..., Any] | None = None  # of the latest call

    def train(self: _L, mode: bool = True) -> _L:
        """Go to training, or with False to evaluation, and return the layer."""
        self.training = bool(mode)
        return self

    def eval(self: _L) -> _L:
        """Go to evaluation and return the layer."""
        return self.train(False)

    def parameters(self) -> dict[str, Array]:
        """Return the parameters by name: the layer's own arrays, to be changed in place."""
        return self._named(self._parameters)

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the parameters by name, from the latest :meth:`backward`; empty before it."""
        return dict(self._gradients)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of parameters and running statistics by name."""
        return {name: array.copy() for name, array in self._named(self._parameters + self._buffers).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy a state into the layer's arrays, in their dtype.

        Parameters
        ----------
        state : mapping of str to array_like
            What :meth:`state_dict` returned, or that of the PyTorch layer; ``num_batches_tracked``, which states of
            old versions of PyTorch lack, may be missing.

        Raises
        ------
        ValueError
            If a name is missing or too much, or a shape does not fit; then nothing has changed.
        TypeError
            If something is not an array of numbers.
        """
        own = self._named(self._parameters + self._buffers)
        arrays = _check.state(state, own, ("num_batches_tracked",))
        with np.errstate(all="ignore"):
            for name, array in arrays.items():
                np.copyto(own[name], array, casting="same_kind")

    def _named(self, names: tuple[str, ...]) -> dict[str, Array]:
        return {name: array for name in names if (array := getattr(self, name)) is not None}

    def _latest(self) -> Callable[..., Any]:
        if self._backward is None:
            raise RuntimeError("backward must come after a call of the layer, got no call yet")
        return self._backward

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"


class Norm(Layer):
    """Base of the layers that normalize data and have a weight and a bias.

    Attributes
    ----------
    weight, bias : ndarray or None
        Scale and shift.
    """

    _parameters = ("weight", "bias")

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, *, weight: bool, bias: bool) -> None:
        super().__init__()
        self.dtype = _check.data_dtype(dtype)
        self.weight: Array | None = np.ones(shape, self.dtype) if weight else None
        self.bias: Array | None = np.zeros(shape, self.dtype) if bias else None

    def backward(self, dy: npt.ArrayLike) -> Array:
        """Go back through the latest call.

        Parameters
        ----------
        dy : array_like
            Gradient of the result, of its shape and dtype.

        Returns
        -------
        ndarray
            Gradient of `x`. Those of the parameters are in :meth:`gradients` afterwards, in place of earlier ones.

        Raises
        ------
        RuntimeError
            If the layer has not been called yet.
        ValueError, TypeError
            If `dy` does not fit.
        """
        gradients: Gradients = self._latest()(dy)
        both = {"weight": gradients.dweight, "bias": gradients.dbias}
        self._gradients = {name: gradient for name, gradient in both.items() if gradient is not None}
        assert gradients.dx is not None
        return gradients.dx

    def _remember(self, backward: Callable[..., Gradients], x: Array, **arguments: Any) -> None:
        """Keep what `backward` needs besides `dy`. The data are not copied."""
        mask = True, self.weight is not None, self.bias is not None
        self._backward = partial(backward, x=x, grad_mask=mask, **arguments)

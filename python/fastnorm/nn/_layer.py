"""What all layers are: named arrays, some of them parameters with gradients, in training or in evaluation."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._types import Array, Gradients
from . import _check

_L = TypeVar("_L", bound="Layer")


class Layer:
    """Base of the layers.

    Attributes
    ----------
    training : bool
        Whether the layer is in training; see :meth:`train` and :meth:`eval`.
    keep_inputs : bool
        Whether calls in evaluation keep their input for :meth:`backward`; see :meth:`eval`.

    Notes
    -----
    A call keeps copies of the parameters for the backward: changing them in between changes no gradient. Pickles and
    copies of a layer have its parameters, running statistics and options, and nothing of its calls.
    """

    # Names of attributes, each an array or None: the parameters, and what else belongs to the state.
    _parameters: ClassVar[tuple[str, ...]] = ()
    _buffers: ClassVar[tuple[str, ...]] = ()
    # Names of attributes that the representation shows.
    _shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.training, self.keep_inputs = True, False
        self._forget()

    def train(self: _L, mode: bool = True) -> _L:
        """Go to training, or with False to evaluation, and return the layer."""
        self.training, self.keep_inputs = bool(mode), False
        return self

    def eval(self: _L, *, keep_inputs: bool = False) -> _L:
        """Go to evaluation and return the layer.

        Parameters
        ----------
        keep_inputs : bool, optional
            Whether calls keep what :meth:`backward` needs, as they do in training. By default they keep no data alive.
            Then only layers that evaluate with running statistics can go back, to the gradient of their input alone.
        """
        keep_inputs = check.boolean("keep_inputs", keep_inputs)
        self.train(False).keep_inputs = keep_inputs
        return self

    def parameters(self) -> dict[str, Array]:
        """Return the parameters by name: the layer's own arrays, to be changed in place."""
        return self._named(self._parameters)

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the parameters by name, from the latest :meth:`backward`; empty before it.

        Raises
        ------
        RuntimeError
            If that went back through a call in evaluation, which kept no input.
        """
        if self._gradients is None:
            raise RuntimeError(f"gradients of parameters need the input of the call: {_ASK}")
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

    @property
    def _keeps(self) -> bool:
        """Whether a call keeps its input."""
        return self.training or self.keep_inputs

    def _forget(self) -> None:
        """Let go of the latest call."""
        self._gradients: dict[str, Array] | None = {}  # None: the latest backward could not compute them
        self._backward: Callable[..., Any] = _no_call

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_gradients", "_backward")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

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
            If the layer has not been called yet, or the call kept no input, as :meth:`eval` says.
        ValueError, TypeError
            If `dy` does not fit.
        """
        gradients: Gradients = self._backward(dy)
        both = {"weight": gradients.dweight, "bias": gradients.dbias}
        computed = {name: gradient for name, gradient in both.items() if gradient is not None}
        self._gradients = computed if computed or not self.parameters() else None
        assert gradients.dx is not None
        return gradients.dx

    def _data(self, x: npt.ArrayLike) -> Array:
        x = check.data("x", x)
        _check.dtype(x, type(self).__name__, self._named(self._parameters + self._buffers).values())
        return x

    def _remember(
        self, backward: Callable[..., Gradients], x: Array, *, constant: bool = False, **arguments: Any
    ) -> None:
        """Keep what `backward` needs besides `dy`: parameters as they are now, and the data without a copy.

        Of data that must not be kept only shape and dtype are, if that is enough since the statistics were constant.
        """
        mask = True, self.weight is not None, self.bias is not None
        if not self._keeps:
            if not constant:
                self._backward = _no_inputs
                return
            x, mask = np.broadcast_to(np.zeros((), x.dtype), x.shape), (True, False, False)
        weight = None if self.weight is None else self.weight.copy()
        self._backward = partial(backward, x=x, weight=weight, grad_mask=mask, **arguments)


_ASK: Final = "use layer.eval(keep_inputs=True)"


def _no_call(dy: npt.ArrayLike) -> NoReturn:
    raise RuntimeError("backward must come after a call of the layer, got no call yet")


def _no_inputs(dy: npt.ArrayLike) -> NoReturn:
    raise RuntimeError(f"backward must come after a call that keeps its input, got one in evaluation: {_ASK}")

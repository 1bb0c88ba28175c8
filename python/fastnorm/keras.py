"""Keras 3 on its NumPy backend: normalizations by fastnorm, from `enable()` until `disable()`."""

import inspect
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

import fastnorm as fn

from ._dtypes import DATA
from ._peers import needs
from ._types import Array

with needs("keras", extra="keras"):
    import keras
    from keras.src import backend
    from keras.src.layers import GroupNormalization
    from keras.src.ops import nn as ops_nn

__all__ = ["disable", "enable"]


def enable() -> "Enabled":
    """Let layers and ops of Keras compute with fastnorm: batch, layer, group and RMS normalization, and moments.

    Models that exist gain too. What fastnorm does not do, Keras does as before: symbolic tensors, integers, empty
    arrays, `rms_scaling`, synchronized moments.

    Returns
    -------
    Enabled
        A context manager whose end is the :func:`disable` of what this call enabled; it need not be used.

    Raises
    ------
    RuntimeError
        If Keras runs on another backend, or this version of it has other functions than are known here. Then nothing
        has changed.

    See Also
    --------
    disable : Take it back.

    Examples
    --------
    >>> import numpy as np
    >>> import keras
    >>> import fastnorm.keras
    >>> layer = keras.layers.GroupNormalization(2)
    >>> x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    >>> plain = layer(x)
    >>> with fastnorm.keras.enable():
    ...     y = layer(x)
    >>> np.allclose(y, plain, atol=1e-5)
    True
    """
    if keras.backend.backend() != "numpy":
        raise RuntimeError(f"KERAS_BACKEND must be numpy for fastnorm.keras, got {keras.backend.backend()}")
    if _originals:
        return Enabled(False)
    found = {hook.name: _found(hook) for hook in _hooks()}
    for hook in _hooks():
        _originals[hook.name] = found[hook.name]
        setattr(hook.owner, hook.name, hook.function)
    return Enabled(True)


def disable() -> None:
    """Give Keras its own functions back.

    See Also
    --------
    enable : What it takes back.

    Examples
    --------
    >>> import fastnorm.keras
    >>> fastnorm.keras.disable()
    """
    for hook in _hooks():
        if hook.name in _originals:
            setattr(hook.owner, hook.name, _originals.pop(hook.name))


class Enabled:
    """What :func:`enable` returns."""

    def __init__(self, changed: bool) -> None:
        self._changed = changed

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._changed:
            disable()


# --- what takes the place of Keras' functions, with their signatures -----------------------------------------------


def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and variance, in the dtype of the data."""
    data = _data(x)
    axes = tuple(axes) if isinstance(axes, list) else axes
    if data is None or synchronized or axes == ():
        return _originals["moments"](x, axes, keepdims, synchronized)
    count, mean, m2 = fn.moments(data, axis=axes, keepdims=keepdims)
    limits = (-65504.0, 65504.0) if data.dtype == np.float16 else (-np.inf, np.inf)
    return tuple(np.clip(a, *limits).astype(data.dtype) for a in (mean, m2 / count))


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: Any, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """With given statistics."""
    data = _data(x)
    if data is None or data.ndim < 2 or not isinstance(axis, int):
        return _originals["batch_normalization"](x, mean, variance, axis, offset, scale, epsilon)
    arrays = [_parameter(a, data, (axis,), narrower=True) for a in (mean, variance, scale, offset)]
    if any(a is _UNFIT for a in arrays):
        return _originals["batch_normalization"](x, mean, variance, axis, offset, scale, epsilon)
    return fn.batch_norm(data, *arrays, axis=axis, eps=epsilon)


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: Any = None, rms_scaling: bool = False
) -> Any:
    """Over the given axes."""
    data = _data(x)
    axes = _axes(data, axis)
    if data is not None and axes is not None and not rms_scaling:
        weight, bias = (_parameter(a, data, axes) for a in (gamma, beta))
        if weight is not _UNFIT and bias is not _UNFIT:
            return fn.layer_norm(data, weight, bias, axis=axes, eps=_epsilon(epsilon))
    return _originals["_layer_normalization"](x, gamma, beta, axis, epsilon, rms_scaling)


def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: Any = None) -> Any:
    """Over the given axes, without a mean."""
    data = _data(x)
    axes = _axes(data, axis)
    if data is not None and axes is not None:
        last = axes[0] == data.ndim - len(axes)  # Keras lets the scale broadcast, which means the last axes
        weight = _parameter(scale, data, axes) if last or scale is None else _UNFIT
        if weight is not _UNFIT:
            return fn.rms_norm(data, weight, axis=axes, eps=_epsilon(epsilon))
    return _originals["_rms_normalization"](x, scale, axis, epsilon)


def group_normalization(self: Any, inputs: Any) -> Any:
    """The call of the layer."""
    data = _data(inputs)
    if data is None or data.ndim < 2 or self.axis in (0, -data.ndim):
        return _originals["call"](self, inputs)
    gamma, beta = self.gamma if self.scale else None, self.beta if self.center else None
    weight, bias = (_parameter(a, data, (self.axis,)) for a in (gamma, beta))
    if weight is _UNFIT or bias is _UNFIT:
        return _originals["call"](self, inputs)
    y = fn.group_norm(data, self.groups, weight, bias, axis=self.axis, eps=self.epsilon)
    return backend.cast(y, self.compute_dtype)


# --- arguments -------------------------------------------------------------------------------------------------------

_UNFIT: Any = object()  # a parameter that only Keras knows what to do with


def _data(x: Any) -> Array | None:
    """Data that fastnorm takes: also what convolutions return, which are arrays of JAX."""
    if not isinstance(x, np.ndarray):
        if isinstance(x, backend.KerasTensor) or not hasattr(x, "__array__"):
            return None
        x = np.asarray(x)
    return x if x.dtype in DATA and x.size else None


def _axes(data: Array | None, axis: Any) -> tuple[int, ...] | None:
    """The axes in the order of the data; None for what Keras has to judge."""
    axes = axis if isinstance(axis, Sequence) else (axis,)
    if data is None or not axes or not all(isinstance(a, int) and -data.ndim <= a < data.ndim for a in axes):
        return None
    found = tuple(sorted({a % data.ndim for a in axes}))
    return found if len(found) == len(axes) else None


def _parameter(value: Any, data: Array, axes: tuple[int, ...], narrower: bool = False) -> Any:
    """A parameter in the shape of the axes and a dtype that goes with the data's.

    A wider dtype than the data's is no reason for Keras to round, unless `narrower`.
    """
    if value is None:
        return None
    a = np.asarray(value)
    shape = tuple(data.shape[axis] for axis in axes)
    if a.shape != shape or (narrower and np.result_type(a, data) != data.dtype):
        return _UNFIT
    return a if a.dtype in DATA[data.dtype].parameters else a.astype(DATA[data.dtype].compute)


def _epsilon(epsilon: Any) -> float:
    return float(backend.epsilon() if epsilon is None else epsilon)


# --- hooks -----------------------------------------------------------------------------------------------------------


class Hook(NamedTuple):
    """A function of Keras, by owner and name, and what takes its place."""

    owner: Any
    name: str
    function: Callable[..., Any]


_originals: dict[str, Callable[..., Any]] = {}


def _hooks() -> tuple[Hook, ...]:
    # `import keras.src.backend.numpy.nn` would find the module of array functions, which is called numpy as well.
    from keras.src.backend.numpy import nn

    return (
        Hook(nn, "moments", moments),
        Hook(nn, "batch_normalization", batch_normalization),
        Hook(ops_nn, "_layer_normalization", layer_normalization),
        Hook(ops_nn, "_rms_normalization", rms_normalization),
        Hook(GroupNormalization, "call", group_normalization),
    )


def _found(hook: Hook) -> Callable[..., Any]:
    """What Keras has under the name, if it takes what ours takes."""
    original: Callable[..., Any] | None = getattr(hook.owner, hook.name, None)
    expected = list(inspect.signature(hook.function).parameters)
    got = None if original is None else list(inspect.signature(original).parameters)
    if original is None or got != expected:
        where = f"{hook.owner.__name__}.{hook.name}"
        raise RuntimeError(f"fastnorm.keras needs {where} to take {expected}, got {got} in Keras {keras.__version__}")
    return original

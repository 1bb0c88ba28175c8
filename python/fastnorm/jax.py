"""Normalization in JAX on the CPU: functions that differentiate, compile, map and scan like JAX's own.

They are calls of XLA's foreign function interface, so compiled code goes straight to the kernels. On other devices the
same formula is computed by JAX itself.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import _core
from ._peers import needs

with needs("jax>=0.5", extra="jax"):
    import jax
    import jax.ffi
    import jax.numpy as jnp

__all__ = ["group_norm", "layer_norm", "rms_norm"]

for _name, _handler in _core.xla_handlers().items():
    jax.ffi.register_ffi_target(f"fastnorm_{_name}", _handler, platform="cpu")


def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, *, axis: int | tuple[int, ...] = -1, eps: float = 1e-5
) -> jax.Array:
    """Layer normalization: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    Parameters
    ----------
    x : jax.Array, float16, bfloat16, float32 or float64
        Data of any shape.
    weight, bias : jax.Array or None
        Of the shape of the normalized axes, in the dtype of `x` or a wider one. None: ones and zeros.
    axis : int or tuple of int
        The normalized axes.
    eps : float
        Added to the variance.

    Returns
    -------
    jax.Array
        Of the shape and dtype of `x`.

    Raises
    ------
    jax.errors.JaxRuntimeError
        With the text of :func:`fastnorm.layer_norm`'s error, when the compiled code runs.

    See Also
    --------
    fastnorm.layer_norm : The function of NumPy's arrays.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> import fastnorm.jax
    >>> x = jnp.array([[1.0, 3.0, 1.0, 3.0]])
    >>> fastnorm.jax.layer_norm(x, eps=0.0)
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    >>> jax.grad(lambda x: fastnorm.jax.layer_norm(x).sum())(x).shape
    (1, 4)
    """
    return _norm(_rows("layer_norm", axis, eps), x, weight, bias)


def rms_norm(x: Any, weight: Any = None, *, axis: int | tuple[int, ...] = -1, eps: float = 1e-6) -> jax.Array:
    """Root-mean-square normalization: ``x / sqrt(mean(x**2) + eps) * weight``.

    Parameters
    ----------
    x, weight, axis, eps
        As in :func:`layer_norm`.

    Returns
    -------
    jax.Array
        Of the shape and dtype of `x`.

    See Also
    --------
    fastnorm.rms_norm : The function of NumPy's arrays.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import fastnorm.jax
    >>> fastnorm.jax.rms_norm(jnp.array([[2.0, -2.0]]), jnp.array([1.0, 3.0]), eps=0.0)
    Array([[ 1., -3.]], dtype=float32)
    """
    return _norm(_rows("rms_norm", axis, eps), x, weight, None)


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, *, axis: int = -1, eps: float = 1e-5
) -> jax.Array:
    """Group normalization: layer normalization of each sample's runs of channels.

    Parameters
    ----------
    x : jax.Array
        The first axis is that of the samples.
    num_groups : int
        A divisor of the number of channels.
    weight, bias : jax.Array or None
        One value for each channel.
    axis : int
        The axis of the channels: the last, as in Flax.
    eps : float
        Added to the variance.

    Returns
    -------
    jax.Array
        Of the shape and dtype of `x`.

    See Also
    --------
    fastnorm.group_norm : The function of NumPy's arrays.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import fastnorm.jax
    >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
    >>> fastnorm.jax.group_norm(x, 2, eps=0.0)
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    return _norm(_Operation("group_norm", (axis,), float(eps), int(num_groups)), x, weight, bias)


class _Operation(NamedTuple):
    """What is known when a call is traced."""

    name: str
    axes: tuple[int, ...]
    eps: float
    groups: int = 0

    def statistics(self, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        """The form of a statistic: float64 as pairs of 32 bits, since JAX has no float64 unless it is told to."""
        if self.groups:
            sizes = *shape[:1], self.groups
        else:
            reduced = {axis % len(shape) for axis in self.axes}
            sizes = tuple(1 if i in reduced else n for i, n in enumerate(shape))
        return jax.ShapeDtypeStruct((*sizes, 2), jnp.uint32)

    def attributes(self) -> dict[str, Any]:
        if self.groups:
            return {"channel": np.int64(self.axes[0]), "num_groups": np.int64(self.groups)}
        return {"axis": np.array(self.axes, np.int64)}


# What stands for no array among arguments and results of a handler.
_NONE = jax.ShapeDtypeStruct((0,), jnp.bool_)


def _rows(name: str, axis: int | tuple[int, ...], eps: float) -> _Operation:
    return _Operation(name, tuple(axis) if isinstance(axis, (tuple, list)) else (axis,), float(eps))


def _norm(operation: _Operation, *arrays: Any) -> jax.Array:
    x, weight, bias = (None if a is None else jnp.asarray(a) for a in arrays)
    if jax.default_backend() == "cpu":
        return _kernel(operation, x, weight, bias)
    ways = {"cpu": partial(_kernel, operation), "default": partial(_formula, operation)}
    return jax.lax.platform_dependent(x, weight, bias, **ways)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _kernel(operation: _Operation, x: Any, weight: Any, bias: Any) -> Any:
    return _call(operation.name, _like(x), x, weight, bias, eps=np.float64(operation.eps), **operation.attributes())


def _forward(operation: _Operation, x: Any, weight: Any, bias: Any) -> Any:
    statistic = operation.statistics(x.shape)
    results = _like(x), _NONE if operation.name == "rms_norm" else statistic, statistic
    y, mean, rstd = _call(
        f"{operation.name}_forward", results, x, weight, bias, eps=np.float64(operation.eps), **operation.attributes()
    )
    return y, (x, weight, bias, mean, rstd)


def _backward(operation: _Operation, saved: Any, dy: Any) -> Any:
    x, weight, bias, mean, rstd = saved
    # The core rounds both gradients to the dtype of the weight.
    dtype = x.dtype if weight is None else weight.dtype
    results = _like(x), _like(weight), _NONE if bias is None else jax.ShapeDtypeStruct(bias.shape, dtype)
    arrays = dy, x, weight, bias, mean, rstd
    dx, dweight, dbias = _call(f"{operation.name}_backward", results, *arrays, **operation.attributes())
    return dx, None if weight is None else dweight, None if bias is None else dbias.astype(bias.dtype)


_kernel.defvjp(_forward, _backward)


def _like(a: Any) -> jax.ShapeDtypeStruct:
    return _NONE if a is None else jax.ShapeDtypeStruct(a.shape, a.dtype)


def _call(name: str, results: Any, *arrays: Any, **attributes: Any) -> Any:
    function = jax.ffi.ffi_call(f"fastnorm_{name}", results, vmap_method="sequential")
    return function(*(np.zeros(0, np.bool_) if a is None else a for a in arrays), **attributes)


def _formula(operation: _Operation, x: Any, weight: Any, bias: Any) -> Any:
    """The same for other devices, in JAX."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(axis % x.ndim for axis in operation.axes)
    if operation.groups:
        (channel,) = axes
        groups = operation.groups, x.shape[channel] // operation.groups
        wide = wide.reshape(*x.shape[:channel], *groups, *x.shape[channel + 1 :])
        reduced = tuple(i for i in range(1, wide.ndim) if i != channel)
    else:
        reduced = axes
    if operation.name != "rms_norm":
        wide = wide - wide.mean(reduced, keepdims=True)
    wide = wide * jax.lax.rsqrt(jnp.square(wide).mean(reduced, keepdims=True) + operation.eps)
    wide = wide.reshape(x.shape)
    sizes = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    if weight is not None:
        wide = wide * weight.reshape(sizes)
    return (wide if bias is None else wide + bias.reshape(sizes)).astype(x.dtype)

"""The normalizations as primitives of HIPS autograd, which differentiates NumPy code.

Gradients are those of fastnorm's backward functions; second derivatives are not available.
"""

from collections.abc import Callable
from typing import Any

import fastnorm as fn

from ._peers import needs
from ._types import Activation, Array

with needs("autograd", extra="autograd"):
    from autograd.extend import defvjp_argnums, primitive
    from autograd.tracer import isbox

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
    "weight_norm",
    "weight_standardization",
]

Arguments = dict[str, Any]


def layer_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """:func:`fastnorm.layer_norm`, differentiable in `x`, `weight` and `bias`.

    Parameters
    ----------
    x, weight, bias, axis, eps, activation
        As in :func:`fastnorm.layer_norm`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.layer_norm`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.layer_norm : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import layer_norm
    >>> loss = lambda x: np.sum(layer_norm(x) ** 3)
    >>> grad(loss)(np.array([[1.0, 2.0, 6.0]])).round(3)
    array([[ 0.567, -0.709,  0.142]])
    """
    return _call(
        "layer_norm", {"x": x, "weight": weight, "bias": bias}, {"axis": axis, "activation": activation}, eps=eps
    )


def rms_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-6,
    offset: float = 0.0,
    activation: Activation | None = None,
) -> Any:
    """:func:`fastnorm.rms_norm`, differentiable in `x`, `weight` and `bias`.

    Parameters
    ----------
    x, weight, bias, axis, eps, offset, activation
        As in :func:`fastnorm.rms_norm`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.rms_norm`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.rms_norm : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import rms_norm
    >>> loss = lambda x: np.sum(rms_norm(x) ** 3)
    >>> grad(loss)(np.array([[1.0, 2.0, 6.0]])).round(3)
    array([[-0.266, -0.414,  0.182]])
    """
    shared = {"axis": axis, "offset": offset, "activation": activation}
    return _call("rms_norm", {"x": x, "weight": weight, "bias": bias}, shared, eps=eps)


def batch_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    *,
    axis: int = 1,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """The `y` of :func:`fastnorm.batch_norm_forward`, differentiable in `x`, `weight` and `bias`.

    The running statistics are updated in place, if given; no gradient comes from that.

    Parameters
    ----------
    x, weight, bias, running_mean, running_var, axis, momentum, ddof, eps, activation
        As in :func:`fastnorm.batch_norm_forward`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.batch_norm_forward`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.batch_norm_forward : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import batch_norm
    >>> loss = lambda x: np.sum(batch_norm(x) ** 3)
    >>> grad(loss)(np.array([[1.0], [2.0], [6.0]])).round(3)
    array([[ 0.567],
           [-0.709],
           [ 0.142]])
    """
    running = {"running_mean": running_mean, "running_var": running_var, "momentum": momentum, "ddof": ddof}
    shared = {"axis": axis, "activation": activation}
    return _call("batch_norm", {"x": x, "weight": weight, "bias": bias}, shared, eps=eps, **running)


def group_norm(
    x: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """:func:`fastnorm.group_norm`, differentiable in `x`, `weight` and `bias`.

    Parameters
    ----------
    x, num_groups, weight, bias, axis, eps, activation
        As in :func:`fastnorm.group_norm`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.group_norm`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.group_norm : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import group_norm
    >>> loss = lambda x: np.sum(group_norm(x, 1) ** 3)
    >>> grad(loss)(np.array([[1.0, 2.0, 6.0]])).round(3)
    array([[ 0.567, -0.709,  0.142]])
    """
    shared = {"num_groups": num_groups, "axis": axis, "activation": activation}
    return _call("group_norm", {"x": x, "weight": weight, "bias": bias}, shared, eps=eps)


def instance_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    axis: int = 1,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> Any:
    """:func:`fastnorm.instance_norm`, differentiable in `x`, `weight` and `bias`.

    Parameters
    ----------
    x, weight, bias, axis, eps, activation
        As in :func:`fastnorm.instance_norm`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.instance_norm`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.instance_norm : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import instance_norm
    >>> loss = lambda x: np.sum(instance_norm(x) ** 3)
    >>> grad(loss)(np.array([[[1.0, 2.0, 6.0]]])).round(3)
    array([[[ 0.567, -0.709,  0.142]]])
    """
    shared = {"axis": axis, "activation": activation}
    return _call("instance_norm", {"x": x, "weight": weight, "bias": bias}, shared, eps=eps)


def weight_norm(v: Any, g: Any, *, axis: int | None = 0, eps: float = 0.0) -> Any:
    """:func:`fastnorm.weight_norm`, differentiable in `v` and `g`.

    Parameters
    ----------
    v, g, axis, eps
        As in :func:`fastnorm.weight_norm`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `v`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.weight_norm`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.weight_norm : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import weight_norm
    >>> loss = lambda v: np.sum(weight_norm(v, np.array([[5.0]])) ** 3)
    >>> grad(loss)(np.array([[3.0, 4.0]])).round(3)
    array([[-5.76,  4.32]])
    """
    return _call("weight_norm", {"v": v, "g": g}, {"axis": axis}, eps=eps)


def weight_standardization(
    w: Any, gain: Any = None, *, axis: int = 0, mode: str = "var", eps: float | None = None, scale: float = 1.0
) -> Any:
    """:func:`fastnorm.weight_standardization`, differentiable in `w` and `gain`.

    Parameters
    ----------
    w, gain, axis, mode, eps, scale
        As in :func:`fastnorm.weight_standardization`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `w`.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastnorm.weight_standardization`.
    NotImplementedError
        If a second derivative is asked for.

    See Also
    --------
    fastnorm.weight_standardization : The function of arrays.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastnorm.autograd import weight_standardization
    >>> loss = lambda w: np.sum(weight_standardization(w) ** 3)
    >>> grad(loss)(np.array([[1.0, 2.0, 6.0]])).round(3)
    array([[ 0.567, -0.709,  0.142]])
    """
    shared = {"axis": axis, "mode": mode, "eps": eps, "scale": scale}
    return _call("weight_standardization", {"w": w, "gain": gain}, shared)


def _call(operation: str, arrays: Arguments, shared: Arguments, **forward: Any) -> Any:
    """Call an operation: its arrays, the options of both passes, those of the forward pass alone."""
    more = {"operation": operation, "names": tuple(arrays), "shared": shared, "forward": forward, "saved": {}}
    return _operation(*arrays.values(), **more)


def _result(
    *arrays: Array | None,
    operation: str,
    names: tuple[str, ...],
    shared: Arguments,
    forward: Arguments,
    saved: Arguments,
) -> Array:
    result = getattr(fn, f"{operation}_forward")(**dict(zip(names, arrays, strict=True)), **shared, **forward)
    y, *statistics = result
    saved.update(zip(result._fields[1:], statistics, strict=True))
    return y  # type: ignore[no-any-return]


def _vjp(
    argnums: tuple[int, ...], y: Array, arrays: tuple[Array | None, ...], call: Arguments
) -> Callable[[Any], tuple[Array, ...]]:
    """Gradients of the arguments that are asked for, from that of the result."""

    def gradients(dy: Any) -> tuple[Array, ...]:
        if any(map(isbox, (dy, *arrays))):
            raise NotImplementedError(f"fastnorm.autograd has no second derivatives, of {call['operation']} either")
        named = dict(zip(call["names"], arrays, strict=True))
        named["dy" if "x" in named else "dw"] = dy
        if "x" in named:
            named["grad_mask"] = tuple(k in argnums for k in range(3))
        found = getattr(fn, f"{call['operation']}_backward")(**named, **call["saved"], **call["shared"])
        return tuple(found[k] for k in argnums)

    return gradients


_operation = primitive(_result)
defvjp_argnums(_operation, _vjp)

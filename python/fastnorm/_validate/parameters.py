"""Arrays with one value per index of the parameter axes: weights, biases, running statistics."""

from .._dtypes import DATA
from .._layout import Layout
from .._types import Array
from .arrays import apart, array, native, numbers, writeable, written
from .texts import dtype_names, of_axes


def parameter(name: str, value: object, layout: Layout, x: Array, of: str = "x") -> Array | None:
    """A weight or a bias, in its own dtype."""
    return None if value is None else per_channel(name, value, layout, x, of)


def per_channel(name: str, value: object, layout: Layout, x: Array, of: str = "x") -> Array:
    """An array with one value per index of the parameter axes, of the dtype of `x` or a wider one."""
    result = numbers(name, value)
    dtype_of_parameter(name, result, x, of)
    if result.shape != layout.parameters:
        raise ValueError(
            f"{name} must have shape {layout.parameters} to match {of_axes(layout.axes)} of {of} with shape"
            f" {layout.shape}, got {result.shape}"
        )
    return result


def dtype_of_parameter(name: str, value: Array, x: Array, of: str) -> None:
    """A dtype that parameters for the data `x`, whose name is `of`, may have."""
    if value.dtype not in DATA[x.dtype].parameters:
        native(name, value)
        expected = dtype_names(DATA[x.dtype].parameters)
        raise TypeError(f"{name} must have dtype {expected} for {of} with dtype {x.dtype}, got {value.dtype}")


def running(
    mean: object, var: object, layout: Layout, x: Array, others: dict[str, object]
) -> tuple[Array, Array] | None:
    """The running statistics of a training step, to be updated in place: both or neither.

    A buffer that shares memory with another argument is refused, since one of the two would be lost.
    """
    if mean is None and var is None:
        return None
    if mean is None or var is None:
        missing = "running_mean" if mean is None else "running_var"
        raise ValueError(f"running_mean and running_var must be given together, got {missing}=None")
    running_mean = running_buffer("running_mean", mean, layout, x)
    running_var = running_buffer("running_var", var, layout, x)
    apart("running_var", running_var, "running_mean", running_mean)
    for other, value in {"x": x, **others}.items():
        if value is not None:
            values = array(other, value)
            apart("running_mean", running_mean, other, values)
            apart("running_var", running_var, other, values)
    return running_mean, running_var


def running_buffer(name: str, value: object, layout: Layout, x: Array) -> Array:
    """One running statistic, to be updated in place."""
    buffer = per_channel(name, written(name, value), layout, x)
    writeable(name, buffer)
    return buffer

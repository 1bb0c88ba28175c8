"""Arrays: what can be looked at as one, what is normalized, what goes with it, what is written to, masks."""

import sys
from typing import Any

import numpy as np

from .._dtypes import DATA, DATA_NAMES, FLOAT64, bfloat16
from .._layout import Shape, overlap, overlaps_itself
from .._types import Array
from .texts import type_name


def array(name: str, value: object) -> Array:
    """Anything that NumPy can look at as an array, without a copy that it need not make; a plain ndarray always."""
    if type(value) is np.ndarray:
        return value
    if value is None:
        raise TypeError(f"{name} must be an array, got None")
    if isinstance(value, np.ndarray):
        _not_masked(name, value)
    _in_memory(name, value)
    try:
        result = np.asarray(_without_bfloat16(value))
        if result.dtype == object and hasattr(value, "__dlpack__"):  # NumPy took the exporter for a scalar object
            result = np.from_dlpack(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, got {type_name(value)} that is none: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a foreign array type says when it cannot be read from the CPU
        raise TypeError(f"{name} must be an array, got {type_name(value)} that is none: {error}") from error
    return result


def numbers(name: str, value: object) -> Array:
    """An array of parameters or statistics, where a Python list may have integers: float64, as lists of floats are."""
    result = array(name, value)
    if result.dtype.kind in "iu" and isinstance(value, (int, list, tuple, range)):
        return result.astype(FLOAT64)
    return result


def data(name: str, value: object) -> Array:
    """The array that is normalized."""
    result = array(name, value)
    if result.dtype not in DATA:
        native(name, result)
        raise TypeError(f"{name} must have dtype {DATA_NAMES}, got {result.dtype}")
    return result


def like(name: str, value: object, x: Array, of: str = "x") -> Array:
    """An array that goes with `x`, whose name is `of`, element by element."""
    result = array(name, value)
    _same_form(name, result, x, of)
    return result


def real(name: str, value: object) -> Array:
    """Numbers, in float64."""
    result = array(name, value)
    if result.dtype.kind not in "iuf":
        raise TypeError(f"{name} must have a real dtype, got {result.dtype}")
    return result.astype(FLOAT64)


def mask(value: object, x: Array) -> Array | None:
    """Which elements of `x` count: a view in its shape."""
    if value is None:
        return None
    result = array("where", value)
    if result.dtype != bool:
        raise TypeError(f"where must have dtype bool, got {result.dtype}")
    try:
        return np.broadcast_to(result, x.shape)
    except ValueError:
        raise ValueError(
            f"where must have a shape that broadcasts to that of x, {x.shape}, got {result.shape}"
        ) from None


def out(
    value: object, x: Array, of: str = "x", *, name: str = "out", dtype: np.dtype[Any] | None = None
) -> Array | None:
    """Where the result goes, if the caller says so: like `x`, or of another `dtype`."""
    if value is None:
        return None
    result = written(name, value)
    if dtype is None or dtype == x.dtype:
        _same_form(name, result, x, of)
    else:
        if result.dtype != dtype:
            raise TypeError(f"{name} must have dtype {dtype} for quantize with that dtype, got {result.dtype}")
        _same_shape(name, result, x, of)
    writeable(name, result)
    return result


def out_of_shape(value: object, shape: Shape, x: Array) -> Array | None:
    """Where a result of another shape than the data's goes, if the caller says so."""
    if value is None:
        return None
    result = written("out", value)
    if result.dtype != x.dtype:
        raise TypeError(f"out must have dtype {x.dtype} to match the data, got {result.dtype}")
    if result.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {result.shape}")
    writeable("out", result)
    return result


def written(name: str, value: object) -> Array:
    """What the library writes to: an ndarray, lest the result go into a copy that nobody sees."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, since it is written to, got {type_name(value)}")
    _not_masked(name, value)
    return value


def writeable(name: str, value: Array) -> None:
    """An array that takes every element of a result."""
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    if overlaps_itself(value):
        raise ValueError(
            f"{name} must have a place of its own for every element, got shape {value.shape} with strides"
            f" {value.strides}"
        )


def apart(name: str, value: Array, other: str, values: Array) -> None:
    """Two arrays of which one is written to."""
    if overlap(value, values):
        raise ValueError(f"{name} must not share memory with {other}, got overlapping arrays")


def _in_memory(name: str, value: object) -> None:
    """Not a Dask collection: NumPy would compute the whole of it. Told by its module, which is not imported here."""
    if type(value).__module__.partition(".")[0] == "dask":
        raise TypeError(
            f"{name} must be an array in memory, got a Dask {type_name(value)}: use fastnorm.dask, or compute() it"
        )


def _without_bfloat16(value: Any) -> Any:
    """A bfloat16 tensor of PyTorch as an array, by way of int16, since NumPy does not know the type; else `value`."""
    torch: Any = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(value, getattr(torch, "Tensor", ()))
    if not is_tensor or value.dtype is not torch.bfloat16:
        return value
    if value.requires_grad:  # a view as integers would lose that without a word
        raise TypeError("a tensor that requires grad has to be detached: use tensor.detach()")
    return value.view(torch.int16).numpy().view(bfloat16())


def _same_form(name: str, value: Array, x: Array, of: str) -> None:
    if value.dtype != x.dtype:
        raise TypeError(f"{name} must have dtype {x.dtype} to match {of}, got {value.dtype}")
    _same_shape(name, value, x, of)


def _same_shape(name: str, value: Array, x: Array, of: str) -> None:
    if value.shape != x.shape:
        raise ValueError(f"{name} must have shape {x.shape} to match {of}, got {value.shape}")


def native(name: str, value: Array) -> None:
    """What to say of a dtype that is wrong in its byte order, before it is refused for its kind."""
    if not value.dtype.isnative:
        raise TypeError(f"{name} must have native byte order, got dtype {value.dtype}")


def _not_masked(name: str, value: Array) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array, whose mask would be ignored, got {type_name(value)}")

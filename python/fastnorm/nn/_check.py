"""Error texts of the layers: their own arguments and states. Everything else the functions check that they call."""

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .. import _validate as check
from .._dtypes import DATA, DATA_NAMES, bfloat16
from .._types import Array
from .._validate.texts import dtype_names

Shape = tuple[int, ...]

# How NumPy's files give bfloat16 back, whose name they cannot hold.
_STORED: Final = np.dtype("V2")
# Names of weight normalization in states of PyTorch, newer and older, behind whatever path.
_LENGTH_OR_DIRECTION: Final = re.compile(r"(.*\.)?(?:original(?P<new>[01])|weight_(?P<old>[gv]))")


def size(name: str, value: Any) -> int:
    """A number of features, channels or groups."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None
    if result < 1:
        raise ValueError(f"{name} must be at least 1, got {result}")
    return result


def normalized_shape(value: Any) -> Shape:
    """The lengths of the normalized axes; an integer is one of them."""
    shape = _several(value)
    if not shape:
        raise ValueError("normalized_shape must have one length or more, got none")
    return tuple(size("normalized_shape", n) for n in shape)


def axes(value: Any, number: int) -> Shape:
    """The normalized axes, as they were given; None are the last ones, so many."""
    return tuple(range(-number, 0)) if value is None else _several(value)


def divisor(num_groups: Any, channels: int, name: str) -> int:
    """A number of groups that the channels fall into evenly."""
    groups = size(name, num_groups)
    if channels % groups:
        raise ValueError(f"{name} must divide the {channels} channels, got {groups}")
    return groups


def data_dtype(value: npt.DTypeLike) -> np.dtype[Any]:
    """The dtype of parameters and running statistics."""
    result = np.dtype(value)
    if result not in DATA:
        raise TypeError(f"dtype must be {DATA_NAMES}, got {result}")
    return result


def momentum(value: float | None) -> float | None:
    """A share of the batch, or None for the cumulative average."""
    return None if value is None else check.momentum(value)


def dtype(x: Array, layer: str, arrays: Iterable[Array]) -> None:
    """Data must not be wider than the layer's parameters and running statistics."""
    for own in (array.dtype for array in arrays if array.dtype.kind != "i"):
        if own not in DATA[x.dtype].parameters:
            expected = dtype_names(d for d, support in DATA.items() if own in support.parameters)
            raise TypeError(
                f"x must have dtype {expected} for a layer {layer} with dtype {own}, got {x.dtype}:"
                f' pass dtype="{x.dtype}" to {layer}, or convert x'
            )


def features(x: Array, axis: int, number: int) -> None:
    """Data must have the layer's number of channels."""
    if x.shape[check.channel_axis(axis, x)] != number:
        raise ValueError(f"x must have {number} channels along axis {axis}, got x with shape {x.shape}")


def lengths(x: Array, axes: Shape, shape: Shape) -> None:
    """Data must have the layer's lengths along the normalized axes."""
    if len(axes) > x.ndim or tuple(x.shape[a] for a in check.normalized_axes(axes, x)) != shape:
        raise ValueError(f"x must have the lengths {shape} along axes {axes}, got x with shape {x.shape}")


def state(given: Mapping[str, Any], own: Mapping[str, Array], optional: tuple[str, ...]) -> dict[str, Array]:
    """What of a state goes into the layer's own arrays, by name."""
    if not isinstance(given, Mapping):
        raise TypeError(f"state must be a mapping of names to arrays, got {type(given).__name__}")
    if not own.keys() - set(optional) <= given.keys() <= own.keys():
        raise ValueError(
            f"state must have the keys {', '.join(own) or '(none)'}, got {', '.join(map(str, given)) or '(none)'}"
        )
    arrays = {name: check.array(name, value) for name, value in given.items()}
    arrays |= {name: array.view(bfloat16()) for name, array in arrays.items() if array.dtype == _STORED}
    for name, array in arrays.items():
        if array.shape != own[name].shape:
            raise ValueError(f"{name} must have shape {own[name].shape}, got {array.shape}")
        if not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
            raise TypeError(f"{name} must have a dtype that goes into {own[name].dtype}, got {array.dtype}")
    return arrays


def names_of_weight_norm(given: Any) -> Any:
    """A state with the layer's names in place of PyTorch's; one that has others as it is."""
    if not isinstance(given, Mapping):
        return given
    names = list(given)
    found = [match for name in names if (match := _LENGTH_OR_DIRECTION.fullmatch(str(name)))]
    own = [f"original{match['new'] or 'gv'.index(match['old'])}" for match in found]
    paths = {match[1] for match in found}
    if len(names) != 2 or set(own) != {"original0", "original1"} or len(paths) != 1:
        return given
    return dict(zip(own, given.values(), strict=True))


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if check.is_sequence(value) else (value,)

"""Every error text of the library, in the form: what, where, expected, got.

Each function checks one argument and returns it in the form that the rest of the library works with. Shapes and values
raise `ValueError`, types raise `TypeError`. Checks are ordered so that an ordinary argument passes in one comparison
or two.
"""

import math
import operator
import warnings
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, Final

import numpy as np

from ._core import ACTIVATIONS
from ._dtypes import DATA, DATA_NAMES, FLOAT64, STATISTICS
from ._layout import Layout, Shape, overlap, overlaps_itself
from ._types import Array, BatchWhiteningSaved, GradMask, Moments

# Far above any machine's number of processors, far below what makes a thread library give up.
MAX_THREADS: Final = 1024
MAX_MEGABYTES: Final = 1 << 20
# What a scale may be: float32 has it with all digits.
_LEAST_SCALE: Final = float(np.finfo(np.float32).tiny)
_MOST_SCALE: Final = float(np.finfo(np.float32).max)
# NumPy's limit on the dimensions of an array.
_MAX_DIMENSIONS: Final = 32 if np.__version__.startswith("1.") else 64


def _kind(value: object) -> str:
    return type(value).__name__


def _names(dtypes: Iterable[np.dtype[Any]]) -> str:
    *first, last = map(str, dtypes)
    return f"{', '.join(first)} or {last}" if first else last


def _of_axes(axes: Shape) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


# ---- arrays ----------------------------------------------------------------------------------------------------------


def array(name: str, value: object) -> Array:
    """Anything that NumPy can look at as an array, without a copy that it need not make; a plain ndarray always."""
    if type(value) is np.ndarray:
        return value
    if value is None:
        raise TypeError(f"{name} must be an array, got None")
    if isinstance(value, np.ndarray):
        _not_masked(name, value)
    try:
        result = np.asarray(value)
        if result.dtype == object and hasattr(value, "__dlpack__"):  # NumPy took the exporter for a scalar object
            result = np.from_dlpack(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, got {_kind(value)} that is none: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a foreign array type says when it cannot be read from the CPU
        raise TypeError(f"{name} must be an array, got {_kind(value)} that is none: {error}") from error
    return result


def data(name: str, value: object) -> Array:
    """The array that is normalized."""
    result = array(name, value)
    if result.dtype not in DATA:
        _native(name, result)
        raise TypeError(f"{name} must have dtype {DATA_NAMES}, got {result.dtype}")
    return result


def like(name: str, value: object, x: Array, of: str = "x") -> Array:
    """An array that goes with `x`, whose name is `of`, element by element."""
    result = array(name, value)
    _same_form(name, result, x, of)
    return result


def out(
    value: object, x: Array, of: str = "x", *, name: str = "out", dtype: np.dtype[Any] | None = None
) -> Array | None:
    """Where the result goes, if the caller says so: like `x`, or of another `dtype`."""
    if value is None:
        return None
    result = _written(name, value)
    if dtype is None or dtype == x.dtype:
        _same_form(name, result, x, of)
    else:
        if result.dtype != dtype:
            raise TypeError(f"{name} must have dtype {dtype} for quantize with that dtype, got {result.dtype}")
        _same_shape(name, result, x, of)
    _writeable(name, result)
    return result


def outs(value: object, x: Array, dtype: np.dtype[Any]) -> tuple[Array | None, Array | None]:
    """Where the two results of a fused sum go: an array for y, or a pair for y and h."""
    if not isinstance(value, tuple):
        return out(value, x, dtype=dtype), None
    if len(value) != 2:
        raise ValueError(f"out must be an array or a pair (y, h), got a tuple of {len(value)}")
    y, h = out(value[0], x, name="out[0]", dtype=dtype), out(value[1], x, name="out[1]")
    if y is not None and h is not None:
        _apart("out[0]", y, "out[1]", h)
    return y, h


def parameter(name: str, value: object, layout: Layout, x: Array, of: str = "x") -> Array | None:
    """A weight or a bias, in its own dtype."""
    return None if value is None else per_channel(name, value, layout, x, of)


def per_channel(name: str, value: object, layout: Layout, x: Array, of: str = "x") -> Array:
    """An array with one value per index of the parameter axes, of the dtype of `x` or a wider one."""
    result = array(name, value)
    _dtype_of_parameter(name, result, x, of)
    if result.shape != layout.parameters:
        raise ValueError(
            f"{name} must have shape {layout.parameters} to match {_of_axes(layout.axes)} of {of} with shape"
            f" {layout.shape}, got {result.shape}"
        )
    return result


def statistic(name: str, value: object, layout: Layout, of: str = "x") -> Array:
    """A statistic that a forward pass saved."""
    result = array(name, value)
    _dtype_of_statistic(name, result)
    if result.shape != layout.statistics:
        raise ValueError(
            f"{name} must have shape {layout.statistics} to match the statistics of {of} with shape {layout.shape},"
            f" got {result.shape}"
        )
    return result


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
    running_mean, running_var = _buffer("running_mean", mean, layout, x), _buffer("running_var", var, layout, x)
    _apart("running_var", running_var, "running_mean", running_mean)
    for other, value in {"x": x, **others}.items():
        if value is not None:
            values = array(other, value)
            _apart("running_mean", running_mean, other, values)
            _apart("running_var", running_var, other, values)
    return running_mean, running_var


def _buffer(name: str, value: object, layout: Layout, x: Array) -> Array:
    buffer = per_channel(name, _written(name, value), layout, x)
    _writeable(name, buffer)
    return buffer


def _apart(name: str, value: Array, other: str, values: Array) -> None:
    if overlap(value, values):
        raise ValueError(f"{name} must not share memory with {other}, got overlapping arrays")


def _same_form(name: str, value: Array, x: Array, of: str) -> None:
    if value.dtype != x.dtype:
        raise TypeError(f"{name} must have dtype {x.dtype} to match {of}, got {value.dtype}")
    _same_shape(name, value, x, of)


def _same_shape(name: str, value: Array, x: Array, of: str) -> None:
    if value.shape != x.shape:
        raise ValueError(f"{name} must have shape {x.shape} to match {of}, got {value.shape}")


def _dtype_of_parameter(name: str, value: Array, x: Array, of: str) -> None:
    if value.dtype not in DATA[x.dtype].parameters:
        _native(name, value)
        expected = _names(DATA[x.dtype].parameters)
        raise TypeError(f"{name} must have dtype {expected} for {of} with dtype {x.dtype}, got {value.dtype}")


def _dtype_of_statistic(name: str, value: Array) -> None:
    if value.dtype not in STATISTICS:
        _native(name, value)
        raise TypeError(f"{name} must have dtype {_names(STATISTICS)}, got {value.dtype}")


def _native(name: str, value: Array) -> None:
    if not value.dtype.isnative:
        raise TypeError(f"{name} must have native byte order, got dtype {value.dtype}")


def _written(name: str, value: object) -> Array:
    """What the library writes to: an ndarray, lest the result go into a copy that nobody sees."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, since it is written to, got {_kind(value)}")
    _not_masked(name, value)
    return value


def _not_masked(name: str, value: Array) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array, whose mask would be ignored, got {_kind(value)}")


def _writeable(name: str, value: Array) -> None:
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    if overlaps_itself(value):
        raise ValueError(
            f"{name} must have a place of its own for every element, got shape {value.shape} with strides"
            f" {value.strides}"
        )


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


# ---- weights ---------------------------------------------------------------------------------------------------------


def filter_axis(value: object, w: Array, of: str) -> int:
    """The axis along which weights, whose name is `of`, have one filter per index, counted from the front."""
    if w.ndim == 0:
        raise ValueError(f"{of} must have one or more dimensions, got {of} with shape ()")
    return _axis(value, w, of)


def length(value: object, layout: Layout, v: Array) -> Array:
    """The lengths of weight normalization, as they broadcast against `v`, in their own dtype."""
    result = array("g", value)
    _dtype_of_parameter("g", result, v, "v")
    _one_per_filter("g", result, layout)
    return result


def norm(value: object, layout: Layout) -> Array:
    """The norms that a forward pass saved."""
    result = array("norm", value)
    _dtype_of_statistic("norm", result)
    _one_per_filter("norm", result, layout)
    return result


def _one_per_filter(name: str, value: Array, layout: Layout) -> None:
    if not layout.axes:
        if value.size != 1:
            raise ValueError(f"{name} must have one element for axis=None, got shape {value.shape}")
        return
    shape = tuple(n if axis in layout.axes else 1 for axis, n in enumerate(layout.shape))
    if value.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape} to match {_of_axes(layout.axes)} of v with shape {layout.shape},"
            f" got {value.shape}"
        )


def several_weights(layout: Layout) -> None:
    """A variance that is divided by the number of weights less one needs two."""
    if layout.group_size == 1:
        raise ValueError(f"mode 'std_unbiased' needs two or more weights per filter, got w with shape {layout.shape}")


def groups_of_weight(value: object, weight: Array) -> int:
    """How many groups the channels on axis 0 of a layer's weight fall into."""
    groups = _integer("groups", value)
    if groups < 1:
        raise ValueError(f"groups must be positive, got {groups}")
    if weight.shape[0] % groups:
        raise ValueError(
            f"groups must divide the {weight.shape[0]} channels on axis 0 of weight with shape {weight.shape},"
            f" got {groups}"
        )
    return groups


def variances(name: str, value: Array) -> Array:
    """Variances of channels that a constant can be made of."""
    values = value.astype(FLOAT64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if bad.size:
        raise ValueError(f"{name} must be finite and >= 0 to be folded, got {values[bad[0]]} for channel {bad[0]}")
    return values


def representable(name: str, value: Array) -> Array:
    """A folded parameter after rounding: an infinite one would be NaN or infinity in every output."""
    wrong = ~np.isfinite(value)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"the folded {name} must be finite in {value.dtype}, got {value[at]} at {at}")
    return value


# ---- whitening -------------------------------------------------------------------------------------------------------


def samples(name: str, value: object, width: int | None = None, of: str = "features") -> Array:
    """A table of samples, `width` columns wide if that is given."""
    result = data(name, value)
    if result.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, samples and {of}, got {name} with shape {result.shape}")
    if width is None and result.shape[1] == 0:
        raise ValueError(f"{name} must have one or more {of}, got {name} with shape {result.shape}")
    if width is not None and result.shape[1] != width:
        raise ValueError(f"{name} must have {width} {of}, as the fit has, got {name} with shape {result.shape}")
    return result


def same_features(name: str, value: int, expected: int) -> None:
    """A fit that goes with another one."""
    if value != expected:
        raise ValueError(f"{name} must have {expected} features, as this fit has, got {value}")


def finite_features(sums: Array, squares: Array) -> None:
    """Sums and sums of squares, about some origin, of data that something can be fitted to."""
    bad = np.flatnonzero(~(np.isfinite(sums) & np.isfinite(squares)))
    if bad.size:
        what = "NaN, inf or squares beyond the range of float64"
        raise ValueError(f"x must be finite, got {what} in column {bad[0]} ({bad.size} of {sums.size} columns)")


def ddof_of_samples(value: object, x: Array) -> float:
    """What is taken off the number of samples, which must leave something to divide by."""
    result = _number("ddof", value, "a finite number >= 0", 0.0, math.inf)
    if result >= len(x):
        raise ValueError(f"ddof must be less than the {len(x)} samples of x with shape {x.shape}, got {value}")
    return result


def components(value: object, method: str, x: Array) -> int | None:
    """How many components are kept, if not all."""
    if value is None:
        return None
    result = _integer("n_components", value)
    if not method.startswith("pca"):
        raise ValueError(f"n_components must be None for method {method!r}, got {result}")
    if not 1 <= result <= x.shape[1]:
        raise ValueError(f"n_components must be from 1 to the {x.shape[1]} features of x, got {result}")
    return result


def out_of_shape(value: object, shape: Shape, x: Array) -> Array | None:
    """Where a result of another shape than the data's goes, if the caller says so."""
    if value is None:
        return None
    result = _written("out", value)
    if result.dtype != x.dtype:
        raise TypeError(f"out must have dtype {x.dtype} to match the data, got {result.dtype}")
    if result.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {result.shape}")
    _writeable("out", result)
    return result


def full_rank(values: Array, d: int, eps: float) -> None:
    """Eigenvalues of d x d matrices that can be inverted."""
    if eps == 0.0 and (values.min(axis=-1) <= d * 2.0**-52 * values.max(axis=-1)).any():
        raise singular(eps)


def singular(eps: float) -> np.linalg.LinAlgError:
    """What to raise for a covariance that cannot be inverted."""
    more = "pass eps > 0" if eps == 0.0 else f"pass eps > {eps}"
    return np.linalg.LinAlgError(f"the covariance has no full rank: {more}")


def iterations(value: object) -> int:
    """A number of steps."""
    result = _integer("iterations", value)
    if result < 0:
        raise ValueError(f"iterations must be >= 0, got {result}")
    return result


def covariances(name: str, value: object, shape: Shape, x: Array) -> Array:
    """A square matrix for every group of channels, of the dtype of `x` or a wider one."""
    result = array(name, value)
    _dtype_of_parameter(name, result, x, "x")
    if result.shape != shape:
        raise ValueError(f"{name} must have shape {shape} to match x with shape {x.shape}, got {result.shape}")
    return result


def running_covariances(
    mean: object, cov: object, layout: Layout, shape: Shape, x: Array, others: dict[str, object]
) -> tuple[Array, Array] | None:
    """As `running`, with a covariance for every group of channels."""
    if mean is None and cov is None:
        return None
    if mean is None or cov is None:
        missing = "running_mean" if mean is None else "running_cov"
        raise ValueError(f"running_mean and running_cov must be given together, got {missing}=None")
    buffers = {
        "running_mean": _buffer("running_mean", mean, layout, x),
        "running_cov": covariances("running_cov", _written("running_cov", cov), shape, x),
    }
    _writeable("running_cov", buffers["running_cov"])
    _apart("running_cov", buffers["running_cov"], "running_mean", buffers["running_mean"])
    for other, value in {"x": x, **others}.items():
        for name, buffer in buffers.items():
            if value is not None:
                _apart(name, buffer, other, array(other, value))
    return buffers["running_mean"], buffers["running_cov"]


def whitening_saved(value: object, x: Array) -> BatchWhiteningSaved:
    """What the forward pass of batch whitening returned for data of the shape of `x`."""
    kind("saved", value, BatchWhiteningSaved)
    assert isinstance(value, BatchWhiteningSaved)
    axis, groups = value.axis, value.groups
    channels = x.shape[axis] if 0 <= axis < x.ndim else -1
    stack = (groups, channels // max(groups, 1), channels // max(groups, 1))
    shapes = {"mean": (channels,), "matrix": stack, "covariance": stack}
    if value.method == "zca":
        shapes |= {"eigenvalues": stack[:2], "eigenvectors": stack}
    for name, shape in shapes.items():
        field = getattr(value, name)
        if not isinstance(field, np.ndarray) or field.shape != shape or field.dtype != FLOAT64:
            raise ValueError(f"saved must come from a forward pass of x with shape {x.shape}, got another {name}")
    return value


def samples_of_covariance(samples: int, features: int) -> None:
    """Warn of a batch too small for the covariances that it is whitened with."""
    if 0 < samples <= features:
        warnings.warn(
            f"{samples} values per channel give the covariance of {features} channels a rank of at most {samples - 1}:"
            f" directions without variance are scaled by 1 / sqrt(eps)",
            RuntimeWarning,
            stacklevel=3,
        )


# ---- fused steps -----------------------------------------------------------------------------------------------------


def activation(value: object) -> int:
    """The number that the core has for an activation, 0 for none."""
    if value is None:
        return 0
    return ACTIVATIONS[choice("activation", value, tuple(ACTIVATIONS))]


def quantization(scale: object, zero_point: object, dtype: Any) -> tuple[Array, Array, np.dtype[Any]]:
    """Scale in float64, zero point in its own dtype, dtype of bytes."""
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be int8 or uint8, got {dtype!r}") from error
    if kind not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise TypeError(f"dtype must be int8 or uint8, got {kind}")
    scales, zeros = _real("scale", scale), array("zero_point", zero_point)
    if not (np.isfinite(scales) & (scales >= _LEAST_SCALE) & (scales <= _MOST_SCALE)).all():
        raise ValueError(f"scale must be finite and > 0, a normal number of float32, got {scale}")
    if zeros.dtype.kind not in "iu":
        raise TypeError(f"zero_point must have an integer dtype, got {zeros.dtype}")
    limits = np.iinfo(kind)
    if not ((zeros >= limits.min) & (zeros <= limits.max)).all():
        raise ValueError(f"zero_point must be from {limits.min} to {limits.max} for {kind}, got {zero_point}")
    return scales, zeros, kind


def quantization_shape(scale: Array, zero_point: Array, layout: Layout) -> Shape:
    """The shape of scale and zero point together: () or that of the weight."""
    for name, values in (("scale", scale), ("zero_point", zero_point)):
        if values.shape not in ((), layout.parameters):
            raise ValueError(
                f"{name} must have shape () or {layout.parameters} to match {_of_axes(layout.axes)} of x with shape"
                f" {layout.shape}, got {values.shape}"
            )
    return () if scale.shape == zero_point.shape == () else layout.parameters


# ---- moments ---------------------------------------------------------------------------------------------------------


def moments(parts: object) -> list[Moments]:
    """Moments of one shape in float64."""
    if isinstance(parts, Moments) or not isinstance(parts, Iterable):
        raise TypeError(f"parts must be a sequence of Moments, got {_kind(parts)}")
    result = [_moments(f"parts[{i}]", part) for i, part in enumerate(parts)]
    if not result:
        raise ValueError("parts must be one or more, got none")
    shapes = [values.shape for part in result for values in part]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"parts must have shapes that broadcast, got {', '.join(map(str, shapes))}") from None
    return [Moments(*(np.array(np.broadcast_to(values, shape)) for values in part)) for part in result]


def _moments(name: str, value: Any) -> Moments:
    try:
        count, mean, m2 = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a triple (count, mean, m2), got {_kind(value)}") from None
    part = Moments(*(_real(f"{name}.{field}", v) for field, v in (("count", count), ("mean", mean), ("m2", m2))))
    if not (np.isfinite(part.count) & (part.count >= 0)).all():
        raise ValueError(f"{name}.count must be finite and >= 0, got {part.count}")
    return part


def count(value: object, layout: Layout) -> Array:
    """How many values per channel a whole batch has: one number, or one for each channel."""
    result = _real("count", value)
    if result.shape not in ((), layout.statistics):
        raise ValueError(f"count must have shape () or {layout.statistics}, got {result.shape}")
    if 0 not in layout.shape and not (np.isfinite(result) & (result > 0)).all():
        raise ValueError(f"count must be finite and > 0, got {result}")
    return result


def _real(name: str, value: object) -> Array:
    """Numbers, in float64."""
    result = array(name, value)
    if result.dtype.kind not in "iuf":
        raise TypeError(f"{name} must have a real dtype, got {result.dtype}")
    return result.astype(FLOAT64)


# ---- axes and groups -------------------------------------------------------------------------------------------------


def channel_axis(value: object, x: Array) -> int:
    """The channel axis, counted from the front, of data with two or more dimensions."""
    if x.ndim < 2:
        raise ValueError(f"x must have two or more dimensions, got x with shape {x.shape}")
    return _axis(value, x)


def channel_axis_of_samples(value: object, x: Array) -> int:
    """The same where axis 0 is the sample axis."""
    axis = channel_axis(value, x)
    if axis == 0:
        raise ValueError(f"axis must not be 0, the sample axis of x with shape {x.shape}, got {value}")
    return axis


def normalized_axes(value: object, x: Array, of: str = "x") -> Shape:
    """One or more axes of `x`, whose name is `of`, counted from the front, in ascending order."""
    if x.ndim == 0:
        raise ValueError(f"{of} must have one or more dimensions, got {of} with shape ()")
    if not isinstance(value, tuple):
        return (_axis(value, x, of),)
    if not value:
        raise ValueError("axis must name one axis or more, got ()")
    axes = tuple(sorted(_axis(entry, x, of) for entry in value))
    if len(set(axes)) != len(axes):
        raise ValueError(f"axis must not repeat an axis of {of} with shape {x.shape}, got {value}")
    return axes


def num_groups(value: object, x: Array, axis: int, name: str = "num_groups", of: str = "group_norm") -> int:
    """How many groups the channels fall into."""
    groups = _integer(name, value)
    channels = x.shape[axis]
    if groups < 1:
        raise ValueError(f"{name} must be positive, got {groups}")
    if channels % groups:
        raise ValueError(
            f"{name} must divide the {channels} channels on axis {axis} of x with shape {x.shape}, got {groups}"
        )
    if x.ndim == _MAX_DIMENSIONS and 1 < groups < channels:
        raise ValueError(f"x must have at most {_MAX_DIMENSIONS - 1} dimensions for {of}, got {x.ndim}")
    return groups


def _axis(value: object, x: Array, of: str = "x") -> int:
    axis = _integer("axis", value)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be from {-x.ndim} to {x.ndim - 1} for {of} with shape {x.shape}, got {axis}")
    return axis % x.ndim


def _integer(name: str, value: Any) -> int:
    if type(value) is int:
        return value
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, got {_kind(value)}")


# ---- numbers ---------------------------------------------------------------------------------------------------------


def eps(value: object) -> float:
    """What is added inside the square root."""
    return _number("eps", value, "a finite number >= 0", 0.0, math.inf)


def momentum(value: object) -> float:
    """The share of the batch in the running statistics."""
    return _number("momentum", value, "a number from 0 to 1", 0.0, 1.0)


def scale(value: object) -> float:
    """What the weight is multiplied by."""
    return _number("scale", value, "a finite number", -math.inf, math.inf)


def offset(value: object) -> float:
    """What is added to the weight."""
    return _number("offset", value, "a finite number", -math.inf, math.inf)


def ddof(value: object, layout: Layout, updates: bool) -> float:
    """What is taken off the count in the running variance, which must leave something to divide by."""
    result = _number("ddof", value, "a finite number >= 0", 0.0, math.inf)
    if updates and 0 not in layout.shape and result >= layout.group_size:
        raise ValueError(
            f"ddof must be less than the {layout.group_size} values per channel of x with shape {layout.shape},"
            f" got {value}"
        )
    return result


def several_values(layout: Layout, x: Array) -> None:
    """A variance that is trained with needs two values."""
    if layout.group_size == 1 and x.size:
        raise ValueError(f"expected more than one value per channel when training, got x with shape {x.shape}")


def _number(name: str, value: object, expected: str, low: float, high: float) -> float:
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
            raise TypeError(f"{name} must be {expected}, got {_kind(value)}")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError(f"{name} must be {expected}, got an integer that no float can hold") from None
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name} must be {expected}, got {value}")
    return value


def grad_mask(value: object) -> GradMask:
    """Which of dx, dweight and dbias are wanted."""
    if type(value) is tuple and len(value) == 3 and type(value[0]) is type(value[1]) is type(value[2]) is bool:
        return value
    if not isinstance(value, Sequence) or not all(isinstance(entry, (bool, np.bool_)) for entry in value):
        raise TypeError(f"grad_mask must be three booleans (dx, dweight, dbias), got {_text(value)}")
    if len(value) != 3:
        raise ValueError(f"grad_mask must be three booleans (dx, dweight, dbias), got {len(value)}")
    return bool(value[0]), bool(value[1]), bool(value[2])


def training(value: object) -> bool:
    """Whether the statistics were the batch's own."""
    return boolean("training", value)


def boolean(name: str, value: object) -> bool:
    """A choice of two."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a boolean, got {_kind(value)}")
    return bool(value)


def kind(name: str, value: object, expected: type) -> None:
    """An instance of a class of ours."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be a {expected.__name__}, got {_kind(value)}")


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"{_kind(value)} of {', '.join(_kind(entry) for entry in value[:4])}"
    return _kind(value)


# ---- runtime ---------------------------------------------------------------------------------------------------------


def num_threads(value: object) -> int:
    """A number of threads."""
    n = _integer("n", value)
    if not 1 <= n <= MAX_THREADS:
        raise ValueError(f"n must be from 1 to {MAX_THREADS}, got {n}")
    return n


def megabytes(value: object) -> int:
    """How much memory the pool may keep."""
    n = _integer("megabytes", value)
    if not 0 <= n <= MAX_MEGABYTES:
        raise ValueError(f"megabytes must be from 0 to {MAX_MEGABYTES}, got {n}")
    return n


def choice(name: str, value: object, choices: Sequence[str]) -> str:
    """One of a few names."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {_kind(value)}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value

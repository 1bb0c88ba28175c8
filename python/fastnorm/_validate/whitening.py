"""Whitening: tables of samples, covariances, what a forward pass saved."""

import math
import warnings

import numpy as np

from .._dtypes import FLOAT64
from .._layout import Layout, Shape
from .._types import Array, BatchWhiteningSaved
from .arrays import apart, array, data, numbers, writeable, written
from .parameters import dtype_of_parameter, running_buffer
from .scalars import integer, kind, number


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
    result = number("ddof", value, "a finite number >= 0", 0.0, math.inf)
    if result >= len(x):
        raise ValueError(f"ddof must be less than the {len(x)} samples of x with shape {x.shape}, got {value}")
    return result


def components(value: object, method: str, x: Array) -> int | None:
    """How many components are kept, if not all."""
    if value is None:
        return None
    result = integer("n_components", value)
    if not method.startswith("pca"):
        raise ValueError(f"n_components must be None for method {method!r}, got {result}")
    if not 1 <= result <= x.shape[1]:
        raise ValueError(f"n_components must be from 1 to the {x.shape[1]} features of x, got {result}")
    return result


def full_rank(values: Array, d: int, eps: float) -> None:
    """Eigenvalues of d x d matrices that can be inverted."""
    if eps == 0.0 and (values.min(axis=-1) <= d * 2.0**-52 * values.max(axis=-1)).any():
        raise singular(eps)


def singular(eps: float) -> np.linalg.LinAlgError:
    """What to raise for a covariance that cannot be inverted."""
    more = "pass eps > 0" if eps == 0.0 else f"pass eps > {eps}"
    return np.linalg.LinAlgError(f"the covariance has no full rank: {more}")


def covariances(name: str, value: object, shape: Shape, x: Array) -> Array:
    """A square matrix for every group of channels, of the dtype of `x` or a wider one."""
    result = numbers(name, value)
    dtype_of_parameter(name, result, x, "x")
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
        "running_mean": running_buffer("running_mean", mean, layout, x),
        "running_cov": covariances("running_cov", written("running_cov", cov), shape, x),
    }
    writeable("running_cov", buffers["running_cov"])
    apart("running_cov", buffers["running_cov"], "running_mean", buffers["running_mean"])
    for other, value in {"x": x, **others}.items():
        for name, buffer in buffers.items():
            if value is not None:
                apart(name, buffer, other, array(other, value))
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

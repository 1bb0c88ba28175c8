"""Whitening: tables of samples, covariances, what a forward pass saved."""

import math
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from .._dtypes import FLOAT64
from .._layout import Layout, Shape
from .._shrinkage import ESTIMATORS
from .._types import Array, BatchWhiteningSaved
from .arrays import apart, array, data, numbers, writeable, written
from .parameters import dtype_of_parameter, running_buffer
from .scalars import choice, integer, kind, number
from .texts import type_name


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


def finite_features(finite: Array, columns: Array, width: int) -> None:
    """Columns of data that something can be fitted to."""
    bad = columns[~finite]
    if bad.size:
        raise ValueError(f"x must be finite, got NaN or inf in column {bad[0]} ({bad.size} of {width} columns)")


def ddof_of_samples(value: object) -> float:
    """What is taken off the number of samples."""
    return number("ddof", value, "a finite number >= 0", 0.0, math.inf)


def samples_for_ddof(ddof: float, samples: int) -> None:
    """Samples that something is left of to divide by."""
    if ddof >= samples:
        raise ValueError(f"ddof must be less than the number of samples, got ddof {ddof:g} and {samples} samples")


def components(value: object, method: str, x: Array) -> int | float | None:
    """How many components are kept, or what share of the variance, if not all."""
    if value is None:
        return None
    if not method.startswith("pca"):
        raise ValueError(f"n_components must be None for method {method!r}, got {value}")
    if isinstance(value, (float, np.floating)):
        result = float(value)
        if not 0.0 < result < 1.0:
            raise ValueError(f"n_components must be an integer or a share between 0 and 1, got {value}")
        return result
    count = integer("n_components", value)
    if not 1 <= count <= x.shape[1]:
        raise ValueError(f"n_components must be from 1 to the {x.shape[1]} features of x, got {count}")
    return count


def shrinkage(value: object, method: str) -> float | Literal["ledoit-wolf", "oas"] | None:
    """A coefficient, or the name of what estimates it."""
    if value is None:
        return None
    if not isinstance(value, str):
        return number("shrinkage", value, "a number from 0 to 1, 'ledoit-wolf', 'oas' or None", 0.0, 1.0)
    if choice("shrinkage", value, ESTIMATORS) == "oas":
        return "oas"
    if method.endswith("-cor"):
        raise ValueError(f"shrinkage must be a number, 'oas' or None for method {method!r}, got 'ledoit-wolf'")
    return "ledoit-wolf"


def power(value: object, method: str) -> float:
    """What eigenvalues are raised to."""
    result = number("power", value, "a finite number >= 0", 0.0, math.inf)
    if result != 1.0 and method.startswith("cholesky"):
        raise ValueError(f"power must be 1 for method {method!r}, which has no eigenvectors, got {value}")
    return result


def solver_of_method(solver: str, method: str) -> None:
    """How the decomposition is found, by what has one."""
    if solver == "dual" and method.startswith("cholesky"):
        raise ValueError(f"solver must not be 'dual' for method {method!r}, which has no eigenvectors")


def fits(name: str, value: object, kind_of_fit: type) -> list[Any]:
    """One or more fits of as many features, as a list."""
    if isinstance(value, kind_of_fit) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a sequence of {kind_of_fit.__name__}, got {type_name(value)}")
    result = list(value)
    if not result:
        raise ValueError(f"{name} must have one or more fits, got none")
    for i, fit in enumerate(result):
        kind(f"{name}[{i}]", fit, kind_of_fit)
    return result


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

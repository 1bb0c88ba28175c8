"""Rows that normalization kernels have failed on: large means, outliers, extreme ranges, constants, public bug reports.

`rows` yields them by name, rounded to a dtype; the reference is to be given these rounded values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[Any]
Family = Callable[[int, np.random.Generator], Row]

EPS: Final = (0.0, 1e-5)


def _normal(mean: float, std: float = 1.0) -> Family:
    return lambda n, rng: mean + std * rng.standard_normal(n)


def _uniform(low: float, high: float) -> Family:
    return lambda n, rng: rng.uniform(low, high, n)


def _constant(value: float) -> Family:
    return lambda n, rng: np.full(n, value)


def _cycle(*values: float) -> Family:
    return lambda n, rng: np.resize(np.array(values), n)


def _outlier(value: float, at: float) -> Family:
    """Normal data with one entry, at this fraction of the length, set to the value."""

    def row(n: int, rng: np.random.Generator) -> Row:
        x = rng.standard_normal(n)
        x[int(at * n) : int(at * n) + 1] = value
        return x

    return row


def _bump(n: int, rng: np.random.Generator) -> Row:
    """A constant but for one entry, which is the next float32."""
    x = np.full(n, 1234.0)
    x[n // 2 : n // 2 + 1] = np.nextafter(np.float32(1234.0), np.float32(2000.0))
    return x


def _steps(n: int, rng: np.random.Generator) -> Row:
    return np.arange(n) // max(n // 8, 1) * 1e3 + rng.standard_normal(n)


def _halves(n: int, rng: np.random.Generator) -> Row:
    return np.where(np.arange(n) < n // 2, -1e4, 1e4) + rng.standard_normal(n)


def _atypical_start(n: int, rng: np.random.Generator) -> Row:
    """The first 64 entries, from which a pivot may be sampled, are far from the others and spread less."""
    start = np.arange(n) < 64
    return np.where(start, 1e5 + 1e-2 * rng.standard_normal(n), rng.standard_normal(n))


def _cancelling(n: int, rng: np.random.Generator) -> Row:
    """Neighbours that cancel almost, at growing size."""
    size = np.logspace(0, 6, n) if n else np.empty(0)
    return np.where(np.arange(n) % 2 == 0, size, -size) + rng.standard_normal(n)


def _huge_uniform(n: int, rng: np.random.Generator) -> Row:
    return 3e38 * rng.uniform(0.9, 1.0, n)


def _spiky(n: int, rng: np.random.Generator) -> Row:
    """Small but for a few large entries."""
    x = 1e-4 * rng.standard_normal(n)
    x[::97] = 1e4 * rng.standard_normal(len(x[::97]))
    return x


def _counting(mean: float) -> Family:
    return lambda n, rng: mean + 1e-3 * np.arange(n)


FAMILIES: Final[dict[str, Family]] = {
    # Means from none to a million standard deviations.
    "normal": _normal(0),
    "mean 10": _normal(10),
    "mean 1e2": _normal(1e2),
    "mean 1e3": _normal(1e3),
    "mean 1e4": _normal(1e4),
    "mean 1e5": _normal(1e5),
    "mean 1e6": _normal(1e6),
    "mean -1e6": _normal(-1e6),
    "mean 1e12": _normal(1e12),  # for float64; constants in narrower types
    "mean 1e4 std 1e-2": _normal(1e4, 1e-2),
    "uniform": _uniform(0, 1),
    # Shapes that defeat a pivot, a single long sum, or both.
    "outlier 1e6 first": _outlier(1e6, 0.0),
    "outlier 1e6 middle": _outlier(1e6, 0.5),
    "outlier 1e9 first": _outlier(1e9, 0.0),
    "outlier 1e9 middle": _outlier(1e9, 0.5),
    "steps": _steps,
    "ramp": lambda n, rng: np.sort(rng.standard_normal(n)) * 1e3,
    "ramp down": lambda n, rng: np.sort(rng.uniform(0, 1e6, n))[::-1],
    "halves": _halves,
    "log-normal": lambda n, rng: rng.lognormal(0.0, 3.0, n),
    "atypical start": _atypical_start,
    "cancelling": _cancelling,
    # Constants, and almost.
    "zeros": _constant(0.0),
    "constant 1234": _constant(1234.0),
    "constant 0.1": _constant(0.1),
    "constant 3.4e38": _constant(3.4e38),
    "constant 1e-42": _constant(1e-42),
    "bump": _bump,
    # Ranges whose squares overflow or vanish in float32.
    "scale 1e18": _normal(0, 1e18),
    "scale 1e30": _normal(0, 1e30),
    "plus minus 3e38": _cycle(3e38, -3e38, -3e38, 3e38, 3e38),
    "near the largest": _huge_uniform,
    "scale 1e-20": _normal(0, 1e-20),
    "scale 1e-25": _normal(0, 1e-25),
    "scale 1e-40": _normal(0, 1e-40),
    "spikes": _spiky,
    # Public reports: onnxruntime#28463, mlx#2238, burn#5607, pytorch#51102, pytorch#40307, pytorch#108072.
    "onnxruntime 28463": _cycle(40000, 40001, 40002, 40003),
    "onnxruntime 28463, 80000": _cycle(80000, 80001, 80002, 80003),
    "mlx 2238": _uniform(1449.5, 1450.5),
    "burn 5607, 0": _counting(0),
    "burn 5607, 100": _counting(1e2),
    "burn 5607, 1e3": _counting(1e3),
    "burn 5607, 1e4": _counting(1e4),
    "pytorch 51102": _normal(2000),
    "pytorch 40307": _normal(100, 1e-2),
    "pytorch 108072": _constant(14.0),
}


def row(name: str, n: int, dtype: npt.DTypeLike = np.float32, seed: int = 0) -> npt.NDArray[Any]:
    """Return `n` values of a family, rounded to `dtype`."""
    rng = np.random.default_rng([seed, n, *name.encode()])
    with np.errstate(over="ignore"):
        return FAMILIES[name](n, rng).astype(np.float32 if np.dtype(dtype).itemsize < 4 else dtype).astype(dtype)


def rows(
    n: int, dtype: npt.DTypeLike = np.float32, names: Iterable[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield name and row of every family, or of those named, whose values are finite in `dtype`."""
    for name in FAMILIES if names is None else names:
        x = row(name, n, dtype, seed)
        if np.isfinite(x.astype(np.float64)).all():
            yield name, x


def batch(n: int, dtype: npt.DTypeLike = np.float32, seed: int = 0) -> npt.NDArray[Any]:
    """Return all these rows in one array of shape (families, n)."""
    return np.stack([x for _, x in rows(n, dtype, seed=seed)])

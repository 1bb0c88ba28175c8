"""One computation that several libraries can do: what the demonstration and the benchmarks compare.

A library is anything that has the functions of :mod:`fastnorm` with their names, arguments and results:
fastnorm itself, its reference, the plain NumPy code. What the outputs of a problem must be, judge.py says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_SUFFIX = {"inference": "", "fit, map": "", "forward": "_forward", "backward": "_backward"}
# What a backward finds in what its forward saved; of the other operations bias and eps.
_FORWARD_ONLY = {"batch_whitening": ("axis", "groups", "method")}


@dataclass(frozen=True)
class Problem:
    """One pass of an operation on given arrays.

    Attributes
    ----------
    op : str
        Name of the operation, as ``"layer_norm"``.
    direction : str
        ``"inference"``, ``"forward"`` (training), ``"backward"``, or ``"fit, map"`` of data whitening.
    layout : str
        What the axes are, for people to read, as ``"NCHW"``.
    data : ndarray
        The array that is normalized.
    arguments : mapping
        Keyword arguments of the forward pass.
    gradient : ndarray, optional
        Gradient of the output, for the backward.
    backward : mapping
        Keyword arguments of the backward pass alone.
    """

    op: str
    direction: str
    layout: str
    data: Array
    arguments: Mapping[str, Any] = field(repr=False)
    gradient: Array | None = field(default=None, repr=False)
    backward: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def call(self, library: Any, **more: Any) -> Callable[[], Any]:
        """Return the call in a library, to be made and timed. A backward gets what the library's forward saved."""
        function = getattr(library, self.op + _SUFFIX[self.direction])
        if self.direction != "backward":
            return functools.partial(function, **self.arguments, **more)
        saved = getattr(library, f"{self.op}_forward")(**self.arguments)
        kept = dict(zip(saved._fields[1:], saved[1:], strict=True))
        left = _FORWARD_ONLY.get(self.op, ("bias", "eps"))
        arguments = {name: value for name, value in self.arguments.items() if name not in left}
        return functools.partial(function, self.gradient, **arguments, **kept, **self.backward, **more)

    @property
    def axis(self) -> int:
        """The axis of the channels, or the one normalized axis, from 0 on."""
        default = -1 if self.op in ("layer_norm", "rms_norm") else 1
        return int(self.arguments.get("axis", default)) % self.data.ndim

    @property
    def streams(self) -> int:
        """How many arrays of the data's size cross the memory at least: read, or written.

        Statistics of a batch need a sweep of their own over data that no cache holds, and so do those of filters that
        stand in columns.
        """
        columns = self.op.startswith("weight_") and self.arguments["axis"] == -1
        sweeps_twice = columns or (self.op == "batch_norm" and self.direction != "inference")
        inputs, outputs = (2, 1) if self.direction == "backward" else (1, 1)
        return inputs * (2 if sweeps_twice else 1) + outputs


def normalization(op: str, direction: str, layout: str, x: Array, **options: Any) -> Problem:
    """Make a problem of one of the core normalizations.

    Weight, bias and the gradient of the output are random, drawn once for a shape; `options` are the operation's own:
    axis, num_groups.
    """
    rng = np.random.default_rng(1234)
    shape = _parameter_shape(op, x, options)
    arguments: dict[str, Any] = {"x": x, "weight": _draw(rng, shape, x, 1.0)}
    if op != "rms_norm":
        arguments["bias"] = _draw(rng, shape, x, 0.0)
    if op == "batch_norm" and direction == "inference":
        others = tuple(a for a in range(x.ndim) if a != options["axis"] % x.ndim)
        arguments["running_mean"] = x.mean(axis=others, dtype=np.float64).astype(x.dtype)
        arguments["running_var"] = x.var(axis=others, dtype=np.float64).astype(x.dtype)
    gradient = _gradient(rng, direction, x)
    backward = {} if "bias" in arguments else {"grad_mask": (True, True, False)}
    return Problem(op, direction, layout, x, {**arguments, **options}, gradient, backward)


def weights(op: str, direction: str, layout: str, w: Array, *, axis: int) -> Problem:
    """Make a problem of weight normalization or of weight standardization.

    Lengths or gains, and the gradient of the weights, are random, drawn once for a shape.
    """
    rng = np.random.default_rng(1234)
    count = w.shape[axis]
    if op == "weight_norm":
        shape = [1] * w.ndim
        shape[axis] = count
        arguments = {"v": w, "g": _draw(rng, (count,), w, 1.0).reshape(shape), "axis": axis}
    else:
        arguments = {"w": w, "gain": _draw(rng, (count,), w, 1.0), "axis": axis}
    return Problem(op, direction, layout, w, arguments, _gradient(rng, direction, w))


def whitening(op: str, direction: str, layout: str, x: Array, **options: Any) -> Problem:
    """Make a problem of the whitening of data or of batches, without weight and bias; `options` are the operation's."""
    absent = {"weight": None} if op == "batch_whitening" else {}
    gradient = _gradient(np.random.default_rng(1234), direction, x)
    return Problem(op, direction, layout, x, {"x": x, **absent, **options}, gradient)


def _gradient(rng: np.random.Generator, direction: str, x: Array) -> Array | None:
    return rng.standard_normal(x.shape, dtype=np.float32).astype(x.dtype) if direction == "backward" else None


def _parameter_shape(op: str, x: Array, options: Mapping[str, Any]) -> tuple[int, ...]:
    axis = options.get("axis", -1 if op in ("layer_norm", "rms_norm") else 1)
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(x.shape[a] for a in sorted(a % x.ndim for a in axes))


def _draw(rng: np.random.Generator, shape: tuple[int, ...], x: Array, mean: float) -> Array:
    return np.asarray(mean + 0.2 * rng.standard_normal(shape)).astype(x.dtype)

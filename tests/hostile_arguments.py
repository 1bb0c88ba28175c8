"""Calls with arguments that nobody should give, each made from a seed: values, dtypes, shapes, layouts, overlaps."""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

import fastnorm as fn
from operations import WRITTEN, Arguments, operation, operations

try:
    import ml_dtypes

    DTYPES: list[Any] = [np.float16, ml_dtypes.bfloat16, np.float32, np.float32, np.float64]
except ImportError:
    DTYPES = [np.float16, np.float32, np.float32, np.float64]
OTHER_DTYPES = [*DTYPES, np.int64, np.uint8, bool, complex, object, ">f4", "V2", "U3", "M8[s]", np.longdouble]

Rng = np.random.Generator


class Awkward:
    """Fails at whatever it is asked for."""

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise TypeError("awkward")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("not on the CPU")

    __index__ = __float__ = __len__ = __iter__ = __getitem__ = __bool__ = _fail


class Interface:
    """Says that it is an array, of any shape and anywhere."""

    def __init__(self, **interface: Any) -> None:
        self.__array_interface__ = {"version": 3, "typestr": "<f4", **interface}


SCALARS: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 3, 7, 64, -5, 2**31, 2**63, 2**64, -(2**63), 10**400),
    *(0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, 1j, Decimal(1), Fraction(1, 3)),
    *("abc", "", "relu", "gelu", "f4", b"x", (), [], {}, [1], (1,), (0, 1), [0, 2], (-1, -2), (0, 0), (2**63,), ("a",)),
    *([[1], [1, 2]], {0, 1}, range(3), (True, False, True), [1, 0, 1], (None, None), slice(None), Ellipsis, int, len),
    *(np.float32(1), np.float64("nan"), np.int64(1), np.bool_(True), np.str_("relu"), np.datetime64("2026-01-01")),
    *(np.array(1), np.array([1]), np.array(None), np.zeros(()), np.zeros(0), np.ma.masked, Awkward(), Awkward),
    *(Interface(shape=(3, 4, 5)), Interface(shape=(-1,), data=(0, True)), Interface(shape=(2**62, 4), data=(0, True))),
    *(object(), memoryview(b"abcd"), bytearray(4), fn.Quantize(0.1), np.dtype("f4"), "x" * 10000),
]
# Arguments whose large values would rightly take gigabytes or hours.
SIZES = ("num_features", "num_channels", "normalized_shape", "iterations")


# ---- arrays ----------------------------------------------------------------------------------------------------------


def _spaced(a: np.ndarray, rng: Rng) -> np.ndarray:
    big = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = big[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def _misaligned(a: np.ndarray, rng: Rng) -> np.ndarray:
    view = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape) if a.size else a
    view[...] = a
    return view


def _transposed(a: np.ndarray, rng: Rng) -> np.ndarray:
    order = rng.permutation(a.ndim)
    return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))


def _reversed(a: np.ndarray, rng: Rng) -> np.ndarray:
    where = tuple(slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in a.shape)
    return a[where].copy()[where]


def _read_only(a: np.ndarray, rng: Rng) -> np.ndarray:
    result = a.copy()
    result.flags.writeable = False
    return result


def _broadcast(a: np.ndarray, rng: Rng) -> np.ndarray:
    return np.broadcast_to(a[tuple(slice(0, 1 if rng.random() < 0.5 else None) for _ in a.shape)], a.shape)


def _overlapping_itself(a: np.ndarray, rng: Rng) -> np.ndarray:
    strides = tuple(a.itemsize * int(rng.integers(0, 2)) for _ in a.shape)
    return np.lib.stride_tricks.as_strided(np.ones(a.size + 8, a.dtype), a.shape, strides)


def _extreme(a: np.ndarray, rng: Rng) -> np.ndarray:
    result = a.copy()
    if result.size and result.dtype.kind in "fV":
        with np.errstate(all="ignore"):
            values = np.array([np.nan, np.inf, -np.inf, 1e300, -1e38, 1e-300, 1e-40, 0.0, -0.0]).astype(a.dtype)
        for i in rng.integers(0, result.size, rng.integers(1, 4)):
            result.flat[i] = values[rng.integers(len(values))]
    return result


def _of_another_dtype(a: np.ndarray, rng: Rng) -> Any:
    dtype = np.dtype(OTHER_DTYPES[rng.integers(len(OTHER_DTYPES))])
    with np.errstate(all="ignore"):
        return np.ones(a.shape, dtype) if dtype.kind in "VUM" else a.astype(dtype)


def _of_another_shape(a: np.ndarray, rng: Rng) -> Any:
    shapes: list[Callable[[], np.ndarray]] = [
        *(lambda: a[None], lambda: a[..., None], lambda: a.T, lambda: a.ravel(), lambda: a[:0], lambda: a[..., :0]),
        *(lambda: a.ravel()[:1].reshape((1,) * 64), lambda: a.ravel()[:1].reshape(()), lambda: a[..., :1]),
        *(lambda: a.reshape((*a.shape, *(1,) * (64 - a.ndim))), lambda: np.zeros((0,) * 64, a.dtype)),
        *(lambda: a[:1], lambda: a[1:]),
        *(lambda: np.concatenate([a, a]) if a.ndim else a, lambda: np.zeros((2**40, 0, 3), a.dtype)),
        *(lambda: np.zeros((0, *a.shape[1:]), a.dtype), lambda: np.zeros((*a.shape[:-1], 0), a.dtype)),
    ]  # fmt: skip
    return shapes[rng.integers(len(shapes))]()


def _of_another_type(a: np.ndarray, rng: Rng) -> Any:
    types: list[Callable[[], Any]] = [
        *(a.tolist, lambda: tuple(a), lambda: memoryview(a.view(np.uint8)), lambda: np.ma.masked_array(a)),
        lambda: Interface(shape=a.shape, typestr=a.dtype.str, data=a.tobytes()),
        *(lambda: [a.tolist(), 1], lambda: a.view(np.recarray), lambda: np.ones(a.shape, int).tolist()),
        *(lambda: np.asmatrix(a), lambda: a.astype(object).tolist()),
    ]  # fmt: skip
    return types[rng.integers(len(types))]()


LAYOUTS = [_spaced, _misaligned, _transposed, _reversed, _read_only, _broadcast, _overlapping_itself, _extreme]
OTHERS = [_of_another_dtype, _of_another_shape, _of_another_type]


# ---- calls -----------------------------------------------------------------------------------------------------------


def _spoil(arguments: Arguments, rng: Rng) -> None:
    """Change one argument, add or take one away."""
    names = [name for name in arguments if name != "self"]
    kind = rng.random()
    if kind < 0.02 or not names:
        arguments["no_such_argument"] = 1
        return
    name = names[rng.integers(len(names))]
    value = arguments[name]
    if kind < 0.05:
        del arguments[name]
    elif name == "state" and isinstance(value, dict) and kind < 0.8:
        _spoil(value, rng)
    elif kind < 0.3 or not isinstance(value, np.ndarray) or value.ndim == 0:
        scalar = SCALARS[rng.integers(len(SCALARS))]
        if not (name in SIZES and isinstance(scalar, int) and scalar > 64):
            arguments[name] = scalar
    elif kind < 0.75:
        arguments[name] = LAYOUTS[rng.integers(len(LAYOUTS))](value, rng)
    elif kind < 0.85:
        _overlap(arguments, name, rng)
    else:
        arguments[name] = OTHERS[rng.integers(len(OTHERS))](value, rng)


def _overlap(arguments: Arguments, name: str, rng: Rng) -> None:
    """Put two arguments into the same memory, with some distance."""
    a = arguments[name]
    others = [n for n, b in arguments.items() if n != name and isinstance(b, np.ndarray) and b.dtype == a.dtype]
    if not others or not a.size:
        return
    other = others[rng.integers(len(others))]
    b = arguments[other]
    shift = int(rng.integers(0, 3))
    memory = np.resize(a, a.size + b.size + shift)
    arguments[name] = memory[: a.size].reshape(a.shape)
    if b.size:
        arguments[other] = memory[shift : shift + b.size].reshape(b.shape)


def make_call(seed: int) -> tuple[str, Callable[..., Any], Arguments]:
    """The function and the arguments of a seed."""
    rng = np.random.default_rng(seed)
    names = operations()
    name = names[rng.integers(len(names))]
    dtype = DTYPES[rng.integers(len(DTYPES))]
    function, arguments = operation(name, lambda *shape: rng.standard_normal(shape).astype(dtype), rng)
    if rng.random() < 0.5:  # of the arguments that may be left out, some are
        for key in [key for key in arguments if key in (*WRITTEN, "where", "activation", "bias", "axis", "eps")]:
            if rng.random() < 0.5 and not (
                key.startswith("running") and name in ("batch_norm", "batch_whitening", "fold_batch_norm")
            ):
                arguments.pop(key)
    for _ in range(rng.integers(1, 4)):
        with contextlib.suppress(Exception):  # what is spoiled already may resist
            _spoil(arguments, rng)
    return name, function, arguments

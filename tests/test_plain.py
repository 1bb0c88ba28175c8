"""Plain arrays go to the core at once: to the same bits, and not where an argument is in any way special."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import fastnorm as fn
from fastnorm import _core


class Data(NamedTuple):
    """What calls on data of one shape may take; `running` is for those that write to it."""

    x: np.ndarray
    dy: np.ndarray
    weight: np.ndarray | None
    bias: np.ndarray | None
    axis: int
    running: tuple[np.ndarray, np.ndarray]

    def lengths(self) -> np.ndarray:
        shape = [1] * self.x.ndim
        shape[self.axis] = -1
        return self.running[1].reshape(shape)


DTYPES = [np.dtype(t) for t in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
WIDER = {2: np.dtype(np.float32), 4: np.dtype(np.float64), 8: np.dtype(np.float64)}


def values(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng([seed, *shape]).normal(size=shape) * 2 + 3).astype(dtype)


def data(shape: tuple[int, ...], axis: int, dtype: np.dtype) -> Iterator[Data]:
    """With parameters of the data's type and of a wider one, and without."""
    channels = (shape[axis],)
    x, dy = values(shape, dtype), values(shape, dtype, 1)
    for kind in (dtype, WIDER[dtype.itemsize]):
        running = values(channels, kind, 4), values(channels, kind, 5) ** 2
        yield Data(x, dy, values(channels, kind, 2), values(channels, kind, 3), axis, running)
    yield Data(x, dy, None, None, axis, running)


def batch_norm_with_running(d: Data) -> Any:
    return *fn.batch_norm_forward(d.x, d.weight, d.bias, *d.running, axis=d.axis, momentum=0.3, ddof=0), *d.running


def batch_norm_backward(d: Data) -> Any:
    saved = fn.batch_norm_forward(d.x, axis=d.axis)[1:]
    return fn.batch_norm_backward(d.dy, d.x, d.weight, *saved, axis=d.axis)


def group_norm_backward(d: Data, groups: int) -> Any:
    saved = fn.group_norm_forward(d.x, groups, axis=d.axis)[1:]
    return fn.group_norm_backward(d.dy, d.x, groups, d.weight, *saved, axis=d.axis)


def instance_norm_backward(d: Data) -> Any:
    saved = fn.instance_norm_forward(d.x, axis=d.axis)[1:]
    return fn.instance_norm_backward(d.dy, d.x, d.weight, *saved, axis=d.axis)


def weight_norm_backward(d: Data) -> Any:
    norm = fn.weight_norm_forward(d.x, d.lengths(), axis=d.axis).norm
    return fn.weight_norm_backward(d.dy, d.x, d.lengths(), norm, axis=d.axis)


def weight_standardization_backward(d: Data) -> Any:
    saved = fn.weight_standardization_forward(d.x, axis=d.axis)[1:]
    return fn.weight_standardization_backward(d.dy, d.x, d.weight, *saved, axis=d.axis)


def add_in_place(d: Data) -> Any:
    y, h = d.x.copy(), d.dy.copy()
    result = fn.add_rms_norm(y, h, d.weight, eps=0.5, activation="relu", out=(y, h))
    assert result.y is y
    assert result.h is h
    return result


def add_crosswise(d: Data) -> Any:
    x, residual = d.x.copy(), d.dy.copy()
    return fn.add_layer_norm(x, residual, d.weight, d.bias, out=(residual, x))


def layer_norm_backward(d: Data) -> Any:
    return fn.layer_norm_backward(d.dy, d.x, d.weight, *fn.layer_norm_forward(d.x)[1:])


def rms_norm_backward(d: Data) -> Any:
    return fn.rms_norm_backward(d.dy, d.x, d.weight, *fn.rms_norm_forward(d.x)[1:])


ROWS: dict[str, Callable[[Data], Any]] = {
    "plain_layer_norm": lambda d: fn.layer_norm(d.x, d.weight, d.bias),
    "plain_layer_norm_forward": lambda d: fn.layer_norm_forward(d.x, d.weight, d.bias, eps=0),
    "plain_layer_norm_backward": layer_norm_backward,
    "plain_rms_norm": lambda d: fn.rms_norm(d.x, d.weight, d.bias),
    "plain_rms_norm_forward": lambda d: fn.rms_norm_forward(d.x, d.weight, d.bias, eps=0.5),
    "plain_rms_norm_backward": rms_norm_backward,
    "plain_layer_norm with gelu": lambda d: fn.layer_norm(d.x, d.weight, d.bias, activation="gelu"),
    "plain_rms_norm_forward with silu": lambda d: fn.rms_norm_forward(d.x, d.weight, d.bias, activation="silu"),
    "plain_add_layer_norm": lambda d: fn.add_layer_norm(d.x, d.dy, d.weight, d.bias),
    "plain_add_layer_norm crosswise": add_crosswise,
    "plain_add_layer_norm into one": lambda d: fn.add_layer_norm(d.x, d.dy, out=np.empty_like(d.x)),
    "plain_add_rms_norm": lambda d: fn.add_rms_norm(d.x, d.dy, d.weight),
    "plain_add_rms_norm in place": add_in_place,
}
CHANNELS: dict[str, Callable[[Data], Any]] = {
    "plain_batch_norm": lambda d: fn.batch_norm(d.x, *d.running, d.weight, d.bias, axis=d.axis),
    "plain_batch_norm_forward": lambda d: fn.batch_norm_forward(d.x, d.weight, d.bias, axis=d.axis),
    "plain_batch_norm_forward with buffers": batch_norm_with_running,
    "plain_batch_norm_backward": batch_norm_backward,
    "plain_batch_norm with relu": lambda d: fn.batch_norm(
        d.x, *d.running, d.weight, d.bias, axis=d.axis, activation="relu"
    ),
    "plain_batch_norm_forward with silu": lambda d: fn.batch_norm_forward(
        d.x, d.weight, d.bias, axis=d.axis, activation="silu"
    ),
    "plain_weight_norm": lambda d: fn.weight_norm(d.x, d.lengths(), axis=d.axis),
    "plain_weight_norm_backward": weight_norm_backward,
    "plain_weight_standardization": lambda d: fn.weight_standardization(d.x, d.weight, axis=d.axis, eps=1e-10),
    "plain_weight_standardization_backward": weight_standardization_backward,
}
SAMPLES: dict[str, Callable[[Data], Any]] = {
    "plain_group_norm in one": lambda d: fn.group_norm(d.x, 1, d.weight, d.bias, axis=d.axis),
    "plain_group_norm": lambda d: fn.group_norm(d.x, 3, d.weight, d.bias, axis=d.axis),
    "plain_group_norm_forward": lambda d: fn.group_norm_forward(d.x, 2, d.weight, d.bias, axis=d.axis),
    "plain_group_norm_backward": lambda d: group_norm_backward(d, 2),
    "plain_group_norm_backward in one": lambda d: group_norm_backward(d, 1),
    "plain_instance_norm": lambda d: fn.instance_norm(d.x, d.weight, d.bias, axis=d.axis),
    "plain_instance_norm_forward": lambda d: fn.instance_norm_forward(d.x, d.weight, d.bias, axis=d.axis),
    "plain_instance_norm_backward": instance_norm_backward,
    "plain_group_norm with silu": lambda d: fn.group_norm(d.x, 3, d.weight, axis=d.axis, activation="silu"),
    "plain_instance_norm with gelu_tanh": lambda d: fn.instance_norm(d.x, axis=d.axis, activation="gelu_tanh"),
}


class Watched:
    """A function of the core that counts how often it took the call."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._function = getattr(_core, name)
        self.taken = 0
        monkeypatch.setattr(_core, name, self)

    def __call__(self, *args: Any) -> Any:
        result = self._function(*args)
        self.taken += result is not None
        return result


def check(name: str, call: Callable[[Data], Any], d: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[np.ndarray]:
        copies = (d.running[0].copy(), d.running[1].copy())
        result = call(d._replace(running=copies))
        return [result] if isinstance(result, np.ndarray) else list(result)

    with fn.threads(fn.get_num_threads()):  # goes the long way
        want = run()
    watched = Watched(name.split()[0], monkeypatch)
    got = run()
    assert watched.taken
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(7,), (5, 96), (2, 3, 70), (300, 64)])
@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str, shape: tuple[int, ...], dtype: np.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in data(shape, -1, dtype):
        check(name, ROWS[name], each, monkeypatch)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 12), (2, 6, 7, 12), (64, 3, 7, 7)])
@pytest.mark.parametrize("name", CHANNELS)
def test_channels(
    name: str, shape: tuple[int, ...], axis: int, dtype: np.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in data(shape, axis, dtype):
        check(name, CHANNELS[name], each, monkeypatch)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("shape", [(3, 6, 12), (1, 12, 6), (2, 6, 6, 12), (2, 30, 60, 6)])
@pytest.mark.parametrize("name", SAMPLES)
def test_samples(
    name: str, shape: tuple[int, ...], axis: int, dtype: np.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in data(shape, axis, dtype):
        check(name, SAMPLES[name], each, monkeypatch)


def test_running_statistics_that_share_memory() -> None:
    """They would be written to while something else is read."""
    x, both = values((4, 6), "f4"), np.ones(9, "f4")
    shared = [(both[:6], both[3:]), (x[0], both[:6]), (both[:6], x[1])]
    for mean, var in shared:
        before = mean.copy(), var.copy()
        with pytest.raises(ValueError, match="share"):
            fn.batch_norm_forward(x, None, None, mean, var)
        np.testing.assert_array_equal(mean, before[0])
        np.testing.assert_array_equal(var, before[1])
    for weight, bias, out in ((both[:6], None, None), (None, both[:6], None), (None, None, x)):
        mean = x[2] if out is x else both[:6]
        with pytest.raises(ValueError, match="share"):
            fn.batch_norm_forward(x, weight, bias, mean, np.ones(6, "f4"), out=out)
    with pytest.raises(ValueError, match="together"):
        fn.batch_norm_forward(x, None, None, both[:6], None)


def test_wrong_numbers_go_the_long_way_to_their_errors() -> None:
    x, ones = values((4, 6, 2), "f4"), np.ones(6, "f4")
    wrong: list[tuple[type[Exception], Callable[[], Any]]] = [
        (ValueError, lambda: fn.batch_norm_forward(x, momentum=1.5)),
        (ValueError, lambda: fn.batch_norm_forward(x, None, None, ones, ones.copy(), ddof=8)),
        (ValueError, lambda: fn.batch_norm_forward(x[:1, :, :1])),
        (ValueError, lambda: fn.batch_norm_forward(x, eps=-1)),
        (ValueError, lambda: fn.batch_norm_forward(x, axis=3)),
        (TypeError, lambda: fn.batch_norm_forward(x, axis=True)),
        (ValueError, lambda: fn.instance_norm_forward(x, momentum=-1)),
        (ValueError, lambda: fn.instance_norm_forward(x[:, :, :1])),
        (TypeError, lambda: fn.group_norm(x, None)),  # type: ignore[arg-type]
        (TypeError, lambda: fn.group_norm_forward(x, None)),  # type: ignore[arg-type]
        (ValueError, lambda: fn.group_norm_forward(x, 4)),
        (ValueError, lambda: fn.group_norm_backward(x, x, 2, ones, np.ones((4, 3)), np.ones((4, 2)))),
        (ValueError, lambda: fn.batch_norm_backward(x[1:], x, ones, np.ones(6), np.ones(6), axis=1)),
        (ValueError, lambda: fn.weight_norm(x, ones)),
        (ValueError, lambda: fn.layer_norm(x, activation="tanh")),  # type: ignore[arg-type]
        (TypeError, lambda: fn.batch_norm(x, ones, ones, activation=1)),  # type: ignore[arg-type]
        (ValueError, lambda: fn.add_layer_norm(x, x[1:])),
        (ValueError, lambda: fn.add_layer_norm(x, x, out=(x, x))),
        (ValueError, lambda: fn.weight_standardization(x, ones)),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_every_value_of_16_bits_as_a_parameter(dtype: np.dtype) -> None:
    weight = np.arange(2**16, dtype=np.uint16).view(dtype)
    x = np.stack([np.full(2**16, -1), np.ones(2**16)]).astype(dtype)
    mean, var = np.zeros(2**16), np.ones(2**16)
    with np.errstate(all="ignore"), fn.threads(1):
        want = fn.batch_norm(x, mean, var, weight)
    np.testing.assert_array_equal(fn.batch_norm(x, mean, var, weight).astype("f8"), want.astype("f8"))


@pytest.mark.parametrize(("dtype", "unit", "least"), [(DTYPES[0], 2.0**-10, 2.0**-24), (DTYPES[1], 2.0**-7, 2.0**-40)])
def test_gradients_of_16_bits_are_rounded_once(dtype: np.dtype, unit: float, least: float) -> None:
    """Sums that float32 would round to half-way between two numbers of 16 bits."""
    dy = np.zeros((65, 4))
    dy[0], dy[1], dy[64] = 1, unit / 2, [0, least, -least, least]  # the last row is added in double
    dy[1, 3] *= 3
    dbias = fn.layer_norm_backward(
        dy.astype(dtype), np.ones_like(dy, dtype), None, np.zeros((65, 1)), np.ones((65, 1))
    )[2]
    np.testing.assert_array_equal(dbias.astype("f8"), [1, 1 + unit, 1, 1 + 2 * unit])

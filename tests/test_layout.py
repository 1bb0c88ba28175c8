"""Any axes, any strides, any kind of array, any `out`: the result of the contiguous copy."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fastnorm as fn
from fastnorm import _layout
from scaled_error import backward_errors, exceeded, forward_errors

SHAPE = (3, 4, 5, 2)


# ---- heads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", [8, 30, 64, 200])
@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 12, 31])
def test_heads_of_one_array_for_all_get_the_bits_of_heads_of_their_own(heads: int, size: int, dtype: str) -> None:
    qkv = np.random.default_rng(0).standard_normal((2, 37, 3, heads, size)).astype(dtype) + np.asarray(3, dtype)
    qkv[1, 5, 1] *= 0  # of constants, and of what the type can hardly hold
    qkv[0, 3, 1] *= np.asarray(100 if dtype == "float16" else 1e18, dtype)
    q = qkv[:, :, 1]
    for function in (fn.layer_norm_forward, fn.rms_norm_forward):
        for got, expected in zip(function(q), function(q.copy()), strict=True):
            np.testing.assert_array_equal(got, expected)
    expected, others = fn.rms_norm(q.copy()), qkv.copy()
    assert fn.rms_norm(q, out=q) is q
    np.testing.assert_array_equal(q, expected)
    np.testing.assert_array_equal(qkv[:, :, ::2], others[:, :, ::2])


# ---- calls -----------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """An operation with its keywords, for data of one shape."""

    op: str
    shape: tuple[int, ...]
    options: dict[str, Any]

    def parameters(self) -> tuple[int, ...]:
        axis = self.options["axis"]
        axes = axis if isinstance(axis, tuple) else (axis,)
        return tuple(self.shape[a] for a in sorted(a % len(self.shape) for a in axes))

    def inference(self, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> np.ndarray:
        if self.op == "batch_norm":
            mean, var = self.running()
            return fn.batch_norm(x, mean, var, weight, bias, **self.options, **more)
        return getattr(fn, self.op)(x, weight=weight, bias=bias, **self.options, **more)

    def forward(self, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> Any:
        return getattr(fn, f"{self.op}_forward")(x, weight=weight, bias=bias, **self.options, **more)

    def backward(self, dy: Any, x: Any, weight: Any, statistics: Any, **more: Any) -> fn.Gradients:
        names = ("rstd",) if self.op == "rms_norm" else ("mean", "rstd")
        saved = dict(zip(names, statistics, strict=True))
        return getattr(fn, f"{self.op}_backward")(dy=dy, x=x, weight=weight, **saved, **self.options, **more)

    def running(self) -> tuple[np.ndarray, np.ndarray]:
        (channels,) = self.parameters()
        return np.linspace(-1, 1, channels), np.linspace(0.5, 2, channels)


def values(*shape: int, dtype: str = "f4", seed: int = 0) -> np.ndarray:
    return (np.random.default_rng([seed, *shape]).normal(size=shape) * 2 + 3).astype(dtype)


CALLS = [
    *(Call("batch_norm", SHAPE, {"axis": axis}) for axis in (0, 1, -1)),
    *(Call(op, SHAPE, {"axis": axis}) for op in ("layer_norm", "rms_norm") for axis in (-1, 0, (3, 1), (0, 1, 2, 3))),
    Call("rms_norm", SHAPE, {"axis": (-1, -2), "offset": 1.0}),
    *(Call("group_norm", SHAPE, {"axis": 1, "num_groups": groups}) for groups in (1, 2, 4)),
    Call("group_norm", (3, 5, 2, 6), {"axis": -1, "num_groups": 3}),
    *(Call("instance_norm", SHAPE, {"axis": axis}) for axis in (1, 2, 3)),
]


def name(call: Call) -> str:
    return f"{call.op}-{'-'.join(map(str, call.options.values()))}"


# ---- strides ---------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where an array lies in memory: the order of its axes, their steps, and bytes before the first element."""

    order: tuple[int, ...]
    steps: tuple[int, ...]
    shift: int

    def empty(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        room = [n * abs(step) for n, step in zip(shape, self.steps, strict=True)]
        raw = np.full(self.shift + math.prod(room) * np.dtype(dtype).itemsize, 0xAB, np.uint8)
        memory = np.ndarray([room[a] for a in self.order], dtype, raw.data, self.shift)
        view = memory.transpose(np.argsort(self.order)) if self.order else memory
        return view[tuple(slice(None, None, step) for step in self.steps)]

    def put(self, array: np.ndarray) -> np.ndarray:
        view = self.empty(array.shape, array.dtype.str)
        view[...] = array
        return view


PLACES = {
    "C": Place((0, 1, 2, 3), (1, 1, 1, 1), 0),
    "Fortran": Place((3, 2, 1, 0), (1, 1, 1, 1), 0),
    "channels last": Place((0, 2, 3, 1), (1, 1, 1, 1), 0),
    "misaligned": Place((0, 1, 2, 3), (1, 1, 1, 1), 1),
    "reversed": Place((0, 1, 2, 3), (1, -1, 1, -1), 0),
    "stepped": Place((0, 1, 2, 3), (1, 2, 1, 2), 0),
    "all at once": Place((2, 0, 3, 1), (-1, 2, 1, -3), 3),
}


def memory_of(view: np.ndarray) -> np.ndarray:
    """The bytes that a place's array lies in."""
    base: Any = view
    while base.base is not None:
        base = base.obj if isinstance(base, memoryview) else base.base
    return base


@st.composite
def places(draw: st.DrawFn, dimensions: int) -> Place:
    order = draw(st.permutations(range(dimensions)))
    steps = draw(st.lists(st.sampled_from((1, 1, 2, -1, -2)), min_size=dimensions, max_size=dimensions))
    return Place(tuple(order), tuple(steps), draw(st.sampled_from((0, 0, 1, 4, 8))))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=2, max_size=5)))
    op = draw(st.sampled_from(("batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm")))
    dimensions = len(shape)
    if op in ("layer_norm", "rms_norm"):
        some = st.lists(st.sampled_from(range(dimensions)), min_size=1, max_size=dimensions, unique=True)
        axes = tuple(a - dimensions * draw(st.booleans()) for a in draw(some))
        return Call(op, shape, {"axis": axes if len(axes) > 1 or draw(st.booleans()) else axes[0]})
    first = 0 if op == "batch_norm" else 1
    axis = draw(st.integers(first, dimensions - 1))
    others = math.prod(shape) // shape[axis]
    if (op == "batch_norm" and others == 1) or (op == "instance_norm" and others == shape[0]):
        shape = (*shape, 3)  # one value is no statistic
    options: dict[str, Any] = {"axis": axis}
    if op == "group_norm":
        options["num_groups"] = draw(st.sampled_from([g for g in range(1, 8) if shape[axis] % g == 0]))
    return Call(op, shape, options)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Call, str, Place, Place, Place]:
    call = draw(calls())
    x, dy, out = (draw(places(len(call.shape))) for _ in range(3))
    return call, draw(st.sampled_from(("f4", "f8"))), x, dy, out


def assert_right(call: Call, dtype: str, x_place: Place, dy_place: Place, out_place: Place) -> None:
    """Forward and backward of data in any place are within rounding of the reference, and touch `out` alone."""
    x, dy = values(*call.shape, dtype=dtype), values(*call.shape, dtype=dtype, seed=1)
    weight, bias = (values(*call.parameters(), dtype=dtype, seed=seed) for seed in (2, 3))
    placed, placed_dy, out = x_place.put(x), dy_place.put(dy), out_place.empty(x.shape, dtype)
    result = call.forward(placed, weight, bias, out=out)
    assert result.y is out
    assert not exceeded(forward_errors(call.op, result, x, weight, bias, **call.options))
    gradients = call.backward(placed_dy, placed, weight, result[1:])
    exact = dtype == "f4" or call.op == "rms_norm"  # one float64 mean of float64 data is rounded
    errors = backward_errors(call.op, gradients, dy, x, weight, recentred=exact, **call.options)
    assert not exceeded(errors)
    np.testing.assert_array_equal(placed, x)
    np.testing.assert_array_equal(placed_dy, dy)
    np.testing.assert_array_equal(call.forward(placed, weight, bias).y, out)
    out[...] = np.frombuffer(b"\xab" * 8, dtype)[0]
    assert (memory_of(out) == 0xAB).all(), "written outside of out"


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_strides(call: Call, place: str, dtype: str) -> None:
    assert_right(call, dtype, PLACES[place], PLACES["reversed"], PLACES["all at once"])
    assert_right(call, dtype, PLACES["stepped"], PLACES[place], PLACES[place])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(situations())
@example((Call("group_norm", (2, 4, 3), {"axis": 1, "num_groups": 2}), "f4", *[Place((2, 1, 0), (2, -2, 1), 1)] * 3))
def test_any_shape_axes_and_strides(situation: tuple[Call, str, Place, Place, Place]) -> None:
    assert_right(*situation)


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("axis", range(4))
def test_strides_of_zero(call: Call, axis: int) -> None:
    x = np.broadcast_to(values(*call.shape).take([1], axis), call.shape)
    weight = values(*call.parameters())
    result, want = call.forward(x, weight), call.forward(x.copy(), weight)
    assert not exceeded(forward_errors(call.op, result, x, weight, None, **call.options))
    for a, b in zip(call.backward(x, x, weight, result[1:]), call.backward(x, x.copy(), weight, want[1:]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@st.composite
def views(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Float32 of any strides: permuted, stepped, reversed and broadcast axes, and axes of length one."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5)) if shape is None else list(shape)
    order = draw(st.permutations(range(len(sizes))))
    kept = [1 if draw(st.booleans()) and draw(st.booleans()) else n for n in sizes]
    memory = np.zeros([2 * kept[a] for a in order], np.float32)
    steps = [slice(None, 2 * kept[a], 2) if draw(st.booleans()) else slice(kept[a] - 1, None, -1) for a in order]
    steps = [step if draw(st.booleans()) else slice(0, kept[a]) for a, step in zip(order, steps, strict=True)]
    return np.broadcast_to(memory[tuple(steps)].transpose(np.argsort(order)), sizes)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_results_lie_in_memory_as_those_of_numpy(data: st.DataObject) -> None:
    x = data.draw(views())
    other = data.draw(views(x.shape))
    ones = np.ones((*x.shape[:-1], 1))
    assert fn.layer_norm(x).strides == np.add(x, 1).strides
    assert fn.layer_norm_backward(x, x, None, ones, ones).dx.strides == np.add(x, 1).strides
    assert fn.rms_norm(x, activation="relu").strides == np.add(x, 1).strides
    assert fn.layer_norm(x, quantize=fn.Quantize(0.1)).strides == tuple(s // 4 for s in np.add(x, 1).strides)
    y, h = fn.add_layer_norm(x, other)
    assert y.strides == h.strides == np.add(x, other).strides


def test_a_large_result_of_broadcast_rows_lies_in_order() -> None:
    x = np.broadcast_to(values(64, 256), (32, 64, 256))
    assert fn.layer_norm(x).strides == np.add(x, 1).strides
    assert fn.batch_norm_forward(x).y.strides == np.add(x, 1).strides


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("place", ["Fortran", "channels last", "reversed", "stepped"])
def test_results_have_the_order_of_axes_of_x(call: Call, place: str) -> None:
    x = PLACES[place].put(values(*call.shape))
    strides = np.add(x, x).strides
    result = call.forward(x)
    gradients = call.backward(x, x, None, result[1:])
    for array in (call.inference(x), result.y, gradients.dx):
        assert array.strides == strides
        assert array.dtype == x.dtype


@pytest.mark.parametrize("call", CALLS, ids=name)
def test_parameters_and_statistics_of_any_strides(call: Call) -> None:
    x, weight, bias = values(*call.shape), values(*call.parameters(), seed=2), values(*call.parameters(), seed=3)
    ndim = weight.ndim
    place = Place(tuple(range(ndim))[::-1], (-2,) * ndim, 1)
    want = call.forward(x, weight, bias)
    got = call.forward(x, place.put(weight), place.put(bias))
    np.testing.assert_array_equal(got.y, want.y)
    odd = [Place(tuple(range(s.ndim))[::-1], (-2,) * s.ndim, 1).put(s) for s in want[1:]]
    pairs = zip(call.backward(x, x, place.put(weight), odd), call.backward(x, x, weight, want[1:]), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


# ---- dtypes and kinds of arrays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("dtypes", ["f4 f4", "f4 f8", "f8 f8", "f4 none", "f8 none"])
def test_dtypes_of_results(call: Call, dtypes: str) -> None:
    dtype, parameter_dtype = dtypes.split()
    x = values(*call.shape, dtype=dtype)
    weight = None if parameter_dtype == "none" else values(*call.parameters(), dtype=parameter_dtype)
    result = call.forward(x, weight, weight)
    assert call.inference(x, weight, weight).dtype == result.y.dtype == dtype
    assert {s.dtype for s in result[1:]} == {np.dtype("f8")}
    gradients = call.backward(x, x, weight, result[1:])
    assert gradients.dx.dtype == dtype
    wanted = dtype if weight is None else parameter_dtype
    assert gradients.dweight.dtype == gradients.dbias.dtype == wanted
    assert gradients.dweight.shape == gradients.dbias.shape == call.parameters()


def test_shapes_of_statistics() -> None:
    x = values(*SHAPE)
    assert fn.batch_norm_forward(x, axis=2).mean.shape == (5,)
    assert fn.layer_norm_forward(x, axis=(1, 3)).mean.shape == (3, 1, 5, 1)
    assert fn.rms_norm_forward(x, axis=-1).rstd.shape == (3, 4, 5, 1)
    assert fn.group_norm_forward(x, 2).rstd.shape == (3, 2)
    assert fn.group_norm_forward(x, 1).rstd.shape == (3, 1)
    assert fn.group_norm_forward(x, 4).rstd.shape == fn.instance_norm_forward(x).rstd.shape == (3, 4)


def exporter(array: np.ndarray, protocol: str) -> object:
    """An object with nothing but a protocol."""
    if protocol == "memoryview":
        return memoryview(array)
    members: dict[str, Any] = {
        "__array__": {"__array__": lambda self, dtype=None, copy=None: array},
        "__array_interface__": {"__array_interface__": array.__array_interface__},
        "__dlpack__": {
            "__dlpack__": lambda self, **options: array.__dlpack__(**options),
            "__dlpack_device__": lambda self: array.__dlpack_device__(),
        },
    }[protocol]
    return type("Exporter", (), members)()


@pytest.mark.parametrize("protocol", ["memoryview", "__array__", "__array_interface__", "__dlpack__"])
def test_foreign_arrays_are_read_where_they_are(protocol: str) -> None:
    from fastnorm import _validate

    x, weight = values(4, 6), values(6)
    foreign = exporter(x, protocol)
    assert np.shares_memory(_validate.data("x", foreign), x)
    y = fn.layer_norm(foreign, exporter(weight, protocol))
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, fn.layer_norm(x, weight))


def test_lists_and_scalars_in_them() -> None:
    np.testing.assert_array_equal(fn.layer_norm([[1.0, 3.0]], [2.0, 2.0], eps=0), [[-2, 2]])


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    x = values(4, 6)
    y = fn.layer_norm(torch.from_numpy(x))
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, fn.layer_norm(x))
    np.testing.assert_array_equal(fn.layer_norm(torch.from_numpy(x).T), fn.layer_norm(x.T))
    with pytest.raises(TypeError, match=r"^x must be an array, got Tensor that is none: .*requires grad"):
        fn.layer_norm(torch.ones(2, 3, requires_grad=True))


class Named(np.ndarray):
    """A subclass."""


def test_subclasses_come_back_as_arrays() -> None:
    x = values(4, 6)
    for odd in (x.view(Named), x.view(np.matrix), x.view(np.recarray)):
        result = fn.group_norm_forward(odd, 3)
        gradients = fn.group_norm_backward(odd, odd, 3, values(6).view(Named), *result[1:])
        assert {type(a) for a in (*result, *gradients)} == {np.ndarray}
    out = np.zeros((4, 6), "f4").view(Named)
    assert fn.group_norm(x, 3, out=out) is out
    np.testing.assert_array_equal(out.view(np.ndarray), fn.group_norm(x, 3))


# ---- out -------------------------------------------------------------------------------------------------------------


def windows(shape: tuple[int, ...], dtype: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs of x and out in one memory."""
    n = shape[0]
    memory = values(2 * n + 1, *shape[1:], dtype=dtype)
    pairs = {
        "same": (memory[:n], memory[:n]),
        "shifted up": (memory[:n], memory[1 : n + 1]),
        "shifted down": (memory[1 : n + 1], memory[:n]),
        "reversed": (memory[:n], memory[:n][::-1]),
        "disjoint": (memory[:n], memory[n : 2 * n]),
        "interleaved": (memory[: 2 * n : 2], memory[1 : 2 * n : 2]),
        "crossing": (memory[: 2 * n : 2], memory[:n]),
    }
    if len(set(shape)) == 1:
        pairs["transposed"] = (memory[:n], memory[:n].T)
    return pairs


SQUARES = [
    Call("batch_norm", (4, 4, 4), {"axis": 1}),
    Call("batch_norm", (4, 4, 4), {"axis": -1}),
    Call("layer_norm", (4, 4, 4), {"axis": -1}),
    Call("layer_norm", (4, 4, 4), {"axis": (0, 2)}),
    Call("rms_norm", (4, 4, 4), {"axis": 0}),
    Call("group_norm", (4, 4, 4), {"axis": 1, "num_groups": 2}),
    Call("group_norm", (4, 4, 4), {"axis": -1, "num_groups": 2}),
    Call("instance_norm", (4, 4, 4), {"axis": 1}),
]


@pytest.mark.parametrize("call", SQUARES, ids=name)
@pytest.mark.parametrize("kind", windows((4, 4, 4), "f4"))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_out_and_x_in_one_memory(call: Call, kind: str, dtype: str) -> None:
    for operation in ("inference", "forward"):
        x, out = windows(call.shape, dtype)[kind]
        weight, bias = values(*call.parameters(), dtype=dtype, seed=2), values(*call.parameters(), dtype=dtype, seed=3)
        want = getattr(call, operation)(x.copy(), weight, bias)
        got = getattr(call, operation)(x, weight, bias, out=out)
        if operation == "inference":
            assert got is out
            np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)
        else:
            assert got.y is out
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.tuples(*[st.permutations([0, 1, 2])] * 2),
    st.tuples(*[st.tuples(*[st.integers(0, 3)] * 3)] * 2),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_windows_of_one_memory(shape: tuple[int, ...], orders: Any, gaps: Any, firsts: tuple[int, int]) -> None:
    memory = values(2000)
    x, out = (
        np.lib.stride_tricks.as_strided(memory[first:], shape, spread(shape, order, gap))
        for first, order, gap in zip(firsts, orders, gaps, strict=True)
    )
    want = fn.layer_norm(x.copy())
    np.testing.assert_allclose(fn.layer_norm(x, out=out), want, rtol=1e-5, atol=1e-5)


def spread(shape: tuple[int, ...], order: list[int], gaps: tuple[int, ...]) -> list[int]:
    """Steps of an array whose axes follow one another in an order, with gaps between."""
    strides, step = [0, 0, 0], 4
    for axis in order:
        strides[axis] = step
        step = step * shape[axis] + 4 * gaps[axis]
    return strides


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("place", PLACES)
def test_in_place(call: Call, place: str) -> None:
    x = PLACES[place].put(values(*call.shape))
    want = call.forward(x)
    assert call.forward(x, out=x).y is x
    np.testing.assert_array_equal(x, want.y)


@pytest.mark.parametrize("op", ["weight", "bias", "running_mean", "running_var"])
def test_out_over_the_parameters(op: str) -> None:
    """Every channel needs its parameters after the first of its results is written."""
    for channels_first in (True, False):
        memory = values(64 * 8, dtype="f8", seed=5) ** 2
        out = memory.reshape(8, 8, 8)
        arguments = {key: values(8, dtype="f8", seed=i) ** 2 for i, key in enumerate(("weight", "bias"))}
        arguments |= {
            key: values(8, dtype="f8", seed=7 + i) ** 2 for i, key in enumerate(("running_mean", "running_var"))
        }
        arguments[op] = memory[3:11] if channels_first else memory[3:27:3]
        axis = 1 if channels_first else -1
        x = values(8, 8, 8, dtype="f8")
        want = fn.batch_norm(x, **arguments, axis=axis)
        np.testing.assert_array_equal(fn.batch_norm(x, **arguments, axis=axis, out=out), want)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=name)
@pytest.mark.parametrize("mask", [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
def test_grad_mask(call: Call, mask: tuple[int, int, int]) -> None:
    x, weight = values(*call.shape), values(*call.parameters())
    saved = call.forward(x, weight)[1:]
    wanted = tuple(map(bool, mask))
    all_of_them = call.backward(x, x, weight, saved)
    for want, got, full in zip(wanted, call.backward(x, x, weight, saved, grad_mask=wanted), all_of_them, strict=True):
        assert (got is not None) == want
        if want:
            np.testing.assert_allclose(got, full, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("call", CALLS, ids=name)
def test_weight_none_is_ones(call: Call) -> None:
    x = values(*call.shape)
    ones = np.ones(call.parameters(), "f4")
    result, want = call.forward(x), call.forward(x, ones, ones * 0)
    for a, b in zip(result, want, strict=True):
        np.testing.assert_array_equal(a, b)
    pairs = zip(call.backward(x, x, None, result[1:]), call.backward(x, x, ones, result[1:]), strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("call", CALLS, ids=name)
def test_statistics_in_float32(call: Call) -> None:
    """A mean in float32 loses what the data still know."""
    x = (values(*call.shape) * 1e-2 + 1e4).astype("f4")
    dy = values(*call.shape, seed=1)
    saved = [s.astype("f4") for s in call.forward(x)[1:]]
    gradients = call.backward(dy, x, None, saved)
    assert not exceeded(backward_errors(call.op, gradients, dy, x, None, **call.options))


def test_gradients_beyond_float32_are_infinite() -> None:
    x, dy = np.array([[1.0], [2.0]], "f4"), np.full((2, 1), 3e38, "f4")
    with np.errstate(all="raise"):
        gradients = fn.batch_norm_backward(dy, x, None, np.zeros(1), np.ones(1), training=False)
    np.testing.assert_array_equal(gradients.dbias, [np.inf])


def test_rms_offset_and_eps() -> None:
    x, weight, bias = values(4, 6), values(6, seed=2), values(6, seed=3)
    np.testing.assert_array_equal(fn.rms_norm(x, weight, bias, offset=1.0), fn.rms_norm(x, weight + 1, bias))
    np.testing.assert_array_equal(fn.rms_norm(x, None, bias, offset=1.0), fn.rms_norm(x, np.full(6, 2, "f4"), bias))
    saved = fn.rms_norm_forward(x).rstd
    got = fn.rms_norm_backward(x, x, weight, saved, offset=1.0)
    want = fn.rms_norm_backward(x, x, weight + 1, saved)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)
    for dtype in ("f4", "f8"):
        small = x.astype(dtype) * 1e-4
        want = fn.rms_norm(small, eps=float(np.finfo(dtype).eps))
        np.testing.assert_array_equal(fn.rms_norm(small, eps=None), want)
        np.testing.assert_array_equal(fn.rms_norm_forward(small, eps=None).y, want)


# ---- no values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("batch_norm", {"axis": 1}),
        ("layer_norm", {"axis": -1}),
        ("layer_norm", {"axis": (0, 1)}),
        ("rms_norm", {"axis": (1, 2)}),
        ("group_norm", {"axis": 1, "num_groups": 2}),
        ("group_norm", {"axis": 1, "num_groups": 1}),
        ("instance_norm", {"axis": 1}),
    ],
)
def test_no_values(op: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    call = Call(op, shape, options)
    x, weight = np.zeros(shape, "f4"), np.ones(call.parameters(), "f4")
    out = np.zeros(shape, "f4")
    assert call.inference(x, weight, weight, out=out) is out
    result = call.forward(x, weight, weight)
    assert result.y.shape == shape
    for statistic in result[1:]:
        assert np.isnan(statistic).all()
    gradients = call.backward(x, x, weight, result[1:])
    assert gradients.dx.shape == shape
    np.testing.assert_array_equal(gradients.dweight, np.zeros(call.parameters()))
    np.testing.assert_array_equal(gradients.dbias, np.zeros(call.parameters()))


# ---- the geometry itself ---------------------------------------------------------------------------------------------


def strided(shape: list[int], strides: list[int]) -> np.ndarray:
    memory = np.zeros(2 * 8 * 100, "i1")[800:].view("f4")
    return np.lib.stride_tricks.as_strided(memory, shape, [4 * s for s in strides])


def addresses(a: np.ndarray) -> list[int]:
    steps = (np.arange(n) * s for n, s in zip(a.shape, a.strides, strict=True))
    return sum(np.ix_(*steps)).ravel().tolist() if a.ndim else [0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-16, 16)), max_size=4))
def test_an_array_that_overlaps_itself_is_found(axes: list[tuple[int, int]]) -> None:
    a = strided([n for n, _ in axes], [s for _, s in axes])
    places = addresses(a)
    if len(set(places)) < len(places):
        assert _layout.overlaps_itself(a)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4).flatmap(lambda n: st.tuples(st.just(n), places(len(n)))))
def test_slices_and_transposes_do_not_overlap_themselves(situation: tuple[list[int], Place]) -> None:
    shape, place = situation
    assert not _layout.overlaps_itself(place.empty(tuple(shape), "f4"))


def test_diagonals_do_not_overlap_themselves() -> None:
    cube = np.zeros((5, 5, 5))
    for axes in ((0, 1), (0, 2), (1, 2)):
        for turned in (cube, cube.transpose(1, 2, 0), cube.transpose(2, 0, 1), cube[::2, ::2, ::2]):
            assert not _layout.overlaps_itself(np.diagonal(turned, 0, *axes))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(3, 4, 5), (2, 6), (1, 12, 1), (2, 6, 1, 3)]).flatmap(
        lambda shape: st.tuples(st.just(shape), places(len(shape)), st.integers(1, len(shape) - 1))
    )
)
def test_groups_are_views(situation: tuple[tuple[int, ...], Place, int]) -> None:
    shape, place, axis = situation
    a = place.empty(shape, "f4")
    for array in (a, np.broadcast_to(a[:1], shape), np.broadcast_to(a[..., :1], shape)):
        for groups in (g for g in range(1, shape[axis] + 1) if shape[axis] % g == 0):
            view = _layout.groups(shape, axis, groups).of(array)
            assert np.shares_memory(view, array)
            np.testing.assert_array_equal(view.reshape(shape), array)

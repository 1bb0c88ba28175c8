"""Every error text, and that nothing is written before the arguments are checked."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnorm as fn

Arguments = dict[str, Any]

N, C, G, S = 3, 4, 2, 5
SHAPE = (N, C, S)


def data(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def valid(op: str) -> Arguments:
    """Arguments that pass, with everything given that can be given."""
    family, _, kind = op.partition("_norm")
    per_channel = (S,) if family in ("layer", "rms") else (C,)
    statistics = {"batch": (C,), "layer": (N, C, 1), "rms": (N, C, 1), "group": (N, G), "instance": (N, C)}[family]
    running = {"running_mean": data(C), "running_var": np.abs(data(C))}
    arguments = {"x": data(*SHAPE), "weight": data(*per_channel)}
    if family == "group":
        arguments["num_groups"] = G
    if kind == "_backward":
        arguments |= {"dy": data(*SHAPE), "rstd": data(*statistics, dtype=np.float64)}
        return arguments if family == "rms" else arguments | {"mean": data(*statistics, dtype=np.float64)}
    arguments |= {"bias": data(*per_channel), "out": data(*SHAPE)}
    takes_running = op in ("batch_norm", "batch_norm_forward", "instance_norm_forward")
    return arguments | running if takes_running else arguments


def overlapping(*shape: int) -> np.ndarray:
    """Writeable, with elements that share memory."""
    return np.lib.stride_tricks.as_strided(np.zeros(64, np.float32), shape, (4,) * len(shape))


def read_only(*shape: int) -> np.ndarray:
    array = np.zeros(shape, np.float32)
    array.flags.writeable = False
    return array


def check(op: str, changes: Arguments, error: type[Exception], text: str) -> None:
    """The call raises exactly this, and every array is what it was."""
    arguments = valid(op) | changes
    arrays = {name: value for name, value in arguments.items() if isinstance(value, np.ndarray)}
    before = {name: np.array(value, subok=False, copy=True) for name, value in arrays.items()}
    with pytest.raises(error, match=f"^{re.escape(text)}$" if text else None) as info:
        getattr(fn, op)(**arguments)
    assert type(info.value) is error
    for name, value in arrays.items():
        np.testing.assert_array_equal(np.array(value, subok=False), before[name], err_msg=name)


INFERENCE = ["batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm"]
FORWARD = [f"{op}_forward" for op in INFERENCE]
BACKWARD = [f"{op}_backward" for op in INFERENCE]
ALL = INFERENCE + FORWARD + BACKWARD
ROWS = [op for op in ALL if op.startswith(("layer", "rms"))]
CHANNELS = [op for op in ALL if op not in ROWS]
SAMPLES = [op for op in CHANNELS if not op.startswith("batch")]
UPDATES = ["batch_norm_forward", "instance_norm_forward"]


@pytest.mark.parametrize("op", ALL)
def test_the_arguments_that_the_others_change_are_valid(op: str) -> None:
    getattr(fn, op)(**valid(op))


# ---- x ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ALL)
@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (None, TypeError, "x must be an array, got None"),
        ("abc", TypeError, "x must have dtype float16, bfloat16, float32 or float64, got <U3"),
        (3, TypeError, "x must have dtype float16, bfloat16, float32 or float64, got int64"),
        (np.ones(SHAPE, int), TypeError, "x must have dtype float16, bfloat16, float32 or float64, got int64"),
        (np.ones(SHAPE, bool), TypeError, "x must have dtype float16, bfloat16, float32 or float64, got bool"),
        (np.ones(SHAPE, complex), TypeError, "x must have dtype float16, bfloat16, float32 or float64, got complex128"),
        (np.ones(SHAPE, object), TypeError, "x must have dtype float16, bfloat16, float32 or float64, got object"),
        (np.ones(SHAPE, "V4"), TypeError, "x must have dtype float16, bfloat16, float32 or float64, got |V4"),
        (np.ones(SHAPE, ">f4"), TypeError, "x must have native byte order, got dtype >f4"),
        (
            np.ma.masked_equal(np.ones(SHAPE), 0),
            TypeError,
            "x must not be a masked array, whose mask would be ignored, got MaskedArray",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_x(op: str, x: Any, error: type[Exception], text: str) -> None:
    check(op, {"x": x}, error, text)


class Foreign:
    """An array on some device."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise self.error


@pytest.mark.parametrize("op", ALL)
def test_what_is_no_array(op: str) -> None:
    text = "x must be an array, got Foreign that is none: not on the CPU"
    check(op, {"x": Foreign(RuntimeError("not on the CPU"))}, TypeError, text)
    check(op, {"x": Foreign(ValueError("not on the CPU"))}, ValueError, text)
    with pytest.raises(ValueError, match=r"^weight must be an array, got list that is none: .*inhomogeneous shape"):
        getattr(fn, op)(**valid(op) | {"weight": [[1.0], [1.0, 2.0]]})


def test_running_out_of_memory_is_no_type_error() -> None:
    with pytest.raises(MemoryError):
        fn.layer_norm(Foreign(MemoryError()))


@pytest.mark.parametrize("op", CHANNELS)
@pytest.mark.parametrize("shape", [(), (4,)])
def test_channels_need_two_dimensions(op: str, shape: tuple[int, ...]) -> None:
    check(op, {"x": data(*shape)}, ValueError, f"x must have two or more dimensions, got x with shape {shape}")


@pytest.mark.parametrize("op", ROWS)
def test_rows_need_a_dimension(op: str) -> None:
    check(op, {"x": np.float32(1)}, ValueError, "x must have one or more dimensions, got x with shape ()")


@pytest.mark.parametrize("op", UPDATES)
def test_one_value_per_channel(op: str) -> None:
    shape = (1, C) if op.startswith("batch") else (N, C, 1)
    text = f"expected more than one value per channel when training, got x with shape {shape}"
    check(op, {"x": data(*shape), "out": None}, ValueError, text)


# ---- axes and groups -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ALL)
@pytest.mark.parametrize("axis", [1.0, "1", None, True, np.True_, b"1", np.array([1, 2]), 1j])
def test_axis_of_a_wrong_type(op: str, axis: Any) -> None:
    check(op, {"axis": axis}, TypeError, f"axis must be an integer, got {type(axis).__name__}")


@pytest.mark.parametrize("op", CHANNELS)
@pytest.mark.parametrize("axis", [[1], (1,), range(1)])
def test_a_channel_axis_is_one(op: str, axis: Any) -> None:
    check(op, {"axis": axis}, TypeError, f"axis must be an integer, got {type(axis).__name__}")


@pytest.mark.parametrize("op", ROWS)
@pytest.mark.parametrize("axis", [(1.0,), (0, True), (0, (1,)), [0, [1]]])
def test_axes_of_a_wrong_type(op: str, axis: tuple[Any, ...]) -> None:
    check(op, {"axis": axis}, TypeError, f"axis must be an integer, got {type(axis[-1]).__name__}")


@pytest.mark.parametrize("op", CHANNELS)
def test_channel_axes(op: str) -> None:
    check(op, {"axis": (1,)}, TypeError, "axis must be an integer, got tuple")


@pytest.mark.parametrize("op", ALL)
@pytest.mark.parametrize("axis", [3, -4, 10**30])
def test_axis_out_of_range(op: str, axis: int) -> None:
    text = f"axis must be from -3 to 2 for x with shape (3, 4, 5), got {axis}"
    check(op, {"axis": axis}, ValueError, text)
    if op in ROWS:
        check(op, {"axis": (0, axis)}, ValueError, text)


@pytest.mark.parametrize("op", ROWS)
@pytest.mark.parametrize("axis", [(0, 0), (2, 1, -1)])
def test_axis_repeated(op: str, axis: tuple[int, ...]) -> None:
    check(op, {"axis": axis}, ValueError, f"axis must not repeat an axis of x with shape (3, 4, 5), got {axis}")


@pytest.mark.parametrize("op", ROWS)
def test_no_axis(op: str) -> None:
    check(op, {"axis": ()}, ValueError, "axis must name one axis or more, got ()")


@pytest.mark.parametrize("op", SAMPLES)
@pytest.mark.parametrize("axis", [0, -3])
def test_sample_axis(op: str, axis: int) -> None:
    text = f"axis must not be 0, the sample axis of x with shape (3, 4, 5), got {axis}"
    check(op, {"axis": axis}, ValueError, text)


@pytest.mark.parametrize("op", ["group_norm", "group_norm_forward", "group_norm_backward"])
@pytest.mark.parametrize(
    ("num_groups", "error", "text"),
    [
        (0, ValueError, "num_groups must be positive, got 0"),
        (-2, ValueError, "num_groups must be positive, got -2"),
        (3, ValueError, "num_groups must divide the 4 channels on axis 1 of x with shape (3, 4, 5), got 3"),
        (8, ValueError, "num_groups must divide the 4 channels on axis 1 of x with shape (3, 4, 5), got 8"),
        (2.0, TypeError, "num_groups must be an integer, got float"),
        (True, TypeError, "num_groups must be an integer, got bool"),
        (None, TypeError, "num_groups must be an integer, got NoneType"),
        ("2", TypeError, "num_groups must be an integer, got str"),
    ],
)
def test_num_groups(op: str, num_groups: Any, error: type[Exception], text: str) -> None:
    check(op, {"num_groups": num_groups}, error, text)


def test_groups_of_as_many_dimensions_as_numpy_has() -> None:
    most = 32 if np.__version__.startswith("1.") else 64
    x = data(1, 4, *(1,) * (most - 3), 2)
    for groups in (1, 2, 4):
        np.testing.assert_array_equal(
            fn.group_norm(x, groups).ravel(), fn.group_norm(x.reshape(1, 4, 2), groups).ravel()
        )


# ---- weight and bias, running statistics -----------------------------------------------------------------------------

PARAMETERS = [(op, name) for op in ALL for name in ("weight", "bias") if name in valid(op)]
BUFFERS = [(op, name) for op in ("batch_norm", *UPDATES) for name in ("running_mean", "running_var")]


@pytest.mark.parametrize(("op", "name"), PARAMETERS + BUFFERS)
@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (1,), (5, 1)])
def test_shape_of_parameters(op: str, name: str, shape: tuple[int, ...]) -> None:
    where = "(5,) to match axis 2" if op in ROWS else "(4,) to match axis 1"
    text = f"{name} must have shape {where} of x with shape (3, 4, 5), got {shape}"
    check(op, {name: np.ones(shape, np.float32)}, ValueError, text)


def test_shape_of_parameters_as_in_the_manual() -> None:
    x = np.ones((8, 64, 56, 56), np.float32)
    text = "weight must have shape (64,) to match axis 1 of x with shape (8, 64, 56, 56), got (32,)"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        fn.batch_norm_forward(x, np.ones(32, np.float32))


@pytest.mark.parametrize("op", ROWS)
def test_shape_of_parameters_over_several_axes(op: str) -> None:
    text = "weight must have shape (3, 5) to match axes (0, 2) of x with shape (3, 4, 5), got (5, 3)"
    check(op, {"axis": (2, 0), "weight": data(5, 3)}, ValueError, text)


@pytest.mark.parametrize(("op", "name"), PARAMETERS + BUFFERS)
@pytest.mark.parametrize("dtype", ["int32", "bool", "object", "complex64", "float16"])
def test_dtype_of_parameters(op: str, name: str, dtype: str) -> None:
    got = np.dtype(dtype)
    text = f"{name} must have dtype float32 or float64 for x with dtype float32, got {got}"
    check(op, {name: np.ones(4, got)}, TypeError, text)


@pytest.mark.parametrize(("op", "name"), PARAMETERS + BUFFERS)
def test_parameters_are_never_narrower_than_the_data(op: str, name: str) -> None:
    wide = {key: value.astype(np.float64) for key, value in valid(op).items() if isinstance(value, np.ndarray)}
    text = f"{name} must have dtype float64 for x with dtype float64, got float32"
    check(op, wide | {name: wide[name].astype(np.float32)}, TypeError, text)


@pytest.mark.parametrize(("op", "name"), PARAMETERS + BUFFERS)
def test_byte_order_and_masks_of_parameters(op: str, name: str) -> None:
    value = valid(op)[name]
    text = f"{name} must have native byte order, got dtype >f4"
    check(op, {name: value.astype(">f4")}, TypeError, text)
    text = f"{name} must not be a masked array, whose mask would be ignored, got MaskedArray"
    check(op, {name: np.ma.masked_array(value)}, TypeError, text)


def test_evaluation_needs_its_statistics() -> None:
    check("batch_norm", {"running_mean": None}, TypeError, "running_mean must be an array, got None")
    check("batch_norm", {"running_var": None}, TypeError, "running_var must be an array, got None")


@pytest.mark.parametrize("op", UPDATES)
@pytest.mark.parametrize("name", ["running_mean", "running_var"])
class TestBuffers:
    def test_both_or_neither(self, op: str, name: str) -> None:
        text = f"running_mean and running_var must be given together, got {name}=None"
        check(op, {name: None}, ValueError, text)

    @pytest.mark.parametrize("value", [[1.0] * C, memoryview(data(C)), 1.0])
    def test_are_arrays(self, op: str, name: str, value: Any) -> None:
        got = type(value).__name__
        text = f"{name} must be a numpy.ndarray, since it is written to, got {got}"
        check(op, {name: value}, TypeError, text)

    def test_can_be_written_to(self, op: str, name: str) -> None:
        check(op, {name: read_only(C)}, ValueError, f"{name} must be writeable, got a read-only array")
        value = np.lib.stride_tricks.as_strided(data(1), (C,), (0,))
        text = f"{name} must have a place of its own for every element, got shape (4,) with strides (0,)"
        check(op, {name: value}, ValueError, text)

    @pytest.mark.parametrize("other", ["x", "weight", "bias", "out"])
    def test_share_nothing(self, op: str, name: str, other: str) -> None:
        arguments = valid(op)
        shared = arguments[other].reshape(-1)[:C]
        text = f"{name} must not share memory with {other}, got overlapping arrays"
        check(op, arguments | {name: shared}, ValueError, text)


@pytest.mark.parametrize("op", UPDATES)
def test_buffers_share_nothing_with_each_other(op: str) -> None:
    both = data(C + 1)
    text = "running_var must not share memory with running_mean, got overlapping arrays"
    check(op, {"running_mean": both[1:], "running_var": both[:-1]}, ValueError, text)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def number_cases() -> list[tuple[str, str, str, list[Any]]]:
    wrong = [float("nan"), float("inf"), -float("inf"), 10**400]
    cases = [(op, "eps", "a finite number >= 0", [*wrong, -1.0, -1e-300, -3]) for op in INFERENCE + FORWARD]
    cases += [(op, "momentum", "a number from 0 to 1", [*wrong, -0.1, 1.1, 2]) for op in UPDATES]
    cases += [(op, "ddof", "a finite number >= 0", [*wrong, -1]) for op in UPDATES]
    return cases + [(op, "offset", "a finite number", wrong) for op in ALL if op.startswith("rms")]


@pytest.mark.parametrize(("op", "name", "expected", "values"), number_cases())
def test_numbers(op: str, name: str, expected: str, values: list[Any]) -> None:
    for value in values:
        got = "an integer that no float can hold" if value == 10**400 else float(value)
        check(op, {name: value}, ValueError, f"{name} must be {expected}, got {got}")
    for value in (True, np.False_, "1e-5", 1j, np.ones(1), [0.1]):
        check(op, {name: value}, TypeError, f"{name} must be {expected}, got {type(value).__name__}")
    if (name, op.startswith("rms")) != ("eps", True):
        check(op, {name: None}, TypeError, f"{name} must be {expected}, got NoneType")


@pytest.mark.parametrize(("op", "values"), [("batch_norm_forward", 15), ("instance_norm_forward", 5)])
def test_ddof_leaves_something(op: str, values: int) -> None:
    text = f"ddof must be less than the {values} values per channel of x with shape (3, 4, 5), got {values}"
    check(op, {"ddof": values}, ValueError, text)
    getattr(fn, op)(**valid(op) | {"ddof": values, "running_mean": None, "running_var": None})


# ---- out -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", INFERENCE + FORWARD)
@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: [0.0], TypeError, "out must be a numpy.ndarray, since it is written to, got list"),
        (lambda: memoryview(b""), TypeError, "out must be a numpy.ndarray, since it is written to, got memoryview"),
        (
            lambda: np.ma.zeros(SHAPE, np.float32),
            TypeError,
            "out must not be a masked array, whose mask would be ignored, got MaskedArray",
        ),
        (lambda: np.zeros(SHAPE), TypeError, "out must have dtype float32 to match x, got float64"),
        (lambda: np.zeros(SHAPE, ">f4"), TypeError, "out must have dtype float32 to match x, got >f4"),
        (lambda: np.zeros((3, 4), "f4"), ValueError, "out must have shape (3, 4, 5) to match x, got (3, 4)"),
        (lambda: np.zeros((1, 4, 5), "f4"), ValueError, "out must have shape (3, 4, 5) to match x, got (1, 4, 5)"),
        (lambda: read_only(*SHAPE), ValueError, "out must be writeable, got a read-only array"),
        (
            lambda: overlapping(*SHAPE),
            ValueError,
            "out must have a place of its own for every element, got shape (3, 4, 5) with strides (4, 4, 4)",
        ),
    ],
)
def test_out(op: str, make: Callable[[], Any], error: type[Exception], text: str) -> None:
    check(op, {"out": make()}, error, text)


# ---- backward --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", BACKWARD)
@pytest.mark.parametrize(
    ("dy", "error", "text"),
    [
        (None, TypeError, "dy must be an array, got None"),
        (np.ones(SHAPE), TypeError, "dy must have dtype float32 to match x, got float64"),
        (np.ones((4, 5), "f4"), ValueError, "dy must have shape (3, 4, 5) to match x, got (4, 5)"),
        (np.ones((3, 4, 1), "f4"), ValueError, "dy must have shape (3, 4, 5) to match x, got (3, 4, 1)"),
    ],
)
def test_dy(op: str, dy: Any, error: type[Exception], text: str) -> None:
    check(op, {"dy": dy}, error, text)


STATISTICS = [(op, name) for op in BACKWARD for name in ("mean", "rstd") if name in valid(op)]


@pytest.mark.parametrize(("op", "name"), STATISTICS)
def test_statistics(op: str, name: str) -> None:
    good = valid(op)[name]
    text = f"{name} must have shape {good.shape} to match the statistics of x with shape (3, 4, 5), got (7,)"
    check(op, {name: np.ones(7)}, ValueError, text)
    check(op, {name: good.astype(int)}, TypeError, f"{name} must have dtype float32 or float64, got int64")
    check(op, {name: good.astype(">f8")}, TypeError, f"{name} must have native byte order, got dtype >f8")
    check(op, {name: None}, TypeError, f"{name} must be an array, got None")


@pytest.mark.parametrize("op", BACKWARD)
@pytest.mark.parametrize(
    ("mask", "error", "got"),
    [
        (None, TypeError, "NoneType"),
        (True, TypeError, "bool"),
        ("yes", TypeError, "str"),
        ((1, 0, 1), TypeError, "tuple of int, int, int"),
        ([True, "no", None], TypeError, "list of bool, str, NoneType"),
        ((True, False), ValueError, "2"),
        ((), ValueError, "0"),
        ((True,) * 4, ValueError, "4"),
    ],
)
def test_grad_mask(op: str, mask: Any, error: type[Exception], got: str) -> None:
    check(op, {"grad_mask": mask}, error, f"grad_mask must be three booleans (dx, dweight, dbias), got {got}")


@pytest.mark.parametrize("training", [None, 1, "yes"])
def test_training(training: Any) -> None:
    text = f"training must be a boolean, got {type(training).__name__}"
    check("batch_norm_backward", {"training": training}, TypeError, text)


# ---- runtime ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [fn.set_num_threads, fn.threads])
def test_number_of_threads(function: Callable[[Any], Any]) -> None:
    before = fn.get_num_threads()
    for value in (0, -1, 1025, 10**30):
        with pytest.raises(ValueError, match=f"^n must be from 1 to 1024, got {value}$"):
            function(value)
    for value in (1.0, True, None, "2"):
        with pytest.raises(TypeError, match=f"^n must be an integer, got {type(value).__name__}$"):
            function(value)
    assert fn.get_num_threads() == before


def test_simd_target() -> None:
    before, names = fn.simd_target(), ", ".join(map(repr, fn.simd_targets()))
    with pytest.raises(ValueError, match=f"^name must be one of {re.escape(names)}, got 'MMX'$"):
        fn.set_simd_target("MMX")
    with pytest.raises(TypeError, match=r"^name must be a string, got int$"):
        fn.set_simd_target(2)  # type: ignore[arg-type]
    assert fn.simd_target() == before


def test_mode_of_the_report() -> None:
    with pytest.raises(ValueError, match=r"^mode must be one of 'stdout', 'dicts', got 'json'$"):
        fn.show_config("json")


# ---- anything at all -------------------------------------------------------------------------------------------------

WEIRD: list[Any] = [
    None,
    0,
    -1,
    2**63,
    1.5,
    float("nan"),
    "",
    b"bytes",
    (),
    (0, 1),
    [[]],
    {},
    object(),
    type,
    len,
    np.array(3.0),
    np.ones(0, np.float32),
    np.ones((0, 4, 5), np.float32),
    np.ones((3, 0, 5), np.float32),
    np.ones((3, 4, 0), np.float32),
    np.ones((1,) * 30, np.float32),
    np.broadcast_to(np.float32(2), (2**20, 2**20, 2**18)),
    np.array("2020-01-01", "M8[s]"),
    np.array(None),
]


@pytest.mark.parametrize("op", ALL)
def test_any_argument_gives_an_answer_or_a_clear_error(op: str) -> None:
    for name in [*valid(op), "axis", "eps", "momentum", "ddof", "offset", "grad_mask", "training"]:
        for value in WEIRD:
            with contextlib.suppress(TypeError, ValueError, MemoryError):
                getattr(fn, op)(**valid(op) | {name: value})


class Everything:
    """Has every attribute, as mocks have."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getattr__(self, name: str) -> Any:
        return self.value


@pytest.mark.parametrize(
    "value",
    [
        None,
        "parts",
        (),
        (True,),
        (True, 2),
        (True, 1.0, 2.0),
        (1, np.ones(1), np.ones(1)),
        (True, np.ones(1), np.ones(1, bool)),
    ],
)
def test_what_only_looks_like_quantize(value: Any) -> None:
    for function in (fn.layer_norm, fn.rms_norm):
        with pytest.raises(TypeError, match=r"quantize must be a Quantize, got .*Everything"):
            function(np.ones((2, 4), np.float32), quantize=Everything(value))

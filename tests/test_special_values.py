"""NaN, infinity, signed zeros, denormals, groups of one value: what they reach, and what they leave alone."""

import ctypes
import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import reference
from scaled_error import exceeded

SHAPES = [(6, 2), (6, 40), (6, 1100), (300, 36), (3, 66_000)]
NAN = [(np.nan, 0.0), (np.nan, 0.5), (np.nan, 1.0)]  # value, and where in the group
INFINITY = [(np.inf, 0.0), (-np.inf, 0.5), (np.inf, 1.0)]


def draw(norm: Any, shape: tuple[int, int], dtype: str = "float32") -> list[np.ndarray]:
    """Gradient of the output, data, weight, bias."""
    rng = np.random.default_rng(shape)
    dy, x = (norm.put(rows.astype(dtype)) for rows in rng.standard_normal((2, *shape)))
    return [dy, x, *rng.uniform(0.5, 2, (2, *norm.parameters(x))).astype(dtype)]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit by bit."""
    return a.tobytes() == b.tobytes()


class Spoiled:
    """Results before and after one element became special, and what belongs to the group of that element."""

    def __init__(self, norm: Any, shape: tuple[int, int], dtype: str, which: int, value: float, at: float) -> None:
        arguments = draw(norm, shape, dtype)
        self.norm, self.shape, self.group, self.at = norm, shape, shape[0] // 2, int(at * (shape[1] - 1))
        self.before = norm.outputs(*arguments)
        rows = norm.groups(arguments[which], shape).copy()
        rows[self.group, self.at] = value
        arguments[which] = norm.put(rows)
        self.after = norm.outputs(*arguments)
        x, weight = arguments[1], arguments[2]
        self.parameters = norm.groups(norm.spread(np.arange(weight.size).reshape(weight.shape), x), shape)

    def inside(self, name: str) -> np.ndarray:
        """That group's part of a result in the shape of the data."""
        return self.norm.groups(self.after[name], self.shape)[self.group]

    def assert_others_keep_their_bits(self, *names: str) -> None:
        for name in names:
            before, after = (self.norm.groups(a[name], self.shape) for a in (self.before, self.after))
            assert same(np.delete(before, self.group, 0), np.delete(after, self.group, 0)), name
        for name in {"mean", "rstd"} & self.before.keys():
            before, after = (np.delete(a[name].ravel(), self.group) for a in (self.before, self.after))
            assert same(before, after), name

    def assert_nan_in(self, name: str, parameters: Any) -> None:
        """The gradient of these parameters alone is NaN, the others keep their bits."""
        before, after = self.before[name].ravel(), self.after[name].ravel()
        assert np.isnan(after[parameters]).all(), name
        assert same(np.delete(before, parameters), np.delete(after, parameters)), name


def spoil(norm: Any, dtype: str, which: int, values: Any, shapes: Any = SHAPES) -> Iterator[Spoiled]:
    for shape in shapes:
        for value, at in values if shape[1] < 10_000 else values[1:2]:
            yield Spoiled(norm, shape, dtype, which, value, at)


def assert_contained(norm: Any, dtype: str, shapes: Any = SHAPES) -> None:
    """In a group with a NaN all is NaN; infinity does the same where there is a mean, and nothing leaves the group."""
    for case in spoil(norm, dtype, 1, NAN + INFINITY if norm.centred else NAN, shapes):
        case.assert_others_keep_their_bits("y", "dx")
        assert np.isnan(case.inside("y")).all()
        assert np.isnan(case.inside("dx")).all()
        case.assert_nan_in("dweight", np.unique(case.parameters[case.group]))
        assert same(case.before["dbias"], case.after["dbias"])


def test_special_values_stay_in_their_group(norm: Any, dtype: str) -> None:
    if norm.evaluates:
        pytest.skip("has no groups")
    assert_contained(norm, dtype)


def test_containment_on_every_target(norm: Any, simd_target: str) -> None:
    if not norm.evaluates:
        assert_contained(norm, "float32", [(6, 37), (6, 1100)])


def test_evaluation_is_element_by_element(norm: Any, dtype: str) -> None:
    if not norm.evaluates:
        pytest.skip("has groups")
    for case in spoil(norm, dtype, 1, NAN + INFINITY):
        case.assert_others_keep_their_bits("y", "dx")
        assert np.flatnonzero(~np.isfinite(case.inside("y"))).tolist() == [case.at]
        assert same(case.before["dx"], case.after["dx"])
        finite = np.isfinite(case.after["dweight"])
        assert np.flatnonzero(~finite).tolist() == [case.group]
        assert same(case.before["dweight"][finite], case.after["dweight"][finite])


def test_infinity_in_the_root_mean_square(norm: Any, dtype: str) -> None:
    """Its scale is zero: finite values become zero, so the bias, and infinity becomes NaN."""
    if norm.centred:
        pytest.skip("has a mean")
    for case in spoil(norm, dtype, 1, INFINITY):
        case.assert_others_keep_their_bits("y", "dx")
        bias = draw(norm, case.shape, dtype)[3].ravel()[case.parameters[case.group]]
        is_infinite = np.arange(case.shape[1]) == case.at
        np.testing.assert_array_equal(case.inside("y"), np.where(is_infinite, np.nan, bias))
        assert np.isnan(case.inside("dx")).all()
        assert np.flatnonzero(np.isnan(case.after["dweight"])).tolist() == [case.parameters[case.group, case.at]]


def test_special_gradients_stay_in_their_group(norm: Any, dtype: str) -> None:
    for case in spoil(norm, dtype, 0, NAN + INFINITY):
        case.assert_others_keep_their_bits("y", "dx")
        own = case.parameters[case.group, case.at]
        if norm.evaluates:
            assert np.flatnonzero(~np.isfinite(case.inside("dx"))).tolist() == [case.at]
        else:
            assert not np.isfinite(case.inside("dx")).any()
        for name in ("dweight", "dbias"):
            before, after = case.before[name].ravel(), case.after[name].ravel()
            assert not np.isfinite(after[own])
            assert same(np.delete(before, own), np.delete(after, own)), name


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 3e38, 1e-42])
def test_one_value(norm: Any, dtype: str, value: float) -> None:
    """A group of one value is its own mean: the output is the bias whatever the weight, the gradient is zero."""
    if norm.op in ("batch_norm", "instance_norm") or not norm.centred:
        pytest.skip("takes more values, or has no mean")
    dy, x, weight, bias = draw(norm, (6, 1), dtype)
    x[...] = value
    for eps in (0.0, 1e-5):
        got = norm.outputs(dy, x, weight * weight.dtype.type(1e10), bias, eps=eps)
        assert same(got["y"], norm.spread(bias, x))
        assert not got["dx"].any()
        assert not got["dweight"].any()


@pytest.mark.parametrize("op", ["rms_norm", "batch_norm"])
def test_negative_zero(dtype: str, op: str) -> None:
    x = np.array([[-0.0, 0.0, 1.0, -2.0]], dtype)
    arguments = (np.zeros(4), np.ones(4)) if op == "batch_norm" else ()
    y, want = (getattr(module, op)(x, *arguments) for module in (fn, reference))
    np.testing.assert_array_equal(np.signbit(y), np.signbit(want))


def test_denormals(norm: Any, dtype: str) -> None:
    """Neither data nor parameters nor gradients nor results are flushed to zero."""
    some = 1000 * float(np.finfo(dtype).smallest_subnormal)
    for n in (2, 5, 67, 1100):
        dy, x, weight, bias = draw(norm, (6, n), dtype)
        small = [(a * some).astype(dtype) for a in (dy, x, weight, bias)]
        assert not exceeded(norm.forward_errors(x, *small[2:]))
        assert not exceeded(norm.backward_errors(small[0], x, weight))
        if not norm.evaluates:
            y = norm.output(small[1], eps=0.25)
            assert 0 < np.abs(y).max() < 100 * some


@pytest.mark.skipif(platform.system() != "Linux" or platform.machine() != "x86_64", reason="reads glibc's fenv_t")
def test_floating_point_environment(norm: Any) -> None:
    """The control bits of the thread that calls, which say how to round and what to flush, stay as they are."""
    libm = ctypes.CDLL("libm.so.6")

    def control() -> int:
        environment = (ctypes.c_uint32 * 8)()
        assert libm.fegetenv(environment) == 0
        return environment[7] & ~0x3F  # MXCSR without its sticky flags

    assert libm.fesetenv(ctypes.c_void_p(-1)) == 0  # the default, should an earlier test have left another
    before = control()
    for shape in ((6, 100), (3, 66_000)):
        norm.outputs(*draw(norm, shape))
        assert control() == before

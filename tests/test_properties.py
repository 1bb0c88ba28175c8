"""Laws that hold whatever the data: of scale and shift, of gradients, between the norms; and any values at all."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastnorm as fn
from scaled_error import THRESHOLDS, exceeded, unit_roundoff

LENGTHS = [2, 5, 64, 100, 1100]


def draw(norm: Any, groups: int, n: int, dtype: str) -> list[np.ndarray]:
    """Gradient of the output, data, weight, bias."""
    rng = np.random.default_rng([groups, n])
    dy, x = (norm.put(a.astype(dtype)) for a in rng.standard_normal((2, groups, n)) + [[[0.5]], [[3]]])
    return [dy, x, *rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)]


def has_statistics(norm: Any) -> None:
    if norm.evaluates:
        pytest.skip("takes its statistics from elsewhere")


# ---- scale and shift -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [-30, -7, 1, 40])
def test_scale_by_a_power_of_two(norm: Any, dtype: str, power: int) -> None:
    """Without eps no bit of the output changes, and the gradient scales back exactly."""
    has_statistics(norm)
    for n in LENGTHS:
        dy, x, weight, bias = draw(norm, 6, n, dtype)
        want = norm.outputs(dy, x, weight, bias, eps=0.0)
        got = norm.outputs(dy, np.ldexp(x, power), weight, bias, eps=0.0)
        scales = {"mean": power, "rstd": -power, "dx": -power}
        for name in want:
            np.testing.assert_array_equal(got[name], np.ldexp(want[name], scales.get(name, 0)), f"{name}, {n} values")


@pytest.mark.parametrize("shift", [1, -100, 4096, 131072])
def test_exact_shift(norm: Any, shift: int) -> None:
    """A shift that rounds nothing is one of the mean, however large against the deviations."""
    has_statistics(norm)
    if not norm.centred:
        pytest.skip("has no mean")
    for n in LENGTHS:
        dy, x, *_ = draw(norm, 6, n, "float32")
        x = np.round(x * 64) / 64
        assert np.array_equal((x + np.float32(shift)) - np.float32(shift), x)
        want, got = norm.outputs(dy, x), norm.outputs(dy, x + np.float32(shift))
        largest = unit_roundoff("float32") * THRESHOLDS["y"] * (1 + np.abs(want["y"]))
        assert (np.abs(got["y"] - want["y"]) <= largest).all(), f"{n} values"
        np.testing.assert_allclose(got["mean"], want["mean"] + shift, rtol=0, atol=1e-6)
        np.testing.assert_allclose(got["dx"], want["dx"], rtol=0, atol=1e-5 * np.abs(want["dx"]).max())


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_gradient_is_orthogonal(norm: Any) -> None:
    """Without eps the output does not change with shift and scale of a group, so the sums of dx and x * dx are zero."""
    has_statistics(norm)
    for n in LENGTHS:
        dy, x, weight, bias = draw(norm, 6, n, "float64")
        dx = norm.groups(norm.outputs(dy, x, weight, bias, eps=0.0)["dx"], (6, n))
        rows = norm.groups(x, (6, n))
        assert n == 2 or (np.abs(dx).max(axis=1) > 1e-3).all()
        assert (np.abs((dx * rows).sum(axis=1)) < 1e-13 * n * np.abs(rows).max()).all()
        if norm.centred:
            assert (np.abs(dx.sum(axis=1)) < 1e-13 * n).all()


def test_no_gradient(norm: Any, dtype: str) -> None:
    for n in LENGTHS:
        dy, x, weight, bias = draw(norm, 6, n, dtype)
        got = norm.outputs(np.zeros_like(dy), x, weight, bias)
        assert not any(got[name].any() for name in ("dx", "dweight", "dbias"))


def test_gradients_are_linear(norm: Any, dtype: str) -> None:
    """Twice the gradient of the output gives exactly twice the others."""
    for n in LENGTHS:
        dy, x, weight, bias = draw(norm, 6, n, dtype)
        want, got = norm.outputs(dy, x, weight, bias), norm.outputs(2 * dy, x, weight, bias)
        for name in ("dx", "dweight", "dbias"):
            np.testing.assert_array_equal(got[name], 2 * want[name], name)


# ---- between the norms -----------------------------------------------------------------------------------------------


def both(op: str, dy: Any, x: Any, weight: Any, bias: Any, **options: Any) -> list[np.ndarray]:
    """y, mean, rstd, dx, dweight, dbias."""
    y, *statistics = getattr(fn, f"{op}_forward")(x, weight=weight, bias=bias, **options)
    mean, rstd = statistics
    return [y, mean, rstd, *getattr(fn, f"{op}_backward")(dy, x, weight=weight, mean=mean, rstd=rstd, **options)]


def assert_close(some: Any, others: Any) -> None:
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(np.ravel(a), np.ravel(b), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 6, 7, 7), (5, 12), (2, 3, 40, 30)])
class TestNormsAgree:
    def data(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        rng = np.random.default_rng(shape)
        return [*rng.standard_normal((2, *shape)), *rng.uniform(-2, 2, (2, shape[1]))]

    def test_one_group_is_layer_norm(self, shape: tuple[int, ...]) -> None:
        dy, x, weight, bias = self.data(shape)
        wide = [np.broadcast_to(p.reshape(-1, *[1] * (x.ndim - 2)), shape[1:]) for p in (weight, bias)]
        *layer, dweight, dbias = both("layer_norm", dy, x, *wide, axis=tuple(range(1, x.ndim)))
        sums = [d.reshape(shape[1], -1).sum(axis=1) for d in (dweight, dbias)]
        assert_close(both("group_norm", dy, x, weight, bias, num_groups=1), [*layer, *sums])

    def test_one_channel_to_a_group_is_instance_norm(self, shape: tuple[int, ...]) -> None:
        if len(shape) == 2:
            pytest.skip("one value is no instance")
        assert_close(
            both("group_norm", *self.data(shape), num_groups=shape[1]), both("instance_norm", *self.data(shape))
        )

    def test_samples_as_channels_of_one_batch(self, shape: tuple[int, ...]) -> None:
        if len(shape) == 2:
            pytest.skip("one value is no instance")
        dy, x, weight, bias = self.data(shape)
        one = (1, shape[0] * shape[1], *shape[2:])
        batch = both("batch_norm", dy.reshape(one), x.reshape(one), *np.tile([weight, bias], shape[0]))
        sums = [d.reshape(shape[:2]).sum(axis=0) for d in batch[4:]]
        assert_close([*batch[:4], *sums], both("instance_norm", dy, x, weight, bias))

    def test_channel_first_and_last(self, shape: tuple[int, ...]) -> None:
        dy, x, weight, bias = self.data(shape)
        for op, options in (("batch_norm", {}), ("group_norm", {"num_groups": shape[1] // 2 or 1})):
            if shape[1] % 2 and op == "group_norm":
                continue
            moved = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (dy, x)]
            last = both(op, *moved, weight, bias, axis=-1, **options)
            last[0], last[3] = (np.moveaxis(a, -1, 1) for a in (last[0], last[3]))
            assert_close(both(op, dy, x, weight, bias, **options), last)


# ---- any values ------------------------------------------------------------------------------------------------------


def values(dtype: str, least: float, largest: float) -> st.SearchStrategy[float]:
    """Zero, and values from the least to the largest size."""
    least, largest = (float(np.dtype(dtype).type(v)) for v in (least, largest))
    some = st.floats(least, largest, width=32 if dtype == "float32" else 64)
    return st.just(0.0) | some | some.map(lambda v: -v)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")  # of the reference and of casts
def test_any_values(norm: Any, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.sampled_from((3, 6)), st.integers(2, 12)), "shape")
    # Of float32 all but the smallest, whose normalized values would be subnormal and a gradient relative to them; of
    # float64 what can be squared; an evaluation does not scale to the data, so its products must be in range.
    least, largest = (1e-30, 3.4e38) if dtype == "float32" else (1e-100, 1e100)
    largest, steepest = (1e15, 1e15) if norm.evaluates else (largest, 1e30)
    x = norm.put(data.draw(arrays(dtype, shape, elements=values(dtype, least, largest)), "x"))
    dy = norm.put(data.draw(arrays(dtype, shape, elements=values(dtype, 1e-30, steepest)), "dy"))
    parameters = arrays(dtype, norm.parameters(x), elements=st.floats(-2, 2, width=16))
    weight, bias = (data.draw(st.none() | parameters, name) for name in ("weight", "bias"))
    eps = data.draw(st.sampled_from((0.0, 1e-5, 1.0)), "eps")
    assert not exceeded(norm.forward_errors(x, weight, bias, eps=eps))
    assert not exceeded(norm.backward_errors(dy, x, weight, eps=eps))

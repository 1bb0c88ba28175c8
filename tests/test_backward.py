"""Gradients of every norm, in every layout and dtype, against the reference, end to end."""

from typing import Any

import numpy as np
import pytest

import fastnorm as fn
import gradcheck
from scaled_error import backward_errors, exceeded

# All remainders of vectors and quads of vectors, and the edges of blocks.
LENGTHS = [*range(1, 71), *(n + k for n in (128, 256, 1024, 2048) for k in (-1, 0, 1))]
SOME = [2, 3, 7, 16, 31, 33, 64, 66, 130, 1030]


def draw(norm: Any, groups: int, n: int, dtype: str) -> list[Any]:
    """Gradient of the output, data, weight."""
    rng = np.random.default_rng([groups, n])
    dy, x = 0.5 + rng.standard_normal((groups, n)), 3 + 2 * rng.standard_normal((groups, n))
    dy, x = norm.put(dy.astype(dtype)), norm.put(x.astype(dtype))
    return [dy, x, rng.uniform(-2, 2, norm.parameters(x)).astype(dtype)]


def needs_two(norm: Any) -> bool:
    return norm.op in ("batch_norm", "instance_norm") and not norm.evaluates


def test_every_length(norm: Any, dtype: str) -> None:
    for n in LENGTHS[needs_two(norm) :]:
        dy, x, weight = draw(norm, 6, n, dtype)
        errors = norm.backward_errors(dy, x, weight if (n + n // 4) % 4 else None)
        assert errors.keys() == {"dx", "dweight", "dbias"}
        assert not exceeded(errors), f"{n} values"


def test_without_weight(norm: Any, dtype: str) -> None:
    for n, eps in ((5, 0.0), (40, 1e-3), (1100, 0.5)):
        dy, x, _ = draw(norm, 6, n, dtype)
        assert not exceeded(norm.backward_errors(dy, x, None, eps=eps)), f"{n} values"


def test_simd_targets(norm: Any, dtype: str, simd_target: str) -> None:
    for n in SOME:
        assert not exceeded(norm.backward_errors(*draw(norm, 6, n, dtype))), f"{n} values on {simd_target}"


@pytest.mark.parametrize(("groups", "n"), [(3, 66_000), (10_500, 5)])
def test_few_long_and_many_short_groups(norm: Any, dtype: str, groups: int, n: int) -> None:
    """More superblocks than one to a group, more tiles of lanes, more threads."""
    assert not exceeded(norm.backward_errors(*draw(norm, groups, n, dtype)))


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("channels", range(1, 18))
def test_small_maps(dtype: str, channels: int, axis: int) -> None:
    rng = np.random.default_rng(channels)
    weight = rng.uniform(-2, 2, channels).astype(dtype)
    for size in ((2,), (3,), (2, 2), (5,), (3, 2), (3, 3), (11,), (3, 4), (13,), (4, 4), (17,), (7, 7)):
        shape = (3, channels, *size) if axis == 1 else (3, *size, channels)
        dy, x = rng.standard_normal((2, *shape)).astype(dtype)
        groups = next(k for k in (5, 3, 2, 1) if channels % k == 0)
        for op, own in (("batch_norm", {}), ("group_norm", {"num_groups": groups}), ("instance_norm", {})):
            options: dict[str, Any] = own | {"axis": axis}
            _, mean, rstd = getattr(fn, f"{op}_forward")(x, **options)
            got = getattr(fn, f"{op}_backward")(dy, x, weight=weight, mean=mean, rstd=rstd, **options)
            errors = backward_errors(op, got, dy, x, weight, recentred=dtype == "float32", **options)
            assert not exceeded(errors), (op, shape, options)


def test_statistics_in_float32(norm: Any) -> None:
    """A mean that was rounded is found again in the data; the scale costs its own rounding."""
    if norm.evaluates:
        pytest.skip("its statistics are constants")
    for n in (50, 3000):
        dy, x, weight = draw(norm, 6, n, "float32")
        x = x * np.float32(0.01) + np.float32(1e4)
        result = norm.forward(x)
        rounded = result._replace(**{name: getattr(result, name).astype("f4") for name in result._fields[1:]})
        errors = backward_errors(norm.op, norm.backward(dy, x, weight, rounded), dy, x, weight, **norm.options(x))
        assert not exceeded(errors), f"{n} values"


def test_derivatives(norm: Any) -> None:
    """Without the reference: differences of the forward itself."""
    rng = np.random.default_rng(0)
    x, dy = (norm.put(rows) for rows in rng.standard_normal((2, 6, 14)))
    weight, bias = rng.uniform(0.5, 2, (2, *norm.parameters(x)))
    gradients = norm.backward(dy, x, weight, norm.forward(x, weight, bias))

    def loss(x: Any, weight: Any, bias: Any) -> float:
        return float(np.sum(dy * norm.output(x, weight, bias)))

    gradcheck.assert_gradients(
        loss,
        {"x": x, "weight": weight, "bias": bias},
        {"x": gradients.dx, "weight": gradients.dweight, "bias": gradients.dbias},
        derivative=gradcheck.central_difference,
        tolerance=1e-8,
    )

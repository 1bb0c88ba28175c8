"""Forward of every norm, in every layout and dtype, against the reference, end to end."""

import itertools
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from scaled_error import exceeded, forward_errors

# All remainders of vectors and quads of vectors, and the edges of blocks.
LENGTHS = [*range(1, 71), *(n + k for n in (128, 256, 1024, 2048) for k in (-1, 0, 1))]
SOME = [2, 3, 7, 16, 31, 33, 64, 66, 130, 1030]
PRESENT = list(itertools.product((True, False), repeat=2))  # weight, bias


def draw(norm: Any, groups: int, n: int, dtype: str, present: tuple[bool, bool] = (True, True)) -> list[Any]:
    """Data, weight, bias."""
    rng = np.random.default_rng([groups, n])
    x = norm.put((3 + 2 * rng.standard_normal((groups, n))).astype(dtype))
    parameters = rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)
    return [x, *(p if there else None for p, there in zip(parameters, present, strict=True))]


def needs_two(norm: Any) -> bool:
    return norm.op in ("batch_norm", "instance_norm") and not norm.evaluates


def test_every_length(norm: Any, dtype: str) -> None:
    for n in LENGTHS[needs_two(norm) :]:
        errors = norm.forward_errors(*draw(norm, 6, n, dtype, PRESENT[(n + n // 4) % 4]))
        assert not exceeded(errors), f"{n} values"


@pytest.mark.parametrize("present", PRESENT, ids=lambda p: f"weight={p[0]}-bias={p[1]}")
def test_parameters(norm: Any, dtype: str, present: tuple[bool, bool]) -> None:
    for n, eps in ((5, 0.0), (40, 1e-3), (1100, 0.5)):
        assert not exceeded(norm.forward_errors(*draw(norm, 6, n, dtype, present), eps=eps)), f"{n} values"


def test_simd_targets(norm: Any, dtype: str, simd_target: str) -> None:
    for n in SOME:
        assert not exceeded(norm.forward_errors(*draw(norm, 6, n, dtype))), f"{n} values on {simd_target}"


@pytest.mark.parametrize(("groups", "n"), [(3, 66_000), (10_500, 5)])
def test_few_long_and_many_short_groups(norm: Any, dtype: str, groups: int, n: int) -> None:
    """More superblocks than one to a group, more tiles of lanes, more threads."""
    assert not exceeded(norm.forward_errors(*draw(norm, groups, n, dtype)))


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("channels", range(1, 18))
def test_small_maps(dtype: str, channels: int, axis: int) -> None:
    rng = np.random.default_rng(channels)
    weight, bias = rng.uniform(-2, 2, (2, channels)).astype(dtype)
    some = next(k for k in range(2, channels + 2) if channels % k == 0 or k > channels)
    for size in ((1,), (2,), (3,), (2, 2), (5,), (3, 2), (3, 3), (11,), (3, 4), (13,), (4, 4), (17,), (7, 7)):
        shape = (3, channels, *size) if axis == 1 else (3, *size, channels)
        x = rng.standard_normal(shape).astype(dtype)
        for op, options in (
            ("batch_norm", {}),
            ("group_norm", {"num_groups": 1}),
            ("group_norm", {"num_groups": channels if some > channels else channels // some}),
            ("instance_norm", {}),
        ):
            if op == "instance_norm" and size == (1,):
                continue
            options |= {"axis": axis}
            got = getattr(fn, f"{op}_forward")(x, weight=weight, bias=bias, **options)
            assert not exceeded(forward_errors(op, got, x, weight, bias, **options)), (op, shape, options)


def test_inference_has_the_bits_of_training(norm: Any, dtype: str) -> None:
    if norm.op == "batch_norm":
        pytest.skip("its inference is another function")
    for groups, n in ((6, 50), (6, 2500), (900, 100)):
        x, weight, bias = draw(norm, groups, n, dtype)
        y = getattr(fn, norm.op)(x, weight=weight, bias=bias, **norm.options(x))
        np.testing.assert_array_equal(y, norm.forward(x, weight, bias).y)


def test_parameters_wider_than_the_data(norm: Any) -> None:
    for n in (5, 100):
        x, *_ = draw(norm, 6, n, "float32")
        weight, bias = np.random.default_rng(n).uniform(-2, 2, (2, *norm.parameters(x)))
        assert not exceeded(norm.forward_errors(x, weight, bias))


@pytest.mark.parametrize("offset", [0, 4, 16])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("width", [33, 49, 64])
def test_large_results_of_short_rows_at_any_address(kind: str, width: int, offset: int, simd_target: str) -> None:
    """Such results are written past the caches, in whole lines or as one long row; parts of them are not."""
    dtype = np.dtype(kind)
    rows = (9 << 20) // (width * dtype.itemsize)
    rng = np.random.default_rng(width)
    x, weight = rng.standard_normal((rows, width)).astype(dtype), rng.standard_normal(width).astype(dtype)
    buffer = np.zeros(x.nbytes + 128, np.uint8)
    start = -buffer.ctypes.data % 64 + offset
    out = buffer[start : start + x.nbytes].view(dtype).reshape(x.shape)
    fn.layer_norm(x, weight, out=out)
    assert not buffer[:start].any()
    assert not buffer[start + x.nbytes :].any()
    for part in (slice(0, 1000), slice(rows // 2, rows // 2 + 999), slice(-500, None)):
        np.testing.assert_array_equal(out[part], fn.layer_norm(x[part], weight))
    # The same rows as channels: statistics and parameters row by row.
    mean, var, scale = rng.standard_normal((3, rows)) ** 2
    fn.batch_norm(x[None], mean, var, scale.astype(dtype), out=out[None])
    for part in (slice(0, 1000), slice(-500, None)):
        expected = fn.batch_norm(x[None, part], mean[part], var[part], scale[part].astype(dtype))
        np.testing.assert_array_equal(out[part], expected[0])
    # And as positions: both lane by lane.
    mean, var = rng.standard_normal((2, width)) ** 2
    fn.batch_norm(x, mean, var, weight, out=out)
    for part in (slice(0, 1000), slice(-500, None)):
        np.testing.assert_array_equal(out[part], fn.batch_norm(x[part], mean, var, weight))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("width", [33, 49, 100])
def test_large_gradients_of_short_rows(kind: str, width: int, simd_target: str) -> None:
    dtype = np.dtype(kind)
    rows = (9 << 20) // (width * dtype.itemsize)
    rng = np.random.default_rng(width)
    x, dy = rng.standard_normal((2, rows, width)).astype(dtype)
    weight, *statistics = rng.uniform(0.5, 1.5, (5, width))
    weight = weight.astype(dtype)
    dx = fn.batch_norm_backward_apply(dy, x, weight, *statistics, 1)
    for part in (slice(0, 1000), slice(rows // 2, rows // 2 + 999), slice(-500, None)):
        expected = fn.batch_norm_backward_apply(dy[part], x[part], weight, *statistics, 1)
        np.testing.assert_array_equal(dx[part], expected)

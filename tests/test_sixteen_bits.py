"""float16 and bfloat16: exact on load, computed in float32, rounded once on store."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnorm as fn
from scaled_error import backward_errors, exceeded, forward_errors

Array = npt.NDArray[Any]


def sixteen(name: str) -> np.dtype[Any]:
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else np.float16)


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> np.dtype[Any]:
    return sixteen(request.param)


def identity(x: Array, weight: Array | None = None) -> Array:
    """The values through load, ``(x - 0) * 1 * weight`` and store."""
    zeros, ones = np.zeros(x.size, np.float32), np.ones(x.size, np.float32)
    return fn.batch_norm(x.reshape(1, -1), zeros, ones, weight, eps=0.0).ravel()


def bits(x: Array) -> Array:
    return x.view(np.uint16)


def in_float32(x: Any) -> Any:
    """The values in float32; signalling NaN among them are no reason to warn, as NumPy does on Arm."""
    with np.errstate(invalid="ignore"):
        return x.astype(np.float32)


def test_all_values_pass_unchanged(dtype: np.dtype[Any], simd_target: str) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    y = identity(x)
    nan = np.isnan(in_float32(x))
    np.testing.assert_array_equal(bits(y)[~nan], bits(x)[~nan])
    assert np.isnan(y[nan].astype(np.float32)).all()


def test_results_are_rounded_to_nearest_even_once(dtype: np.dtype[Any], simd_target: str) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    x = np.where(np.isfinite(in_float32(x)), x, np.ones_like(x))
    # Factors from subnormal to overflowing results, and such that hit the middle between two of them.
    random = np.exp(8 * np.random.default_rng(0).standard_normal(x.size)).astype(np.float32)
    for weight in (random, np.full(x.size, 1 + 2.0**-9, np.float32), np.full(x.size, 0.5, np.float32)):
        with np.errstate(all="ignore"):
            expected = (x.astype(np.float32) * weight).astype(dtype)
        np.testing.assert_array_equal(bits(identity(x, weight)), bits(expected))


@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize("parameters", ["same", "float32"])
@pytest.mark.parametrize(("op", "shape", "options"), [
    ("layer_norm", (40, 333), {}),
    ("layer_norm", (3, 24, 70), {"axis": 1}),
    ("rms_norm", (40, 64), {}),
    ("batch_norm", (8, 6, 9, 7), {}),
    ("batch_norm", (8, 9, 7, 6), {"axis": -1}),
    ("instance_norm", (8, 6, 9, 7), {}),
    ("group_norm", (8, 6, 9, 7), {"num_groups": 3}),
    ("group_norm", (8, 9, 7, 6), {"num_groups": 3, "axis": -1}),
])  # fmt: skip
def test_forward_and_backward_round_once(
    dtype: np.dtype[Any], op: str, shape: tuple[int, ...], options: dict[str, Any], parameters: str, mean: float
) -> None:
    rng = np.random.default_rng(1)
    axis = options.get("axis", -1 if op in ("layer_norm", "rms_norm") else 1)
    x = (rng.standard_normal(shape) * 3 + mean).astype(dtype)
    dy = rng.standard_normal(shape).astype(dtype)
    wide = dtype if parameters == "same" else np.float32
    weight, bias = (rng.standard_normal(shape[axis]).astype(wide) for _ in range(2))
    got = getattr(fn, op + "_forward")(x, weight=weight, bias=bias, **options)
    assert got.y.dtype == dtype
    assert not exceeded(forward_errors(op, got, x, weight, bias, **options))
    statistics = got[1:]
    rest = {key: value for key, value in options.items() if key != "num_groups"}
    positional = [options["num_groups"]] if "num_groups" in options else []
    gradients = getattr(fn, op + "_backward")(dy, x, *positional, weight, *statistics, **rest)
    assert gradients.dx.dtype == dtype
    assert gradients.dweight.dtype == gradients.dbias.dtype == wide
    assert not exceeded(backward_errors(op, gradients, dy, x, weight, **options))


def test_both_types_do_not_mix() -> None:
    x = np.ones((2, 3), sixteen("bfloat16"))
    with pytest.raises(
        TypeError, match="weight must have dtype bfloat16, float32 or float64 for x with dtype bfloat16"
    ):
        fn.layer_norm(x, np.ones(3, np.float16))


def test_parameter_gradients_and_running_statistics_are_rounded_once(dtype: np.dtype[Any]) -> None:
    """They lie above the middle of two numbers of 16 bits by less than float32 can tell: up they go, not to even."""
    half = 2.0 ** -(8 if dtype.itemsize == 2 and dtype != np.float16 else 11)
    dy = np.array([[1.0], [half], [2.0**-24 if dtype == np.float16 else 2.0**-40]]).astype(dtype)
    gradients = fn.layer_norm_backward(dy, dy, np.ones(1, dtype), *np.zeros((2, 3, 1)))
    assert gradients.dbias is not None
    assert gradients.dbias.astype(float) == [1 + 2 * half]

    x, (mean, var) = np.ones((2, 1), dtype), np.ones((2, 1), dtype)
    mean[:] = 1 + 2 * half
    momentum = 0.5 - 2.0**-30
    fn.batch_norm_forward(x, running_mean=mean, running_var=var, momentum=momentum)
    assert mean.astype(float) == [1 + 2 * half]

"""Batch normalization that subtracts the mean and divides by nothing."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import reference
from gradcheck import assert_gradients

LAYOUTS = [((7, 3), 1), ((4, 3, 5, 6), 1), ((4, 5, 6, 3), -1), ((2, 3, 40, 70), 1), ((30, 50, 3), -1)]
each_layout = pytest.mark.parametrize(("shape", "axis"), LAYOUTS)


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) + 3).astype(dtype)


def outputs(module: Any, dy: Any, x: Any, weight: Any, bias: Any, axis: int, **more: Any) -> dict[str, np.ndarray]:
    options: dict[str, Any] = {"axis": axis, "mean_only": True, **more}
    y, mean, rstd = module.batch_norm_forward(x, weight, bias, **options)
    back = module.batch_norm_backward(dy, x, weight, mean, rstd, bias=bias, **options)
    return {"y": y, "mean": mean, "rstd": rstd, **back._asdict()}


@each_layout
def test_it_is_the_reference(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    x, dy = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
    weight, bias = data(2, 3, dtype=dtype, seed=2)
    where = np.random.default_rng(0).random(shape) < 0.7
    for more in ({}, {"where": where}, {"activation": "silu"}, {"offset": 0.5}):
        for parameters in ((None, bias), (weight, bias)):
            got = outputs(fn, dy, x, *parameters, axis, **more)
            want = outputs(reference, *(a.astype(float) for a in (dy, x)), *parameters, axis, **more)
            for name, value in want.items():
                tolerance = 1e-5 if dtype == "float32" else 1e-12
                assert_allclose(got[name], value, rtol=tolerance, atol=tolerance * np.abs(value).max(), err_msg=name)
            assert_array_equal(got["rstd"], 1)


@each_layout
def test_gradients_of_the_reference(shape: tuple[int, ...], axis: int) -> None:
    x, dy, bias = data(*shape), data(*shape, seed=1), data(3, seed=2)
    got = outputs(reference, dy, x, None, bias, axis)
    loss = lambda **a: np.sum(dy * reference.batch_norm_forward(**a, axis=axis, mean_only=True).y)  # noqa: E731
    assert_gradients(loss, {"x": x, "bias": bias}, {"x": got["dx"], "bias": got["dbias"]})


def test_the_mean_alone_is_tracked(dtype: str) -> None:
    x = data(20, 3, dtype=dtype)
    running_mean, running_var = np.zeros(3, dtype), np.full(3, 7, dtype)
    y = fn.batch_norm_forward(x, None, None, running_mean, None, momentum=1.0, mean_only=True).y
    assert_allclose(running_mean, x.astype(float).mean(axis=0).astype(dtype), rtol=1e-15)
    assert_allclose(fn.batch_norm(x, running_mean, None, mean_only=True), y, atol=1e-5)
    fn.batch_norm_forward(x, None, None, running_mean, running_var, mean_only=True)
    assert_array_equal(running_var, 7)
    assert_array_equal(fn.batch_norm(x, running_mean, running_var, mean_only=True), x - running_mean)


def test_one_value_per_channel_is_enough() -> None:
    y, mean, _ = fn.batch_norm_forward(np.array([[3.0, 5.0]]), None, [1.0, 2.0], mean_only=True)
    assert_array_equal(y, [[1, 2]])
    assert_array_equal(mean, [3, 5])


def test_constant_statistics() -> None:
    x, dy = data(5, 3), data(5, 3, seed=1)
    dx = fn.batch_norm_backward(dy, x, None, np.zeros(3), np.ones(3), training=False, mean_only=True).dx
    assert_array_equal(dx, dy)


def test_threads(dtype: str) -> None:
    for shape, axis in (((4, 3, 200, 200), 1), ((300, 200, 3), -1)):
        x, dy = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
        with fn.threads(1):
            want = outputs(fn, dy, x, None, None, axis)
        with fn.threads(3):
            got = outputs(fn, dy, x, None, None, axis)
        for name, value in want.items():
            assert_array_equal(got[name], value)


def test_errors() -> None:
    x = data(5, 3)
    with pytest.raises(TypeError, match=r"^mean_only must be a boolean, got int$"):
        fn.batch_norm_forward(x, mean_only=1)
    with pytest.raises(TypeError, match=r"^running_var must be an array, got None$"):
        fn.batch_norm(x, x[0], None)
    with pytest.raises(ValueError, match=r"^running_mean must not share memory with x, got overlapping arrays$"):
        fn.batch_norm_forward(x, running_mean=x[0], mean_only=True)

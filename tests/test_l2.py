"""l2_normalize: against the reference, at the edges, over layouts, threads and targets."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
import hard_inputs
import scaled_error
from fastnorm import reference
from gradcheck import assert_gradients, central_difference

SHAPES: list[tuple[tuple[int, ...], Any]] = [
    ((7,), 0),
    ((3, 5), -1),
    ((3, 5), 0),
    ((6, 3, 5, 4), (1, 3)),
    ((64, 1500), 1),
    ((2, 70_000), -1),
    ((9000, 3), 1),
]


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run(dy: np.ndarray, x: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    y, norm = fn.l2_normalize_forward(x, **options)
    assert_array_equal(fn.l2_normalize(x, **options), y)
    return {"y": y, "norm": norm, "dx": fn.l2_normalize_backward(dy, x, norm, **options)}


def assert_accurate(dy: np.ndarray, x: np.ndarray, **options: Any) -> None:
    got = run(dy, x, **options)
    assert (got["y"].dtype, got["norm"].dtype, got["dx"].dtype) == (x.dtype, np.float64, x.dtype)
    with np.errstate(all="ignore"):  # of the reference
        assert not scaled_error.exceeded(scaled_error.l2_errors(got, dy, x, **options))


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_accuracy(shape: tuple[int, ...], axis: Any, dtype: str) -> None:
    for eps in (1e-12, 0.0, 3.0):
        assert_accurate(data(*shape, dtype=dtype, seed=1), data(*shape, dtype=dtype), axis=axis, eps=eps)


@pytest.mark.parametrize("n", [1, 2, 7, 147, 1000])
def test_hard_rows(n: int, dtype: str) -> None:
    x = hard_inputs.batch(n, dtype)
    dy = data(*x.shape, dtype=dtype)
    columns = [np.ascontiguousarray(a.T) for a in (dy, x)]
    for eps in (0.0, 1e-12):
        assert_accurate(dy, x, eps=eps)
        assert_accurate(*columns, axis=0, eps=eps)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits(kind: str) -> None:
    dtype = np.dtype(kind) if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    for shape, axis in SHAPES:
        assert_accurate(data(*shape, seed=1).astype(dtype), data(*shape).astype(dtype), axis=axis)


@pytest.mark.parametrize("eps", [1e-12, 0.5, 2.5])
@pytest.mark.parametrize("axis", [-1, 0, (0, 2)])
def test_gradients(axis: Any, eps: float) -> None:
    """Of the reference by complex step, of the kernels by differences. The norms lie on both sides of eps."""
    x, dy = data(3, 4, 5), data(3, 4, 5, seed=1)
    want = reference.l2_normalize_backward(dy, x, reference.l2_normalize_forward(x, axis=axis).norm, axis=axis, eps=eps)
    options: dict[str, Any] = {"axis": axis, "eps": eps}
    assert_gradients(lambda x: np.sum(dy * reference.l2_normalize(x, **options)), {"x": x}, {"x": want})
    dx = run(dy, x, **options)["dx"]
    check: Any = {"derivative": central_difference, "tolerance": 1e-8}
    assert_gradients(lambda x: np.sum(dy * fn.l2_normalize(x, **options)), {"x": x}, {"x": dx}, **check)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_axes_and_strides(draws: st.DataObject) -> None:
    shape = tuple(draws.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4), "shape"))
    axis = tuple(draws.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1), "axis"))
    order = draws.draw(st.permutations(range(len(shape))), "order")
    steps = tuple(slice(None, None, draws.draw(st.sampled_from((1, -1)))) for _ in shape)
    x, dy = (data(*shape, seed=seed).transpose(order)[tuple(steps[a] for a in order)] for seed in (0, 1))
    axis = tuple(order.index(a) for a in axis)
    assert_accurate(dy, x, axis=axis)
    out = np.empty_like(x)
    assert fn.l2_normalize(x, axis=axis, out=out) is out
    assert_array_equal(out, fn.l2_normalize(x, axis=axis))


def test_in_place() -> None:
    x = data(6, 50, dtype="f4")
    want = fn.l2_normalize(x)
    assert fn.l2_normalize(x, out=x) is x
    assert_array_equal(x, want)


@pytest.mark.parametrize(("groups", "n"), [(3, 80_000), (600, 300), (30_000, 6)])
def test_the_same_bits_for_every_number_of_threads(groups: int, n: int, dtype: str) -> None:
    for axis, shape in ((-1, (groups, n)), (0, (n, groups))):
        dy, x = data(*shape, dtype=dtype, seed=1), data(*shape, dtype=dtype)
        with fn.threads(1):
            want = run(dy, x, axis=axis)
        for threads in (2, 3):
            with fn.threads(threads):
                for name, value in run(dy, x, axis=axis).items():
                    assert_array_equal(value, want[name])


def test_simd_targets(simd_target: str, dtype: str) -> None:
    for n in (1, 3, 17, 130, 1030):
        assert_accurate(data(6, n, dtype=dtype, seed=1), data(6, n, dtype=dtype))


def test_zeros(dtype: str) -> None:
    x, dy = np.zeros((2, 3), dtype), np.array([[1, -2, 4]] * 2, dtype)
    got = run(dy, x, eps=0.5)
    assert_array_equal(got["y"], 0)
    assert_array_equal(got["norm"], 0)
    assert_array_equal(got["dx"], 2 * dy)
    got = run(dy, x, eps=0.0)
    assert_array_equal(got["y"], 0)
    assert_array_equal(got["dx"], 0)


def test_nan_and_infinity_stay_in_their_row(dtype: str) -> None:
    x = data(4, 5, dtype=dtype)
    want = fn.l2_normalize(x)
    x[1, 2], x[3, 0] = np.nan, np.inf
    y, norm = fn.l2_normalize_forward(x)
    assert_array_equal(y[::2], want[::2])
    assert np.isnan(y[1]).all()
    assert np.isnan(y[3, 0])
    assert_array_equal(y[3, 1:], 0)
    assert np.isnan(norm[1])
    assert np.isinf(norm[3])
    assert np.isnan(fn.l2_normalize_backward(x, x, norm)[1]).all()


@pytest.mark.parametrize(("shape", "axis"), [((0, 3), 1), ((3, 0), 1), ((0,), 0)])
def test_nothing_to_normalize(shape: tuple[int, ...], axis: int) -> None:
    got = run(np.zeros(shape), np.zeros(shape), axis=axis)
    assert got["y"].shape == got["dx"].shape == shape


X = np.ones((2, 3), "f4")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fn.l2_normalize(np.ones((2, 3), int)), TypeError,
         "x must have dtype float16, bfloat16, float32 or float64, got int64"),
        (lambda: fn.l2_normalize(X, axis=2), ValueError, "axis must be from -2 to 1 for x with shape (2, 3), got 2"),
        (lambda: fn.l2_normalize(X, axis=()), ValueError, "axis must name one axis or more, got ()"),
        (lambda: fn.l2_normalize(X, eps=-1.0), ValueError, "eps must be a finite number >= 0, got -1.0"),
        (lambda: fn.l2_normalize(X, out=X[:1].copy()), ValueError, "out must have shape (2, 3) to match x, got (1, 3)"),
        (lambda: fn.l2_normalize_backward(X[:1], X, np.ones((2, 1))), ValueError,
         "dy must have shape (2, 3) to match x, got (1, 3)"),
        (lambda: fn.l2_normalize_backward(X, X, np.ones(2)), ValueError,
         "norm must have shape (2, 1) to match the statistics of x with shape (2, 3), got (2,)"),
        (lambda: fn.l2_normalize_backward(X, X, np.ones((2, 1), "f2")), TypeError,
         "norm must have dtype float32 or float64, got float16"),
        (lambda: fn.l2_normalize_backward(X, X, np.ones((2, 1)), eps=np.nan), ValueError,
         "eps must be a finite number >= 0, got nan"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()


@pytest.mark.parametrize("eps", [1e-12, 1.5])
def test_it_is_that_of_torch(eps: float) -> None:
    torch = pytest.importorskip("torch")
    x, dy = torch.tensor(data(5, 3), requires_grad=True), data(5, 3, seed=1)
    y = torch.nn.functional.normalize(x, dim=-1, eps=eps)
    y.backward(torch.from_numpy(dy))
    got = run(dy, x.detach().numpy(), eps=eps)
    assert_allclose(got["y"], y.detach(), rtol=1e-14)
    assert_allclose(got["dx"], x.grad, rtol=1e-12, atol=1e-14)

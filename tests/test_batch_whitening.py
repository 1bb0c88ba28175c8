"""Batch whitening: accuracy against the reference, gradients, equal eigenvalues, running statistics, edges, errors."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import reference as ref
from gradcheck import assert_gradients, central_difference
from scaled_error import exceeded, scaled_error, whitening_error, whitening_gradient_error

METHODS: list[Any] = ["zca", "cholesky", "iternorm"]
# Shape, channel axis, groups, order of the axes in memory.
LAYOUTS = [
    ((64, 12), 1, 1, (0, 1)),
    ((40, 12), -1, 3, (1, 0)),
    ((3, 12, 7, 7), 1, 4, (0, 1, 2, 3)),
    ((3, 7, 7, 12), -1, 2, (0, 1, 2, 3)),
    ((3, 12, 7, 7), 1, 2, (0, 2, 3, 1)),
    ((12, 5, 30), 0, 12, (0, 1, 2)),
    ((2, 5, 12, 20, 2), 2, 1, (4, 3, 2, 1, 0)),
    ((30, 96, 5, 5), 1, 1, (0, 1, 2, 3)),
]


def laid(values: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The same values with the axes in another order in memory."""
    return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))


def draw(
    shape: tuple[int, ...], axis: int, order: tuple[int, ...] | None = None, dtype: Any = np.float64, mean: float = 3.0
) -> tuple[np.ndarray, ...]:
    """Gradient, data with correlated channels, weight, bias."""
    rng = np.random.default_rng(list(shape))
    dy, x = rng.standard_normal((2, *shape))
    x = x + 0.5 * np.roll(x, 1, axis) + mean
    weight, bias = rng.uniform(-2, 2, (2, shape[axis]))
    order = tuple(range(len(shape))) if order is None else order
    return laid(dy.astype(dtype), order), laid(x.astype(dtype), order), weight.astype(dtype), bias.astype(dtype)


def spectrum(values: Any, m: int, dtype: Any = np.float64) -> np.ndarray:
    """Data (m, d) whose biased covariance has these eigenvalues, in random directions."""
    rng = np.random.default_rng(0)
    d = len(values)
    white = ref.whiten(rng.standard_normal((m, d)), ddof=0)
    return (white @ (np.linalg.qr(rng.standard_normal((d, d)))[0] * np.sqrt(values)).T).astype(dtype)


# ---- accuracy --------------------------------------------------------------------------------------------------------


def errors(dy: Any, x: Any, axis: int, options: Any) -> dict[str, float]:
    """Scaled errors of output and gradients without affine parameters."""
    options = options | {"axis": axis}
    y, saved = fn.batch_whitening_forward(x, **options)
    g = fn.batch_whitening_backward(dy, x, None, saved)
    expected, saved_expected = ref.batch_whitening_forward(x, **options)
    g_expected = ref.batch_whitening_backward(dy, x, None, saved_expected)
    covariance = saved_expected.covariance
    result = whitening_error(y, expected, covariance, x.dtype)
    result |= whitening_gradient_error(g.dx, g_expected.dx, covariance.shape[-1], x.dtype)
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    size, condition = np.abs(dy.astype(float)), np.sqrt(np.linalg.cond(covariance).max())
    terms = {"dweight": condition * np.sum(size * (1 + np.abs(expected)), others), "dbias": np.sum(size, others)}
    for name, s in terms.items():
        result[name] = scaled_error(getattr(g, name), getattr(g_expected, name), s, x.dtype)
    # Float64 data notice that the covariance was decomposed in no more, here and in the reference.
    return {name: e / (4 * condition if x.dtype == np.float64 else 1) for name, e in result.items()}


@pytest.mark.parametrize(("shape", "axis", "groups", "order"), LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_accuracy(method: Any, shape: Any, axis: int, groups: int, order: Any, dtype: str) -> None:
    dy, x, weight, bias = draw(shape, axis, order, dtype)
    options: dict[str, Any] = {"groups": groups, "method": method}
    assert not exceeded(errors(dy, x, axis, options))
    y, saved = fn.batch_whitening_forward(x, weight, bias, axis=axis, **options)
    g = fn.batch_whitening_backward(dy, x, weight, saved)
    assert (y.dtype, y.strides, g.dx.dtype, g.dx.strides) == (dtype, x.strides, dtype, x.strides)  # type: ignore[union-attr]
    assert (g.dweight.dtype, g.dweight.shape) == (dtype, weight.shape)  # type: ignore[union-attr]
    expected = ref.batch_whitening_forward(x, weight, bias, axis=axis, **options)
    tolerance = {"rtol": 0, "atol": 1e-4 if dtype == "float32" else 1e-12}
    assert_allclose(y, expected.y, **tolerance)
    for a, b in zip(g, ref.batch_whitening_backward(dy, x, weight, expected.saved), strict=True):
        assert_allclose(a, b, rtol=0, atol=tolerance["atol"] * np.abs(b).max())


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_offset(method: Any, given: bool) -> None:
    """Is added to the weight, also to the ones that None stands for."""
    dy, x, weight, bias = draw((40, 6, 3), 1)
    options: dict[str, Any] = {"method": method, "groups": 2}
    some, whole = (weight, weight + 1.5) if given else (None, np.full(6, 2.5))
    expected = fn.batch_whitening_forward(x, whole, bias, **options)
    y, saved = fn.batch_whitening_forward(x, some, bias, offset=1.5, **options)
    assert_allclose(y, expected.y, rtol=1e-14, atol=1e-14)
    assert_allclose(y, ref.batch_whitening_forward(x, some, bias, offset=1.5, **options).y, rtol=0, atol=1e-12)
    for a, b in zip(
        fn.batch_whitening_backward(dy, x, some, saved, offset=1.5),
        fn.batch_whitening_backward(dy, x, whole, expected.saved),
        strict=True,
    ):
        assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    running = x.mean(axis=(0, 2)), np.stack([np.eye(3)] * 2)
    inferred = fn.batch_whitening(x, *running, some, bias, offset=1.5, **options)
    assert_allclose(inferred, fn.batch_whitening(x, *running, whole, bias, **options), rtol=1e-14, atol=1e-14)
    with pytest.raises(ValueError, match="offset must be a finite number"):
        fn.batch_whitening_forward(x, offset=np.inf)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("shape", "axis", "groups", "order"), LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_16_bits(method: Any, shape: Any, axis: int, groups: int, order: Any, dtype: str) -> None:
    """Computed in float32 and rounded once."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    dy, x, weight, bias = draw(shape, axis, order, dtype)
    assert not exceeded(errors(dy, x, axis, {"groups": groups, "method": method}))
    wide = weight.astype(np.float32), bias.astype(np.float64)
    y, saved = fn.batch_whitening_forward(x, *wide, axis=axis, groups=groups, method=method)
    g = fn.batch_whitening_backward(dy, x, wide[0], saved)
    assert [a.dtype for a in (y, *g) if a is not None] == [dtype, dtype, np.float32, np.float32]


@pytest.mark.parametrize("condition", [10, 1e3, 1e5])
@pytest.mark.parametrize("method", METHODS)
def test_ill_conditioned(method: Any, condition: float, dtype: str) -> None:
    x = spectrum(np.geomspace(1, 1 / condition, 32), 4096, dtype)
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    assert not exceeded(errors(dy, x, 1, {"method": method, "eps": 0.0, "iterations": 7}))


def test_large_means_cost_no_digits() -> None:
    dy, x, _, _ = draw((50, 8, 6, 6), 1, dtype=np.float32, mean=1e4)
    for method in METHODS:
        assert not exceeded(errors(dy, x, 1, {"method": method}))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("shape", "axis"), [((64, 16, 12, 12), 1), ((16, 9000), 0)])
def test_first_samples_may_lie_far_from_the_others(shape: Any, axis: int, dtype: str) -> None:
    """Of large data some give the centres that all are summed about."""
    dy, x, *_ = draw(shape, axis, dtype=np.dtype(dtype))
    x[(slice(None),) * (1 - axis) + (slice(shape[1 - axis] // 8),)] += 30.0
    assert not exceeded(errors(dy, x, axis, {"groups": 2, "eps": 0.0}))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
@pytest.mark.parametrize("method", METHODS)
def test_any_scale(method: Any, scale: float) -> None:
    dy, x, _, _ = draw((200, 6), 1)
    x = (x * scale).astype(np.float32)
    assert not exceeded(errors(dy.astype(np.float32), x, 1, {"method": method, "eps": 0.0}))


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis", "groups"), [((12, 4), 1, 1), ((5, 6, 2, 2), 1, 2), ((4, 3, 2, 6), -1, 3)])
@pytest.mark.parametrize("method", METHODS)
def test_gradients(method: Any, shape: Any, axis: int, groups: int) -> None:
    dy, x, weight, bias = draw(shape, axis)
    options: dict[str, Any] = {"axis": axis, "groups": groups, "method": method}
    arguments = {"x": x, "weight": weight, "bias": bias}
    saved = fn.batch_whitening_forward(**arguments, **options).saved
    g = fn.batch_whitening_backward(dy, x, weight, saved)
    gradients = {"x": g.dx, "weight": g.dweight, "bias": g.dbias}
    # A step into the complex plane through the reference is exact, differences of the function itself are not.
    assert_gradients(lambda **a: np.sum(dy * ref.batch_whitening_forward(**a, **options).y), arguments, gradients)
    assert_gradients(
        lambda **a: np.sum(dy * fn.batch_whitening_forward(**a, **options).y),
        arguments,
        gradients,
        derivative=central_difference,
        tolerance=1e-7,
    )


@pytest.mark.parametrize("values", [[1, 1, 1, 1], [1, 1, 4, 4], [1, 1 + 1e-9, 1 + 2e-9, 2], [1e-3, 1, 1, 100]])
@pytest.mark.parametrize("method", METHODS)
def test_equal_eigenvalues(method: Any, values: list[float]) -> None:
    x, dy = spectrum(values, 30), np.random.default_rng(1).standard_normal((30, 4))
    options: dict[str, Any] = {"method": method, "eps": 0.0, "iterations": 15}
    y, saved = fn.batch_whitening_forward(x, **options)
    g = fn.batch_whitening_backward(dy, x, None, saved)
    assert_gradients(
        lambda x: np.sum(dy * ref.batch_whitening_forward(x, **options).y),
        {"x": x},
        {"x": g.dx},
        tolerance=1e-10 if max(values) > 50 else 1e-12,
    )
    if method != "iternorm" or max(values) < 50:
        assert_allclose(y.T @ y / 30, np.eye(4), atol=1e-10)
    assert np.isfinite(fn.batch_whitening_backward(dy, np.tile(x[:1], (30, 1)), None, saved).dx).all()


def test_gradients_that_vanish() -> None:
    """Nothing changes if the batch moves, and nothing but the scale of y if it is stretched."""
    dy, x, weight, _ = draw((40, 6, 3), 1)
    for method in METHODS:
        saved = fn.batch_whitening_forward(x, weight, eps=0.0, method=method).saved
        g = fn.batch_whitening_backward(dy, x, weight, saved)
        assert g.dx is not None
        assert_allclose(g.dx.sum((0, 2)), 0, atol=1e-13)
        assert_allclose(np.sum(g.dx * x), 0, atol=1e-12)
        for a in fn.batch_whitening_backward(np.zeros_like(dy), x, weight, saved):
            assert_array_equal(a, np.zeros_like(a))


def test_one_channel_per_group_is_batch_norm(dtype: str) -> None:
    dy, x, weight, bias = draw((6, 5, 4), 1, dtype=dtype)
    expected = fn.batch_norm_forward(x, weight, bias)
    tolerance: dict[str, Any] = {"rtol": 0, "atol": 1e-5 if dtype == "float32" else 1e-12}
    for method in METHODS:
        y, saved = fn.batch_whitening_forward(x, weight, bias, groups=5, method=method, iterations=30)
        assert_allclose(y, expected.y, **tolerance)
        g = fn.batch_whitening_backward(dy, x, weight, saved)
        for a, b in zip(g, fn.batch_norm_backward(dy, x, weight, expected.mean, expected.rstd), strict=True):
            assert_allclose(a, b, **tolerance)


def test_grad_mask() -> None:
    dy, x, weight, bias = draw((10, 4, 3), 1)
    for method in METHODS:
        saved = fn.batch_whitening_forward(x, weight, bias, method=method).saved
        whole = fn.batch_whitening_backward(dy, x, weight, saved)
        for mask in np.ndindex(2, 2, 2):
            some = fn.batch_whitening_backward(dy, x, weight, saved, grad_mask=tuple(map(bool, mask)))  # type: ignore[arg-type]
            for a, b, wanted in zip(some, whole, mask, strict=True):
                if wanted:
                    assert_array_equal(a, b)
                else:
                    assert a is None


def test_iterations() -> None:
    """After T steps W is the scalar recursion in the eigenbasis, and after many the inverse square root."""
    x = spectrum([0.5, 1, 3, 7], 40)
    for iterations in (0, 1, 5, 25):
        saved = fn.batch_whitening_forward(x, method="iternorm", iterations=iterations, eps=1e-3).saved
        values, vectors = np.linalg.eigh(x.T @ x / 40 + 1e-3 * np.eye(4))
        p = np.ones(4)
        for _ in range(iterations):
            p = 1.5 * p - 0.5 * p**3 * values / values.sum()
        assert_allclose(saved.matrix[0], (vectors * p / np.sqrt(values.sum())) @ vectors.T, atol=1e-13)
    assert_allclose(saved.matrix, fn.batch_whitening_forward(x, eps=1e-3).saved.matrix, atol=1e-12)
    # The iteration is stable far beyond convergence.
    x = spectrum(np.geomspace(1, 1e-5, 16), 100)
    many = fn.batch_whitening_forward(x, method="iternorm", iterations=60, eps=0.0).saved
    assert_allclose(many.matrix, fn.batch_whitening_forward(x, eps=0.0).saved.matrix, rtol=0, atol=1e-7)


# ---- the same bits ---------------------------------------------------------------------------------------------------


def outputs(dy: Any, x: Any, weight: Any, bias: Any, **options: Any) -> list[Any]:
    y, saved = fn.batch_whitening_forward(x, weight, bias, **options)
    g = fn.batch_whitening_backward(dy, x, weight, saved)
    running = saved.mean, saved.covariance
    evaluation = {k: v for k, v in options.items() if k in ("axis", "groups", "method")}
    return [y, saved.mean, saved.matrix, *g, fn.batch_whitening(x.astype(np.float64), *running, **evaluation)]


@pytest.mark.parametrize(
    ("shape", "axis", "groups"), [((20, 64, 14, 14), 1, 4), ((4000, 70), 1, 1), ((20, 14, 14, 16), -1, 1)]
)
@pytest.mark.parametrize("method", METHODS)
def test_threads(method: Any, shape: Any, axis: int, groups: int, dtype: str) -> None:
    arguments = draw(shape, axis, dtype=dtype)
    with fn.threads(1):
        want = outputs(*arguments, axis=axis, groups=groups, method=method)
    for threads in (2, 3, 8):
        with fn.threads(threads):
            for a, b in zip(outputs(*arguments, axis=axis, groups=groups, method=method), want, strict=True):
                assert_array_equal(a, b)


@pytest.mark.parametrize("method", METHODS)
def test_places_in_memory(method: Any, dtype: str) -> None:
    """A strided or misaligned array has the bits of its contiguous copy."""
    dy, x, weight, bias = draw((6, 10, 5, 7), 1, dtype=dtype)
    want = outputs(dy, x, weight, bias, groups=2, method=method)
    places = []
    for a in (dy, x):
        spread = np.zeros((12, 20, 5, 21), dtype)
        spread[::2, ::-2, :, ::3] = a
        shifted = np.frombuffer(b"\0" + a.tobytes(), dtype, offset=1).reshape(a.shape)
        places.append((spread[::2, ::-2, :, ::3], shifted))
    for some in zip(*places, strict=True):
        for a, b in zip(outputs(*some, weight, bias, groups=2, method=method), want, strict=True):
            assert_array_equal(a, b)


def test_every_target(simd_target: str, dtype: str) -> None:
    dy, x, _, _ = draw((9, 27, 5), 1, dtype=dtype)
    for method in METHODS:
        assert not exceeded(errors(dy, x, 1, {"method": method}))


# ---- running statistics and evaluation -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_running_statistics(method: Any, dtype: str) -> None:
    _, x, weight, bias = draw((12, 6, 5), 1, dtype=dtype)
    options: dict[str, Any] = {"groups": 2, "method": method, "eps": 0.01}
    mean, cov = np.ones(6, dtype), np.stack([np.eye(3, dtype=dtype)] * 2)
    expected = mean.astype(float), cov.astype(float)
    for _ in range(3):
        fn.batch_whitening_forward(x, weight, bias, mean, cov, momentum=0.25, ddof=2, **options)
        ref.batch_whitening_forward(x, weight, bias, *expected, momentum=0.25, ddof=2, **options)
    tolerance: dict[str, Any] = {
        "rtol": 1e-5 if dtype == "float32" else 1e-13,
        "atol": 1e-6 if dtype == "float32" else 0,
    }
    assert_allclose(mean, expected[0], **tolerance)
    assert_allclose(cov, expected[1], **tolerance)
    assert_array_equal(cov, np.swapaxes(cov, 1, 2))
    evaluation = fn.batch_whitening(x, mean, cov, weight, bias, **options)
    assert evaluation.dtype == dtype
    want = ref.batch_whitening(x, mean, cov, weight, bias, **options)
    assert_allclose(evaluation, want, atol=1e-5 if dtype == "float32" else 1e-13)
    # Evaluation with the batch's own statistics is training.
    y = fn.batch_whitening_forward(x, weight, bias, mean, cov, momentum=1.0, ddof=0, **options).y
    assert_allclose(fn.batch_whitening(x, mean, cov, weight, bias, **options), y, atol=1e-5)


def test_strided_buffers() -> None:
    _, x, _, _ = draw((12, 6, 5), 1, dtype=np.float32)
    mean, cov = np.zeros(6, np.float32), np.zeros((2, 3, 3))
    fn.batch_whitening_forward(x, running_mean=mean, running_cov=cov, groups=2)
    strided = np.zeros(18, np.float32)[::-3], np.zeros((3, 6, 4)).transpose(2, 1, 0)[::2, ::-2]
    fn.batch_whitening_forward(x, running_mean=strided[0], running_cov=strided[1], groups=2)
    assert_array_equal(strided[0], mean)
    assert_array_equal(strided[1], cov)


@pytest.mark.parametrize(("shape", "axis", "groups", "order"), LAYOUTS)
def test_out(shape: Any, axis: int, groups: int, order: Any, dtype: str) -> None:
    _, x, weight, bias = draw(shape, axis, order, dtype)
    saved = fn.batch_whitening_forward(x, axis=axis, groups=groups).saved
    arguments = saved.mean, saved.covariance, weight, bias
    want = fn.batch_whitening(x, *arguments, axis=axis, groups=groups)
    assert want.strides == x.strides
    for out in (np.empty(shape, dtype), np.empty(shape, dtype, order="F"), np.empty((*shape, 2), dtype)[..., 1]):
        assert fn.batch_whitening(x, *arguments, axis=axis, groups=groups, out=out) is out
        assert_array_equal(out, want)
    in_place = x.copy("K")
    assert fn.batch_whitening(in_place, *arguments, axis=axis, groups=groups, out=in_place) is in_place
    assert_array_equal(in_place, want)
    over = np.zeros((shape[0] + 1, *shape[1:]), dtype)
    over[:-1] = x
    fn.batch_whitening(over[:-1], *arguments, axis=axis, groups=groups, out=over[1:])
    assert_array_equal(over[1:], want)


# ---- edges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_stays_in_its_group(method: Any, bad: float, dtype: str) -> None:
    dy, x, weight, bias = draw((20, 6), 1, dtype=dtype)
    clean = outputs(dy, x, weight, bias, groups=3, method=method)
    x[7, 2] = bad
    mean, cov = np.zeros(6), np.zeros((3, 2, 2))
    with np.errstate(all="raise"):
        y, saved = fn.batch_whitening_forward(x, weight, bias, mean, cov, groups=3, method=method)
        g = fn.batch_whitening_backward(dy, x, weight, saved)
    assert g.dx is not None
    for got, want in ((y, clean[0]), (g.dx, clean[3])):
        assert np.isnan(got[:, 2:4]).all()
        assert_array_equal(np.delete(got, [2, 3], 1), np.delete(want, [2, 3], 1))
    assert not np.isfinite(cov[1]).all()
    assert np.isfinite(cov[::2]).all()
    # So does a running covariance.
    evaluated = fn.batch_whitening(x, np.zeros(6), cov, groups=3, method=method)
    assert np.isnan(evaluated[:, 2:4]).all()
    assert np.isfinite(np.delete(evaluated, [2, 3], 1)).all()


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 4, 0), (5, 0, 3)])
def test_no_data(shape: Any) -> None:
    mean, cov = np.ones(shape[1]), np.ones((2, shape[1] // 2, shape[1] // 2))
    x = np.zeros(shape)
    y, saved = fn.batch_whitening_forward(x, running_mean=mean, running_cov=cov, groups=2)
    assert y.shape == shape
    assert_array_equal(mean, 1)
    assert_array_equal(cov, 1)
    g = fn.batch_whitening_backward(x, x, None, saved)
    assert g.dx is not None
    assert g.dx.shape == shape
    assert_array_equal(g.dweight, np.zeros(shape[1]))
    assert_array_equal(g.dbias, np.zeros(shape[1]))
    assert fn.batch_whitening(x, mean, cov, groups=2).shape == shape


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_values_than_channels(method: Any, m: int) -> None:
    dy, x, _, _ = draw((m, 4), 1)
    text = rf"^{m} values per channel give the covariance of 4 channels a rank of at most {m - 1}: "
    with pytest.warns(RuntimeWarning, match=text) as record:
        y, saved = fn.batch_whitening_forward(x, method=method)
    assert record[0].filename == __file__
    assert np.isfinite(y).all()
    assert np.isfinite(fn.batch_whitening_backward(dy, x, None, saved).dx).all()
    assert_allclose(y, ref.batch_whitening_forward(x, method=method).y, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_no_full_rank_without_eps(method: Any) -> None:
    x = np.zeros((20, 4))
    x[:, :2] = np.random.default_rng(0).standard_normal((20, 2))
    mean, cov = np.ones(4), np.stack([np.eye(2)] * 2)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"^the covariance has no full rank: rank 0 of 2 channels in group 1; pass"
    ):
        fn.batch_whitening_forward(x, running_mean=mean, running_cov=cov, groups=2, method=method, eps=0.0)
    assert_array_equal(mean, 1)
    assert_array_equal(cov, np.stack([np.eye(2)] * 2))
    with pytest.raises(np.linalg.LinAlgError, match="pass a larger eps, here eps >= "):
        fn.batch_whitening(x, mean, np.zeros((2, 2, 2)), groups=2, method=method, eps=0.0)
    assert np.isfinite(fn.batch_whitening_forward(x, groups=2, method=method).y).all()


def test_cholesky_of_channels_of_any_units() -> None:
    """What is left of a channel behind those before it is compared with the channel itself, not with others."""
    mixing = np.eye(4) + 0.3 * np.random.default_rng(1).standard_normal((4, 4))
    x = np.random.default_rng(0).standard_normal((500, 4)) @ mixing * [1e-15, 1.0, 1e-9, 1e6]
    y = fn.batch_whitening_forward(x, method="cholesky", eps=0.0).y
    assert_allclose(y.T @ y / 500, np.eye(4), atol=1e-10)


# ---- errors ----------------------------------------------------------------------------------------------------------

X = draw((5, 6, 2), 1)[1]
CHANNELS = r"to match axis 1 of x with shape \(5, 6, 2\), got \(5,\)$"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"x": X[:, 0, 0]}, ValueError, r"^x must have two or more dimensions"),
        ({"x": X.astype(int)}, TypeError, r"^x must have dtype .* got int64$"),
        ({"axis": 3}, ValueError, r"^axis must be from -3 to 2"),
        (
            {"groups": 4},
            ValueError,
            r"^groups must divide the 6 channels on axis 1 of x with shape \(5, 6, 2\), got 4$",
        ),
        ({"groups": 0}, ValueError, r"^groups must be positive, got 0$"),
        ({"groups": 2.0}, TypeError, r"^groups must be an integer, got float$"),
        ({"method": "pca"}, ValueError, r"^method must be one of 'zca', 'cholesky', 'iternorm', got 'pca'$"),
        ({"iterations": -1}, ValueError, r"^iterations must be >= 0, got -1$"),
        ({"iterations": None}, TypeError, r"^iterations must be an integer, got NoneType$"),
        ({"eps": np.nan}, ValueError, r"^eps must be a finite number >= 0, got nan$"),
        ({"weight": np.ones(5)}, ValueError, r"^weight must have shape \(6,\) " + CHANNELS),
        ({"bias": np.ones(5)}, ValueError, r"^bias must have shape \(6,\) " + CHANNELS),
        ({"weight": np.ones(6, np.float32)}, TypeError, r"^weight must have dtype float64 for x with dtype float64"),
    ],
)
def test_errors_of_both(options: dict[str, Any], error: type[Exception], match: str) -> None:
    statistics = np.zeros(6), np.stack([np.eye(6)])
    options = {"x": X} | options
    with pytest.raises(error, match=match):
        fn.batch_whitening(running_mean=statistics[0], running_cov=statistics[1], **options)
    with pytest.raises(error, match=match):
        fn.batch_whitening_forward(**options)


def test_errors_of_the_forward() -> None:
    mean, cov = np.zeros(6), np.stack([np.eye(6)])

    def fails(error: type[Exception], match: str, x: Any = X, **options: Any) -> None:
        with pytest.raises(error, match=match):
            fn.batch_whitening_forward(x, **options)

    fails(ValueError, r"^expected more than one value per channel when training", X[:1, :, :1])
    fails(ValueError, r"^running_mean and running_cov must be given together, got running_cov=None$", running_mean=mean)
    fails(ValueError, r"^running_mean and running_cov must be given together, got running_mean=None$", running_cov=cov)
    both = {"running_mean": mean, "running_cov": cov}
    fails(
        ValueError,
        r"^running_cov must have shape \(2, 3, 3\) to match x with shape \(5, 6, 2\), got \(1, 6, 6\)$",
        groups=2,
        **both,
    )
    fails(TypeError, r"^running_cov must be a numpy.ndarray", running_mean=mean, running_cov=cov.tolist())
    fails(TypeError, r"^running_cov must have dtype float64", running_mean=mean, running_cov=cov.astype(np.float32))
    fails(ValueError, r"^running_mean must have shape \(6,\)", running_mean=mean[:5], running_cov=cov)
    fails(ValueError, r"^momentum must be a number from 0 to 1, got 2", momentum=2, **both)
    fails(ValueError, r"^ddof must be less than the 10 values per channel", ddof=10, **both)
    frozen = cov.copy()
    frozen.flags.writeable = False
    fails(ValueError, r"^running_cov must be writeable", running_mean=mean, running_cov=frozen)
    fails(ValueError, r"^running_cov must not share memory with running_mean", running_mean=cov[0, 0], running_cov=cov)
    fails(ValueError, r"^running_mean must not share memory with weight", weight=mean, **both)
    table = np.zeros((10, 6))
    fails(ValueError, r"^running_mean must not share memory with x", table, running_mean=table[0], running_cov=cov)
    broadcast = np.lib.stride_tricks.as_strided(np.zeros(1), (1, 6, 6), (0, 0, 0))
    fails(ValueError, r"^running_cov must have a place of its own", running_mean=mean, running_cov=broadcast)
    assert_array_equal(mean, 0)
    assert_array_equal(cov[0], np.eye(6))


def test_errors_of_the_evaluation() -> None:
    mean, cov = np.zeros(6), np.stack([np.eye(6)])
    with pytest.raises(ValueError, match=r"^running_cov must have shape \(1, 6, 6\) to match x .* got \(6, 6\)$"):
        fn.batch_whitening(X, mean, cov[0])
    with pytest.raises(ValueError, match=r"^running_mean must have shape \(6,\)"):
        fn.batch_whitening(X, mean[:5], cov)
    with pytest.raises(TypeError, match=r"^running_cov must be an array, got None$"):
        fn.batch_whitening(X, mean, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^out must have shape \(5, 6, 2\) to match x, got \(5, 6\)$"):
        fn.batch_whitening(X, mean, cov, out=np.zeros((5, 6)))


def test_errors_of_the_backward() -> None:
    saved = fn.batch_whitening_forward(X, groups=2).saved

    def fails(error: type[Exception], match: str, dy: Any = X, x: Any = X, saved: Any = saved, **options: Any) -> None:
        with pytest.raises(error, match=match):
            fn.batch_whitening_backward(dy, x, options.pop("weight", None), saved, **options)

    fails(ValueError, r"^dy must have shape \(5, 6, 2\) to match x, got \(5, 6\)$", X[:, :, 0])
    fails(TypeError, r"^dy must have dtype float64 to match x, got float32$", X.astype(np.float32))
    fails(TypeError, r"^saved must be a BatchWhiteningSaved, got tuple$", saved=tuple(saved))
    other = r"^saved must come from a forward pass of x with shape \(5, 4, 2\), got another mean$"
    fails(ValueError, other, X[:, :4], X[:, :4])
    for name, value in (("matrix", saved.matrix[:1]), ("eigenvectors", None), ("covariance", None), ("axis", 7)):
        fails(ValueError, r"^saved must come from a forward pass", saved=saved._replace(**{name: value}))
    for groups in (0, 4, -1):
        fails(ValueError, r"^saved must come from a forward pass", saved=saved._replace(groups=groups))
    fails(ValueError, r"^weight must have shape \(6,\)", weight=np.ones(5))
    fails(TypeError, r"^grad_mask must be three booleans", grad_mask=(1, 0, 1))


def test_as_many_dimensions_as_numpy_has() -> None:
    most = 32 if np.__version__.startswith("1.") else 64
    x = np.random.default_rng(0).standard_normal((5, 4, *[1] * (most - 2)))
    want = fn.batch_whitening_forward(x.reshape(5, 4, 1), groups=4).y
    for groups in (1, 4):
        y = fn.batch_whitening_forward(x, groups=groups).y
        assert y.shape == x.shape
    assert_array_equal(y.reshape(5, 4, 1), want)
    with pytest.raises(
        ValueError, match=rf"^x must have at most {most - 1} dimensions for batch_whitening, got {most}$"
    ):
        fn.batch_whitening_forward(x, groups=2)

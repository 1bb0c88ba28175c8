"""`whiten` without a fit, and training passes of batch whitening, whose sums of float32 data begin in float32."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from test_whitening import FUSED, METHODS, samples

LD = np.longdouble


def off_the_identity(z: np.ndarray) -> float:
    """Of the covariance, in long double."""
    centred = z.astype(LD) - z.astype(LD).mean(axis=0)
    return float(np.abs(centred.T @ centred / LD(len(z) - 1) - np.eye(z.shape[1])).max())


@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("method", METHODS)
def test_white(method: Any, mean: float) -> None:
    """Centred first: the mean costs what rounding of the data to float32 does, which the covariance knows."""
    for n, d in ((400, 5), (1500, 40), (500, 130)):
        x = samples(n, d, 100.0, "float32", mean)
        assert off_the_identity(fn.whiten(x, method=method)) < 2e-5


@pytest.mark.parametrize("method", METHODS)
def test_ill_conditioned_data_are_summed_in_float64(method: Any) -> None:
    """As those of a fit, to the bit."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((12, 12)))[0] * np.geomspace(1, 1e-4, 12)
    x = (rng.standard_normal((4000, 12)) @ x.T + 1).astype(np.float32)
    assert_array_equal(fn.whiten(x, method=method), fn.fit_whitening(x, method=method).transform(x))


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-15, 1e18, 1e30])
def test_the_range_of_float32(scale: float) -> None:
    """Squares of data from 1e-19 down, and from 1e19 up, are no numbers of float32."""
    x = samples(400, 4, mean=1.0)
    scaled = (x * scale).astype(np.float32)
    assert_allclose(fn.whiten(scaled), fn.whiten(x), atol=1e-4 if scale == 1e-40 else 1e-5)


@pytest.mark.parametrize("eps", [1e-2, 1e-8])
def test_features_without_variance_of_their_own(eps: float) -> None:
    rng = np.random.default_rng(0)
    base = rng.standard_normal((2000, 3), dtype=np.float32)
    x = np.concatenate([base, base[:, :1], np.ones((2000, 1), np.float32)], axis=1)
    assert_allclose(fn.whiten(x, eps=eps), fn.whiten(x.astype(np.float64), eps=eps), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("n", "d"), [(30_000, 3), (5000, 60), (1500, 300), (20, 700)])
def test_threads_and_layouts(n: int, d: int) -> None:
    x = samples(n, d, dtype="float32")
    options: dict[str, Any] = {"method": "pca", "n_components": min(n // 2, d)}
    if d > 100 and n > d:  # without eigenvectors, which LAPACK may find otherwise with more threads
        options = {"method": "cholesky"}
    padded = np.zeros((2 * n, 3 * d), np.float32)
    padded[::2, ::3] = x
    with fn.threads(1):
        want = fn.whiten(x, **options)
    for threads in (1, 2, 5):
        with fn.threads(threads):
            for laid in (x, np.asfortranarray(x), padded[::2, ::3]):
                assert_array_equal(fn.whiten(laid, **options), want)


def test_fused_targets_agree() -> None:
    x = samples(3000, 53, dtype="float32")
    before, results = fn.simd_target(), []
    try:
        for target in fn.simd_targets():
            fn.set_simd_target(target)
            results.append(fn.whiten(x, method="cholesky"))
            fused = target in FUSED
            assert_array_equal(results[-1], results[0]) if fused else assert_allclose(
                results[-1], results[0], rtol=0, atol=1e-4
            )
    finally:
        fn.set_simd_target(before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [20, 45, 2000])
def test_values_that_are_not_finite(n: int, bad: float, dtype: str) -> None:
    """Of fewer samples than features, of fewer than twice as many, and of many."""
    x = samples(n, 30, dtype=dtype)
    x[n - 1, 17], x[3, 20] = bad, bad
    for method in ("zca", "pca-cor", "cholesky"):
        with pytest.raises(ValueError, match=r"^x must be finite, got .* in column 17 \(2 of 30 columns\)$"):
            fn.whiten(x, method=method, eps=1e-3)


@pytest.mark.parametrize("d", [1000, 2500])
def test_many_features(d: int, dtype: str) -> None:
    """Panels of few samples."""
    x = np.random.default_rng(0).standard_normal((70, d)).astype(dtype)
    fit = fn.fit_whitening(x, method="pca", n_components=50)
    want = (x.astype(LD) - fit.mean) @ fit.matrix.T.astype(LD)
    assert_allclose(fit.transform(x), want.astype(np.float64), rtol=0, atol=2e-5 if dtype == "float32" else 1e-12)


# ---- batch whitening -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["zca", "cholesky", "iternorm"])
@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1.0, 1e12, 1e25])
def test_gradients_of_any_size(method: Any, scale: float) -> None:
    """The products of gradients and data may be out of the range of float32."""
    x, dy = np.random.default_rng(0).standard_normal((2, 200, 6), dtype=np.float32)
    scaled = (dy * np.float64(scale)).astype(np.float32)
    _, saved = fn.batch_whitening_forward(x, method=method)
    _, exact = fn.batch_whitening_forward(x.astype(np.float64), method=method)
    got = fn.batch_whitening_backward(scaled, x, None, saved)
    want = fn.batch_whitening_backward(dy.astype(np.float64), x.astype(np.float64), None, exact)
    for a, b in zip(got, want, strict=True):
        assert_allclose(a / np.float64(scale), b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_ill_conditioned_batches() -> None:
    """Repeated channels with the eps of training: sums in float64, as float64 data have them."""
    x = np.random.default_rng(0).standard_normal((500, 3), dtype=np.float32)
    x = np.concatenate([x, x], axis=1)
    for method in ("zca", "cholesky"):
        y, saved = fn.batch_whitening_forward(x, method=method)  # type: ignore[arg-type]
        exact, _ = fn.batch_whitening_forward(x.astype(np.float64), method=method)  # type: ignore[arg-type]
        assert_allclose(y, exact, rtol=0, atol=1e-3)
        assert_allclose(saved.covariance[0], np.cov(x.T.astype(np.float64), ddof=0) + 1e-5 * np.eye(6), atol=1e-13)

"""Whitening of data: what the matrices must satisfy, accuracy against the reference, streaming, bits that stay."""

import copy
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import reference as ref
from scaled_error import exceeded, whitening_error

METHODS: list[Any] = ["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
FUSED = {"AVX512_BF16", "AVX512", "AVX2", "NEON"}  # targets that fuse multiplication and addition


def samples(n: int, d: int, condition: float = 10.0, dtype: Any = np.float64, mean: float = 10.0) -> np.ndarray:
    """Samples with variances from 1 down to 1 / condition, in random directions, far apart enough to be told apart."""
    rng = np.random.default_rng([n, d])
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.sqrt(np.geomspace(1, 1 / condition, d))
    return (rng.standard_normal((n, d)) @ basis.T + mean * rng.standard_normal(d)).astype(dtype)


def decomposed(fit: fn.Whitening, eps: float) -> np.ndarray:
    """What W whitens: the covariance with eps on its diagonal, or the correlations likewise, in units of the data."""
    if not fit.method.endswith("-cor"):
        return fit.covariance + eps * np.eye(len(fit.mean))
    var = np.diag(fit.covariance)
    std = np.sqrt(np.where(var == 0, 1, var))
    return fit.covariance + eps * np.outer(std, std) * np.eye(len(std))


# ---- accuracy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d", "condition"), [(500, 5, 10), (4096, 32, 1e3), (4096, 32, 1e5), (1500, 70, 1e3)])
@pytest.mark.parametrize("method", METHODS)
def test_accuracy(method: Any, n: int, d: int, condition: float, dtype: str) -> None:
    x = samples(n, d, condition, dtype)
    fit, expected = fn.fit_whitening(x, method=method), ref.fit_whitening(x, method=method)
    z, z_expected = fit.transform(x), expected.transform(x)
    assert (z.dtype, fit.mean.dtype, fit.matrix.dtype) == (dtype, np.float64, np.float64)
    # Decomposed in float64, here and in the reference, which float64 data notice: both err, and the error grows with
    # the condition, not with its root.
    factor = 4 * np.sqrt(np.linalg.cond(expected.covariance)) if dtype == "float64" else 1
    errors = whitening_error(z, z_expected, expected.covariance, dtype)
    assert not exceeded({"z": errors["z"] / factor})
    assert_array_equal(fn.whiten(x, method=method), z)
    back = fit.inverse_transform(z)
    assert back.dtype == dtype
    assert_allclose(back, x, rtol=0, atol=np.abs(x).max() * np.finfo(dtype).eps * 8)
    assert_allclose(fit.mean, expected.mean, rtol=1e-14)
    assert_allclose(fit.covariance, expected.covariance, rtol=0, atol=1e-14 * np.abs(expected.covariance).max())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_16_bits(method: Any, dtype: str) -> None:
    """Computed in float32 and rounded once."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = samples(500, 12, 100, mean=3.0).astype(dtype)
    fit, expected = fn.fit_whitening(x, method=method), ref.fit_whitening(x, method=method)
    z = fit.transform(x)
    assert z.dtype == dtype
    assert_allclose(fit.matrix, expected.matrix, rtol=0, atol=1e-12 * np.abs(expected.matrix).max())
    assert not exceeded(whitening_error(z, expected.transform(x), expected.covariance, dtype))
    assert fit.inverse_transform(z).dtype == dtype


@pytest.mark.parametrize("eps", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize(("n", "d"), [(100, 7), (50, 49), (8, 8), (5, 12), (2, 3), (300, 65), (40, 100)])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_whitened(method: Any, n: int, d: int, eps: float) -> None:
    x = samples(n, d)
    if eps == 0 and n <= d:
        rank = f"{n} samples of {d} features have rank {n - 1}"
        with pytest.raises(np.linalg.LinAlgError, match=f"^the covariance has no full rank: {rank}; pass eps > 0"):
            fn.fit_whitening(x, method=method).matrix
        return
    fit = fn.fit_whitening(x, method=method, eps=eps)
    a = decomposed(fit, eps)
    assert_allclose(fit.matrix @ a @ fit.matrix.T, np.eye(d), atol=1e-13 * np.linalg.cond(a))
    assert_allclose(fit.matrix @ fit.inverse, np.eye(d), atol=1e-14 * np.linalg.cond(a))
    assert_allclose(fit.inverse_transform(fit.transform(x)), x, rtol=0, atol=1e-12 * np.abs(x).max())
    if eps and not method.endswith("-cor"):
        assert_allclose(np.cov(fit.transform(x).T), np.eye(d) - eps * fit.matrix @ fit.matrix.T, atol=1e-11)


def test_what_tells_the_methods_apart() -> None:
    x = samples(200, 40)
    fits = {method: fn.fit_whitening(x, method=method) for method in METHODS}
    std, precision = np.sqrt(np.diag(fits["pca"].covariance)), np.linalg.inv(fits["pca"].covariance)
    assert_array_equal(fits["zca"].matrix, fits["zca"].matrix.T)
    assert_array_equal(fits["zca"].inverse, fits["zca"].inverse.T)
    assert_array_equal(np.tril(fits["cholesky"].matrix), fits["cholesky"].matrix)
    assert_array_equal(np.triu(fits["cholesky-prec"].matrix), fits["cholesky-prec"].matrix)
    assert_allclose(fits["cholesky-prec"].matrix, np.linalg.cholesky(precision).T, rtol=1e-9, atol=1e-11)
    assert_allclose(fits["cholesky"].inverse, np.linalg.cholesky(fits["pca"].covariance), rtol=1e-13)
    for fit in fits.values():
        assert_allclose(fit.matrix.T @ fit.matrix, precision, rtol=1e-10, atol=1e-11)
    assert (np.diff(np.linalg.norm(fits["pca"].inverse, axis=0)) < 0).all()
    crossed = fits["zca-cor"].matrix * std
    assert_allclose(crossed, crossed.T, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scikit_learn(dtype: str) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = samples(1000, 20, dtype=dtype)
    for components in (None, 7):
        peer = decomposition.PCA(whiten=True, svd_solver="full", n_components=components).fit(x.astype(np.float64))
        fit = fn.fit_whitening(x, method="pca", n_components=components)
        z, expected = fit.transform(x), peer.transform(x)
        assert_allclose(np.abs(z), np.abs(expected), atol=2e-4 if dtype == "float32" else 1e-11)
        assert_allclose(fit.inverse_transform(z), peer.inverse_transform(expected), atol=1e-5)


# ---- hard data -------------------------------------------------------------------------------------------------------


def test_large_means_cost_no_digits() -> None:
    x = samples(3000, 8, dtype=np.float32, mean=1e6)
    exact = x.astype(np.longdouble)
    expected = np.cov(exact.T.astype(np.float64))
    fit = fn.fit_whitening(x)
    assert_allclose(fit.covariance, expected, rtol=1e-9)
    assert_allclose(fit.mean, exact.mean(0).astype(np.float64), rtol=1e-15)
    assert_allclose(np.cov(fit.transform(x).T), np.eye(8), atol=1e-4)


def test_first_rows_far_from_the_rest() -> None:
    x = samples(20_000, 6)
    x[:1024] += 1e4 * np.arange(1, 7)
    assert_allclose(fn.fit_whitening(x).covariance, np.cov(x.T), rtol=1e-11)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e18, 1e30])
@pytest.mark.parametrize("method", METHODS)
def test_any_scale(method: Any, scale: float) -> None:
    x = samples(400, 4, mean=1.0)
    scaled = (x * scale).astype(np.float32)
    fit = fn.fit_whitening(scaled, method=method)
    z, expected = fit.transform(scaled), ref.whiten(scaled, method=method)
    assert_allclose(z, expected, atol=1e-5)
    assert_allclose(fit.inverse_transform(z), scaled, atol=1e-5 * scale, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_features_of_different_scales(method: Any) -> None:
    x = (samples(400, 4, mean=1.0) * [1e-30, 1.0, 1e25, 1e-8]).astype(np.float32)
    if method.endswith("-cor"):  # the others see a covariance without full rank
        assert_allclose(np.cov(fn.whiten(x, method=method).T), np.eye(4), atol=1e-4)
    assert np.isfinite(fn.whiten(x, method=method, eps=1e-3)).all()


@pytest.mark.parametrize("method", METHODS)
def test_constant_and_repeated_features(method: Any) -> None:
    x = np.round(samples(200, 4, dtype=np.float32) * 256) / 256  # so that a difference of two is exact
    for extra in (np.full((200, 1), 0.1, np.float32), x[:, :1], x[:, 1:2] - x[:, 2:3]):
        deficient = np.hstack([x, extra])
        with pytest.raises(np.linalg.LinAlgError, match=r"rank 4 of 5 features .*feature [0-4] is .*pass eps > 0"):
            fn.whiten(deficient, method=method)
        z = fn.whiten(deficient, method=method, eps=1e-4)
        assert np.isfinite(z).all()
        assert np.abs(z).max() < 10
    constant = fn.fit_whitening(np.full((50, 3), 0.1), method=method, eps=1.0)
    assert_array_equal(constant.covariance, np.zeros((3, 3)))
    assert_array_equal(constant.mean, np.full(3, 0.1))


def test_eps_below_rounding() -> None:
    """Eigenvalues that rounding makes negative count as zero: finite whatever eps is."""
    x = samples(5, 12) * 1e8
    for method in ("pca", "zca", "zca-cor", "pca-cor"):
        assert np.isfinite(fn.whiten(x, method=method, eps=1e-20)).all()  # type: ignore[arg-type]
    with pytest.raises(np.linalg.LinAlgError, match=r"5 samples of 12 features have rank 4; pass a larger eps"):
        fn.whiten(x, method="cholesky", eps=1e-20)


# ---- signs and components --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pca", "pca-cor"])
def test_signs(method: Any) -> None:
    x = samples(500, 9)
    fit = fn.fit_whitening(x, method=method)
    vectors = fit.matrix * (np.sqrt(np.diag(fit.covariance)) if method == "pca-cor" else 1)
    assert (vectors[np.arange(9), np.abs(vectors).argmax(1)] > 0).all()
    assert (np.diag(fn.fit_whitening(x, method=method, sign="diag").matrix) > 0).all()
    # Data that differ by rounding have the same signs.
    for seed in range(20):
        noise = 1 + 1e-14 * np.random.default_rng(seed).standard_normal(x.shape)
        assert_allclose(fn.fit_whitening(x * noise, method=method).matrix, fit.matrix, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("noise", [0, 1e-15, -1e-15])
def test_tied_entries_do_not_flip_signs(noise: float) -> None:
    x = np.array([[1.0, 1.0], [-1.0, -1.0], [2.0, -2.0], [-2.0, 2.0]]) * [1, 1 + noise]
    assert (fn.fit_whitening(x, method="pca").matrix[:, 0] > 0).all()


def test_components() -> None:
    x = samples(300, 9)
    fit, some = fn.fit_whitening(x, method="pca"), fn.fit_whitening(x, method="pca", n_components=3)
    assert_array_equal(some.matrix, fit.matrix[:3])
    z = some.transform(x)
    assert z.shape == (300, 3)
    projected = some.inverse_transform(z)
    assert projected.shape == x.shape
    assert_allclose(some.transform(projected), z, atol=1e-11)
    assert repr(some) == "Whitening(method='pca', samples=300, features=9, components=3)"
    # As many components as the rank allows need no eps.
    few = fn.whiten(samples(4, 9), method="pca", n_components=3)
    assert_allclose(np.cov(few.T), np.eye(3), atol=1e-12)


# ---- streaming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_streaming(method: Any, dtype: str) -> None:
    x = samples(3000, 6, dtype=dtype)
    whole = fn.fit_whitening(x, method=method, ddof=0)
    updated = fn.fit_whitening(x[:50], method=method, ddof=0)
    assert updated.update(x[50:60]).update(x[:0]).update(np.asfortranarray(x[60:])) is updated
    parts = [fn.fit_whitening(part, method=method, ddof=0) for part in (x[:1000], x[1000:1100], x[1100:])]
    last = parts[2].covariance
    merged = parts[0].merge(parts[1]).merge(parts[2])
    assert_array_equal(parts[2].covariance, last)
    for fit in (updated, merged):
        assert_allclose(fit.mean, whole.mean, rtol=1e-14)
        assert_allclose(fit.covariance, whole.covariance, rtol=0, atol=1e-14 * whole.covariance.max())
        assert_allclose(fit.matrix, whole.matrix, rtol=1e-11, atol=1e-11)
        assert_allclose(fit.inverse, whole.inverse, rtol=1e-11, atol=1e-11)


def test_merge_of_whole_numbers_is_exact() -> None:
    x = np.random.default_rng(0).integers(-50, 50, (1024, 5)).astype(np.float64)
    x[:512] -= np.round(x[:512].mean(0))
    halves = [np.vstack([half, -half]) for half in (x[:512], x[512:])]  # means of exactly 0
    whole = fn.fit_whitening(np.vstack(halves))
    merged = fn.fit_whitening(halves[0]).merge(fn.fit_whitening(halves[1]))
    assert_array_equal(merged.covariance, whole.covariance)
    assert_array_equal(merged.matrix, whole.matrix)


def test_merge_with_itself() -> None:
    x = samples(100, 3)
    fit = fn.fit_whitening(x)
    assert_allclose(fit.merge(fit).covariance, np.cov(np.vstack([x, x]).T), rtol=1e-13)


def test_a_failed_update_changes_nothing() -> None:
    x = samples(100, 3)
    fit = fn.fit_whitening(x)
    before = pickle.dumps(fit)
    bad = x.copy()
    bad[7, 1] = np.nan
    for call in (lambda: fit.update(bad), lambda: fit.update(x[:, :2]), lambda: fit.merge(fn.fit_whitening(x[:, :2]))):
        with pytest.raises(ValueError, match=r"^(x|other) must"):
            call()
    assert pickle.dumps(fit) == before


def test_an_update_may_take_away_nothing_but_rank_is_checked_anew() -> None:
    fit = fn.fit_whitening(samples(20, 3) * 1e-8)
    fit.update(np.array([[1e8, 1e8, 1e8]]))
    assert np.isfinite(fit.covariance).all()
    with pytest.raises(np.linalg.LinAlgError, match="pass eps > 0"):
        fit.transform(samples(20, 3))


def test_memory_mapped_in_parts(tmp_path: Path) -> None:
    x = samples(5000, 8, dtype=np.float32)
    path = tmp_path / "x.npy"
    np.save(path, x)
    mapped = np.load(path, mmap_mode="r")
    fit = fn.fit_whitening(mapped[:1000])
    for first in range(1000, 5000, 1000):
        fit.update(mapped[first : first + 1000])
    assert_allclose(fit.matrix, fn.fit_whitening(x).matrix, rtol=1e-11, atol=1e-12)
    assert_array_equal(fit.transform(mapped), fit.transform(x))


@pytest.mark.nosanitize
def test_no_copy_of_the_data() -> None:
    x = np.random.default_rng(0).standard_normal((100_000, 20), dtype=np.float32)
    out = np.empty_like(x)
    tracemalloc.start()
    try:
        fn.fit_whitening(x).transform(x, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 20


def test_copies_and_pickles_of_a_fit_are_as_read_only_as_it_is() -> None:
    fit = fn.fit_whitening(samples(50, 3))
    for twin in (copy.copy(fit), copy.deepcopy(fit), pickle.loads(pickle.dumps(fit))):
        for name in ("matrix", "inverse"):
            assert_array_equal(getattr(twin, name), getattr(fit, name))
            with pytest.raises(ValueError, match="read-only"):
                getattr(twin, name)[...] = 0
        twin.update(samples(5, 3))
        assert not twin.matrix.flags.writeable
    assert "samples=50" in repr(fit)


def test_copies() -> None:
    fit = fn.fit_whitening(samples(100, 3))
    for other in (copy.deepcopy(fit), pickle.loads(pickle.dumps(fit))):
        assert_array_equal(other.update(samples(50, 3)).covariance, copy.copy(fit).update(samples(50, 3)).covariance)
    mean = fit.mean
    mean += 1
    assert not np.array_equal(fit.mean, mean)
    with pytest.raises(ValueError, match="read-only"):
        fit.matrix[0, 0] = 0


# ---- the same bits ---------------------------------------------------------------------------------------------------


def outputs(x: np.ndarray) -> list[np.ndarray]:
    """All results. Of many features without eigenvectors, which LAPACK takes long for."""
    several = x.shape[1] < 100
    method: Any = "pca" if several else "cholesky"
    fit = fn.fit_whitening(x, method=method, n_components=x.shape[1] // 2 + 1 if several else None, eps=1e-3)
    z = fit.transform(x)
    return [fit.mean, fit.covariance, fit.matrix, fit.inverse, z, fit.inverse_transform(z)]


@pytest.mark.parametrize(("n", "d"), [(30_000, 3), (5000, 60), (1025, 300), (70, 530)])
def test_threads(dtype: str, n: int, d: int) -> None:
    x = samples(n, d, dtype=dtype)
    with fn.threads(1):
        want = outputs(x)
    for threads in (2, 3, 8):
        with fn.threads(threads):
            for a, b in zip(outputs(x), want, strict=True):
                assert_array_equal(a, b)


@pytest.mark.parametrize(("n", "d"), [(1, 5), (7, 1), (200, 9), (1300, 50), (300, 260)])
def test_layouts(dtype: str, n: int, d: int) -> None:
    x = samples(n, d, dtype=dtype)
    if n == 1:
        x = np.vstack([x, x + 1])
    want = outputs(x)
    padded = np.zeros((2 * len(x), 3 * d), dtype)
    padded[::2, ::3] = x
    shifted = np.frombuffer(b"\0" + x.tobytes(), dtype, offset=1).reshape(x.shape)
    for laid in (np.asfortranarray(x), padded[::2, ::3], x[::-1, ::-1].copy()[::-1, ::-1], shifted):
        assert_array_equal(laid, x)
        for a, b in zip(outputs(laid), want, strict=True):
            assert_array_equal(a, b)


def test_fused_targets_agree(dtype: str) -> None:
    x = samples(3000, 50, dtype=dtype)
    before, results = fn.simd_target(), []
    try:
        for target in FUSED.intersection(fn.simd_targets()):
            fn.set_simd_target(target)
            results.append(outputs(x))
    finally:
        fn.set_simd_target(before)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            assert_array_equal(a, b)


def test_every_target(simd_target: str, dtype: str) -> None:
    x = samples(1500, 53, dtype=dtype)
    fit, expected = fn.fit_whitening(x), ref.fit_whitening(x)
    assert_allclose(fit.covariance, expected.covariance, rtol=0, atol=1e-13)
    assert_allclose(fit.transform(x), expected.transform(x), atol=1e-4 if dtype == "float32" else 1e-11)


# ---- out -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_out(order: Any, dtype: str) -> None:
    x = np.asarray(samples(200, 6, dtype=dtype), order=order)
    fit, some = fn.fit_whitening(x), fn.fit_whitening(x, method="pca", n_components=2)
    want, want_some = fit.transform(x), some.transform(x)
    for out in (np.empty((200, 6), dtype), np.empty((6, 200), dtype).T, np.empty((400, 12), dtype)[::-2, ::-2]):
        assert fit.transform(x, out=out) is out
        assert_array_equal(out, want)
    out = np.empty((200, 5), dtype)[:, 1:3]
    assert_array_equal(some.transform(x, out=out), want_some)
    # In place, into a part of the data, and over a shifted part of them.
    both = np.zeros((300, 6), dtype)
    for at in (0, 1, 50, 100):
        both[at : at + 200] = x
        for into in (0, at, 100):
            y = both.copy()
            fit.transform(y[at : at + 200], out=y[into : into + 200])
            assert_array_equal(y[into : into + 200], want)
        y = both.copy()
        some.transform(y[at : at + 200], out=y[50:250, 2:4])
        assert_array_equal(y[50:250, 2:4], want_some)
    back = fit.inverse_transform(want)
    z = want.copy()
    assert fit.inverse_transform(z, out=z) is z
    assert_array_equal(z, back)


# ---- errors ----------------------------------------------------------------------------------------------------------

X = samples(20, 3)


@pytest.mark.parametrize(
    ("x", "options", "error", "match"),
    [
        (X[0], {}, ValueError, r"^x must have two dimensions, samples and features, got x with shape \(3,\)$"),
        (X[:, :0], {}, ValueError, r"^x must have one or more features, got x with shape \(20, 0\)$"),
        (X.astype(int), {}, TypeError, "^x must have dtype .* got int64$"),
        (X.astype(complex), {}, TypeError, "^x must have dtype .* got complex128$"),
        (X, {"ddof": -1}, ValueError, "^ddof must be a finite number >= 0, got -1"),
        (X, {"eps": -1.0}, ValueError, "^eps must be a finite number >= 0, got -1.0$"),
        (X, {"method": "svd"}, ValueError, "^method must be one of 'pca', 'zca', .* got 'svd'$"),
        (X, {"method": 1}, TypeError, "^method must be a string, got int$"),
        (X, {"sign": "first"}, ValueError, "^sign must be one of 'max', 'diag', got 'first'$"),
        (X, {"n_components": 2}, ValueError, "^n_components must be None for method 'zca', got 2$"),
        (X, {"method": "pca", "n_components": 4}, ValueError, "^n_components must be from 1 to the 3 features of x"),
        (X, {"method": "pca", "n_components": 0}, ValueError, "^n_components must be from 1 to the 3 features of x"),
        (
            X,
            {"method": "pca", "n_components": 1.0},
            ValueError,
            "^n_components must be an integer or a share between 0",
        ),
        (X, {"method": "pca", "n_components": "3"}, TypeError, "^n_components must be an integer, got str$"),
        (X, {"relative_eps": -1.0}, ValueError, "^relative_eps must be a finite number >= 0, got -1.0$"),
        (X, {"shrinkage": 1.5}, ValueError, "^shrinkage must be a number from 0 to 1, .* got 1.5$"),
        (X, {"shrinkage": np.nan}, ValueError, "^shrinkage must be a number from 0 to 1, .* got nan$"),
        (X, {"shrinkage": "lw"}, ValueError, "^shrinkage must be one of 'ledoit-wolf', 'oas', got 'lw'$"),
        (
            X,
            {"shrinkage": "ledoit-wolf", "method": "pca-cor"},
            ValueError,
            "^shrinkage must be a number, 'oas' or None for",
        ),
        (X, {"power": -1.0}, ValueError, "^power must be a finite number >= 0, got -1.0$"),
        (X, {"power": 0.5, "method": "cholesky"}, ValueError, "^power must be 1 for method 'cholesky', .* got 0.5$"),
        (X, {"solver": "svd"}, ValueError, "^solver must be one of 'auto', 'covariance', 'qr', 'dual', got 'svd'$"),
        (X, {"solver": "dual", "method": "cholesky"}, ValueError, "^solver must not be 'dual' for method 'cholesky'"),
    ],
)
def test_errors_of_the_fit(x: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    for function in (fn.fit_whitening, fn.whiten):
        with pytest.raises(error, match=match):
            function(x, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad: float, dtype: str) -> None:
    x = samples(2000, 30, dtype=dtype)
    x[1999, 17], x[3, 20] = bad, bad
    for data in (x, np.asfortranarray(x)):
        with pytest.raises(ValueError, match=r"^x must be finite, got .* in column 17 \(2 of 30 columns\)$"):
            fn.fit_whitening(data)
    with pytest.raises(ValueError, match=r"^x must be finite, got .* in column 17 \(1 of 30 columns\)$"):
        fn.fit_whitening(x[10:50]).update(x[1990:])


@pytest.mark.parametrize(("n", "ddof"), [(1, 1), (0, 0), (20, 20), (20, 20.5)])
def test_too_few_samples_for_ddof(n: int, ddof: float) -> None:
    fit = fn.fit_whitening(X[:n], ddof=ddof)
    for needs in (lambda: fit.matrix, lambda: fit.covariance, lambda: fit.transform(X)):
        with pytest.raises(ValueError, match=f"^ddof must be less than the number of samples, got .* {n} samples$"):
            needs()


def test_errors_of_a_fit() -> None:
    fit = fn.fit_whitening(X)
    with pytest.raises(ValueError, match=r"^x must have 3 features, as the fit has, got x with shape \(5, 2\)$"):
        fit.transform(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"^z must have 1 components, as the fit has, got z with shape \(5, 3\)$"):
        fn.fit_whitening(X, method="pca", n_components=1).inverse_transform(np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"^x must have 3 features"):
        fit.update(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"^other must have 3 features, as this fit has, got 2$"):
        fit.merge(fn.fit_whitening(X[:, :2]))
    with pytest.raises(TypeError, match=r"^other must be a Whitening, got ndarray$"):
        fit.merge(X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^out must have shape \(20, 3\), got \(3, 20\)$"):
        fit.transform(X, out=np.zeros((3, 20)))
    with pytest.raises(TypeError, match=r"^out must have dtype float64 to match the data, got float32$"):
        fit.transform(X, out=np.zeros((20, 3), np.float32))
    with pytest.raises(TypeError, match=r"^out must be a numpy.ndarray"):
        fit.transform(X, out=X.tolist())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^out must be writeable"):
        fit.transform(X, out=np.broadcast_to(np.zeros(3), (20, 3)))


def test_no_samples() -> None:
    fit = fn.fit_whitening(X)
    assert fit.transform(X[:0]).shape == (0, 3)
    assert fit.inverse_transform(X[:0]).shape == (0, 3)

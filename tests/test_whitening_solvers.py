"""The solvers of whitening: the same answer from all of them, right for hard data, streaming from the first sample."""

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import reference as ref

METHODS: list[Any] = ["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
SOLVERS: list[Any] = ["auto", "covariance", "qr", "dual"]
PAIRS = [(m, s) for m in METHODS for s in SOLVERS if not (s == "dual" and m.startswith("cholesky"))]
LD = np.longdouble
wide = pytest.mark.skipif(np.finfo(LD).nmant < 63, reason="long double is double here")


def samples(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([n, d, seed])
    return rng.standard_normal((n, d)) @ (rng.standard_normal((d, d)) + 2 * np.eye(d)) + 3


def covariance(z: np.ndarray) -> np.ndarray:
    """In long double."""
    z = z.astype(LD)
    z = z - z.mean(axis=0)
    return z.T @ z / (len(z) - 1)


def off_identity(z: np.ndarray) -> float:
    return float(np.abs(covariance(z) - np.eye(z.shape[1])).max())


def rotation(d: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(5).standard_normal((d, d)))[0]


# ---- the same answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"eps": 0.1}, {"relative_eps": 1e-3, "shrinkage": "oas"}, {"shrinkage": 0.2}])
@pytest.mark.parametrize(("n", "d"), [(200, 6), (30, 20), (12, 12), (9, 30), (2, 5)])
@pytest.mark.parametrize(("method", "solver"), PAIRS)
def test_reference(method: Any, solver: Any, n: int, d: int, options: dict[str, Any]) -> None:
    x = samples(n, d)
    fit, expected = (
        fn.fit_whitening(x, method=method, solver=solver, **options),
        ref.fit_whitening(x, method=method, **options),
    )
    z, z_expected = fit.transform(x), expected.transform(x)
    if method.startswith("pca") and n <= d:  # the basis of what has no variance is arbitrary
        rank = n - 1
        assert_allclose(fit.matrix[:rank], expected.matrix[:rank], rtol=0, atol=1e-9 * np.abs(expected.matrix).max())
        assert_allclose(fit.matrix.T @ fit.matrix, expected.matrix.T @ expected.matrix, rtol=0, atol=1e-8)
        z, z_expected = z[:, :rank], z_expected[:, :rank]
    else:
        assert_allclose(fit.matrix, expected.matrix, rtol=0, atol=1e-9 * np.abs(expected.matrix).max())
        assert_allclose(fit.inverse, expected.inverse, rtol=0, atol=1e-9 * np.abs(expected.inverse).max())
    assert_allclose(z, z_expected, rtol=0, atol=1e-9)
    assert_allclose(fit.inverse_transform(fit.transform(x)), x, rtol=0, atol=1e-8)
    assert_allclose(fit.covariance, expected.covariance, rtol=0, atol=1e-12 * np.abs(expected.covariance).max())
    assert fit.shrinkage == pytest.approx(expected.shrinkage, rel=1e-10)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 300),
    d=st.integers(1, 300),
    pair=st.sampled_from(PAIRS),
    eps=st.sampled_from([0.0, 1e-3]),
    narrow=st.booleans(),
    parts=st.lists(st.integers(0, 300), max_size=4),
)
def test_any_shape(n: int, d: int, pair: Any, eps: float, narrow: bool, parts: list[int]) -> None:
    """Whatever the shape, and the parts that it comes in: white, or an error that says why."""
    x = np.random.default_rng([n, d]).standard_normal((n, d)).astype(np.float32 if narrow else np.float64)
    cuts = [0, *sorted(min(part, n) for part in parts), n]
    fits = [fn.fit_whitening(x[a:b], method=pair[0], solver=pair[1], eps=eps) for a, b in pairwise(cuts)]
    fit = fn.merge_whitenings(fits)
    streamed = fn.fit_whitening(x[:0], method=pair[0], solver=pair[1], eps=eps)
    for a, b in pairwise(cuts):
        streamed.update(x[a:b])
    assert fit.samples == streamed.samples == n
    if n == 1:
        with pytest.raises(ValueError, match=r"^ddof must be less"):
            fit.transform(x)
        return
    if n <= d and eps == 0:
        with pytest.raises(np.linalg.LinAlgError, match=f"rank {n - 1}"):
            fit.transform(x)
        return
    w = fit.matrix
    scale = np.sqrt(np.diag(fit.covariance)) if pair[0].endswith("-cor") else np.ones(d)
    a = fit.covariance + eps * np.diag(scale**2)
    condition = np.linalg.cond(a / scale / scale[:, None])
    if condition < 1e9:
        assert_allclose(w @ a @ w.T, np.eye(d), rtol=0, atol=1e-11 * condition)
        assert_allclose(streamed.covariance, fit.covariance, rtol=0, atol=1e-12)
        z = fit.transform(x).astype(np.float64)
        want = np.eye(d) - eps * (w * scale**2) @ w.T
        assert_allclose(np.cov(z.T).reshape(d, d), want, rtol=0, atol=2e-3 if narrow else 1e-11 * condition)


# ---- hard data -------------------------------------------------------------------------------------------------------


@wide
@pytest.mark.parametrize("low", [1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("d", [4, 24])
@pytest.mark.parametrize("method", METHODS)
def test_condition_is_not_squared(method: Any, d: int, low: float) -> None:
    std = np.where(np.arange(d) % 2, 1.0, low)
    x = np.random.default_rng(0).standard_normal((2000, d)) * std @ rotation(d)
    for solver in ("auto", "qr"):
        fit = fn.fit_whitening(x, method=method, solver=solver)  # type: ignore[arg-type]
        z = fit.transform(x)
        assert fit.solver == "qr"
        assert off_identity(z) < 1e-12
        assert np.abs(z.mean(0)).max() < 1e-14
        assert_allclose(fit.inverse_transform(z), x, rtol=0, atol=1e-10)
        assert_array_equal(pickle.loads(pickle.dumps(fit)).transform(x), z)
    # Of a stream only the factor is kept: what is left of the digits of float64 is right.
    parts = fn.fit_whitening(x[:7], method=method, solver="qr").update(x[7:900])
    parts = fn.merge_whitenings([parts, fn.fit_whitening(x[900:], method=method, solver="qr")])
    assert off_identity(parts.transform(x)) < 2e-15 / low * (1 + 2e-15 / low)


@wide
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("low", [1e-7, 1e-15])
def test_features_of_other_units(method: Any, low: float) -> None:
    """Well-conditioned once they are standardized: no digits are lost, by any method or solver."""
    mixing = np.eye(6) + 0.3 * np.random.default_rng(1).standard_normal((6, 6))
    x = np.random.default_rng(0).standard_normal((500, 6)) @ mixing * [low, low, low * 100, low * 100, 1.0, 1.0]
    for solver in ("auto", "covariance", "qr"):
        assert off_identity(fn.whiten(x, method=method, solver=solver)) < 1e-10  # type: ignore[arg-type]


@wide
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scale", [1e-160, 1e-120, 1e100, 1e150])
def test_any_scale(solver: Any, scale: float) -> None:
    n, d = (9, 20) if solver == "dual" else (200, 5)
    x = samples(n, d)
    for method in ("pca", "zca-cor"):
        options: Any = {"method": method, "solver": solver, "relative_eps": 1e-2 if n < d else 0.0}
        want = fn.whiten(x, **options)
        fit = fn.fit_whitening(x[:4] * scale, **options).update(x[4:] * scale)
        assert_allclose(np.abs(fit.transform(x * scale))[:, : n - 1], np.abs(want)[:, : n - 1], rtol=0, atol=1e-9)
        assert_allclose(fit.inverse_transform(fit.transform(x * scale)), x * scale, rtol=1e-9, atol=1e-9 * scale)
        assert_allclose(fit.mean, x.mean(0) * scale, rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("method", ["pca", "zca", "zca-cor", "pca-cor"])
@pytest.mark.parametrize(("scale", "eps"), [(1.0, 1e-4), (255.0, 1e-5), (1.0, 1e-12), (1e10, 1e-5)])
def test_repeated_features(method: Any, solver: Any, scale: float, eps: float) -> None:
    """Directions without variance stay empty, whatever eps would scale them by, in float32 as in float64."""
    base = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    x = np.concatenate([base, base, base[:, :1], np.full((200, 1), 0.1, np.float32)], axis=1) * np.float32(scale)
    fit = fn.fit_whitening(x.astype(np.float64), method=method, solver=solver, eps=eps)
    z, narrow = fit.transform(x.astype(np.float64)), fn.whiten(x, method=method, solver=solver, eps=eps)
    assert np.abs(z).max() < 6
    if method.startswith("pca"):  # what has no variance has an arbitrary basis
        assert np.abs(narrow[:, 3:]).max() < 1e-3
        z, narrow = z[:, :3], narrow[:, :3]
    assert_allclose(narrow, z, rtol=0, atol=1e-3)


@pytest.mark.parametrize("mean", [1e3, 1e6])
@pytest.mark.parametrize("method", METHODS)
def test_large_means(method: Any, mean: float) -> None:
    x = (np.random.default_rng(0).standard_normal((3000, 6)) * 3 + mean).astype(np.float32)
    for solver in ("covariance", "qr"):
        assert off_identity(fn.whiten(x, method=method, solver=solver)) < 1e-4  # type: ignore[arg-type]


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "solver"), PAIRS)
def test_streams_from_the_first_sample(method: Any, solver: Any) -> None:
    x = samples(120, 7)
    whole = fn.fit_whitening(x, method=method, solver=solver)
    fit = fn.fit_whitening(x[:1], method=method, solver=solver)
    for i in range(1, 120, 3):
        fit.update(x[i : i + 3])
    assert_allclose(fit.matrix, whole.matrix, rtol=1e-9, atol=1e-11)
    assert_allclose(fit.mean, whole.mean, rtol=1e-13)
    parts = [fn.fit_whitening(x[a:b], method=method, solver=solver) for a, b in ((0, 2), (2, 2), (2, 50), (50, 120))]
    before = [pickle.dumps(part) for part in parts]
    merged = fn.merge_whitenings(parts)
    assert [pickle.dumps(part) for part in parts] == before
    assert_array_equal(fn.merge_whitenings([pickle.loads(data) for data in before]).matrix, merged.matrix)
    assert_allclose(merged.matrix, whole.matrix, rtol=1e-9, atol=1e-11)


def test_a_stream_wider_than_its_parts_is_what_the_whole_is() -> None:
    """Samples are kept while they are few, so nothing is rounded: the same bits."""
    x = samples(40, 60).astype(np.float32)
    whole = fn.fit_whitening(x, method="pca", n_components=30)
    fit = fn.fit_whitening(x[:5], method="pca", n_components=30).update(x[5:6]).update(x[6:])
    assert (fit.solver, whole.solver) == ("dual", "dual")
    assert_array_equal(fit.matrix, whole.matrix)
    assert_array_equal(fit.transform(x), whole.transform(x))
    x[...] = 0  # what is kept is a copy
    assert fit.mean.any()


def test_merging_fits_of_different_solvers() -> None:
    x = samples(600, 5)
    whole = fn.fit_whitening(x)
    for first in SOLVERS:
        for second in SOLVERS:
            fit = fn.fit_whitening(x[:200], solver=first).merge(fn.fit_whitening(x[200:], solver=second))
            assert_allclose(fit.matrix, whole.matrix, rtol=1e-9)


def test_what_auto_chooses() -> None:
    x = samples(200, 10)
    assert fn.fit_whitening(x).solver == "covariance"
    assert fn.fit_whitening(x[:10]).solver == "dual"
    assert fn.fit_whitening(x[:10], method="cholesky", eps=1e-3).solver == "covariance"
    assert fn.fit_whitening(x[:15]).solver == "covariance"
    assert fn.fit_whitening(x[:15], solver="dual").solver == "qr"
    x[:, 9] = x[:, 0] * (1 + 1e-6 * np.random.default_rng(0).standard_normal(200))
    assert fn.fit_whitening(x).solver == "qr"
    assert fn.fit_whitening(x, eps=1e-2).solver == "covariance"
    assert fn.fit_whitening(x[:5]).update(x[5:]).solver == "qr"


def test_errors_of_merging() -> None:
    fit = fn.fit_whitening(samples(50, 3))
    with pytest.raises(ValueError, match=r"^fits must have one or more fits, got none$"):
        fn.merge_whitenings([])
    with pytest.raises(TypeError, match=r"^fits must be a sequence of Whitening, got Whitening$"):
        fn.merge_whitenings(fit)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^fits\[1\] must be a Whitening, got ndarray$"):
        fn.merge_whitenings([fit, np.ones(3)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^fits\[1\] must have 3 features, as this fit has, got 2$"):
        fn.merge_whitenings([fit, fn.fit_whitening(samples(50, 2))])
    shrunk = fn.fit_whitening(samples(50, 3), shrinkage="ledoit-wolf")
    before = pickle.dumps(shrunk)
    with pytest.raises(ValueError, match=r"^other must be a fit with shrinkage 'ledoit-wolf'"):
        shrunk.merge(fit)
    assert pickle.dumps(shrunk) == before


@pytest.mark.parametrize(("n", "d", "solver"), [(3000, 40, "qr"), (700, 61, "qr"), (50, 400, "dual")])
@pytest.mark.parametrize("method", ["pca", "zca-cor"])
def test_threads(method: Any, solver: Any, n: int, d: int, dtype: str) -> None:
    x = samples(n, d).astype(dtype)
    x[:, 1] = x[:, 0] + x[:, 1] * np.array(1e-3, dtype)

    def outputs(x: np.ndarray) -> list[np.ndarray]:
        fit = fn.fit_whitening(x[: n // 3], method=method, solver=solver, eps=1e-4).update(x[n // 3 :])
        return [fit.mean, fit.matrix, fit.inverse, fit.transform(x)]

    with fn.threads(1):
        want = outputs(x)
    for threads in (2, 3):
        with fn.threads(threads):
            for a, b in zip(outputs(x), want, strict=True):
                assert_array_equal(a, b)
    for laid in (np.asfortranarray(x), x[::-1, ::-1].copy()[::-1, ::-1]):
        for a, b in zip(outputs(laid), want, strict=True):
            assert_array_equal(a, b)


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("n", "d"), [(100, 6), (15, 40)])
@pytest.mark.parametrize("estimator", ["ledoit-wolf", "oas"])
def test_shrinkage_of_scikit_learn(estimator: Any, n: int, d: int, solver: Any) -> None:
    sk = pytest.importorskip("sklearn.covariance")
    x = samples(n, d)
    want, coefficient = (sk.ledoit_wolf if estimator == "ledoit-wolf" else sk.oas)(x)
    options: Any = {"shrinkage": estimator, "ddof": 0, "solver": solver}
    parts = fn.merge_whitenings([fn.fit_whitening(part, **options) for part in (x[:4], x[4:10], x[10:])])
    for fit in (fn.fit_whitening(x, **options), parts):
        assert fit.shrinkage == pytest.approx(coefficient, rel=1e-10)
        assert_allclose(fit.inverse @ fit.inverse.T, want, rtol=0, atol=1e-10 * np.abs(want).max())


def test_one_feature_is_not_shrunk() -> None:
    for estimator in ("ledoit-wolf", "oas"):
        assert fn.fit_whitening(samples(20, 1), shrinkage=estimator).shrinkage == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["pca", "zca", "zca-cor", "pca-cor"])
def test_power(method: Any) -> None:
    x = samples(300, 6)
    for solver, x_part in (("covariance", x), ("qr", x), ("dual", x[:5])):
        fits = [
            fn.fit_whitening(x_part, method=method, power=p, eps=1e-3, solver=solver)  # type: ignore[arg-type]
            for p in (0.0, 0.5, 1.0)
        ]
        none, half, whole = (fit.transform(x_part) for fit in fits)
        if method == "zca":
            assert_allclose(none, x_part - x_part.mean(0), atol=1e-10)
        if len(x_part) > 6:  # det(z_half) is the geometric mean
            volumes = [np.linalg.slogdet(np.cov(z.T))[1] for z in (none, half, whole)]
            assert volumes[1] == pytest.approx((volumes[0] + volumes[2]) / 2)
        assert_allclose(fits[1].inverse_transform(half), x_part, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_share_of_the_variance(solver: Any) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = samples(20, 30) if solver == "dual" else samples(200, 12)
    for share in (0.2, 0.7, 0.95, 0.999):
        peer = decomposition.PCA(share, svd_solver="full").fit(x)
        fit = fn.fit_whitening(x, method="pca", n_components=share, solver=solver)
        assert len(fit.matrix) == peer.n_components_
        assert_allclose(np.cov(fit.transform(x).T), np.eye(len(fit.matrix)), atol=1e-9)


def test_relative_eps() -> None:
    x = samples(100, 4)
    x[:, 3] = x[:, 0]
    for method in METHODS:
        want = fn.whiten(x, method=method, relative_eps=1e-6)
        assert_allclose(fn.whiten(x * 2.0**40, method=method, relative_eps=1e-6), want, rtol=0, atol=1e-12)


def test_what_would_help() -> None:
    x = samples(100, 5)
    x[:, 3] = x[:, 0] - 2 * x[:, 1]
    x[:, 4] = 7.0
    for method in METHODS:
        with pytest.raises(np.linalg.LinAlgError) as caught:
            fn.whiten(x, method=method)
        text = str(caught.value)
        if method != "cholesky-prec":
            assert (
                "rank 3 of 5 features (feature 4 is constant; feature 3 is determined by the features before)" in text
            )
        assert ("n_components <= 3" in text) == method.startswith("pca")
        least = float(text.split("eps >= ")[1].split(",")[0])
        assert np.abs(fn.whiten(x, method=method, eps=least)).max() < 10
    assert fn.whiten(x, method="pca", n_components=3).shape == (100, 3)
    with pytest.raises(np.linalg.LinAlgError, match=r"20 samples of 30 features have rank 19; .*n_components <= 19"):
        fn.whiten(samples(20, 30), method="pca", n_components=20)


def test_few_samples_need_no_square_of_the_features() -> None:
    import tracemalloc

    x = np.random.default_rng(0).standard_normal((20, 5000), dtype=np.float32)
    tracemalloc.start()
    try:
        fn.whiten(x, method="zca", eps=1e-3)
        fn.whiten(x, method="pca", n_components=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * x.nbytes

"""The reference's whitening: what the matrices must satisfy, gradients by complex step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnorm import reference as ref
from gradcheck import assert_gradients, central_difference

METHODS: list[Any] = ["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]
BATCH_METHODS: list[Any] = ["zca", "cholesky", "iternorm"]


def samples(n: int = 200, d: int = 5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 10 * rng.standard_normal(d)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_whitening(method: Any, ddof: int) -> None:
    x = samples()
    fit = ref.fit_whitening(x, method=method, ddof=ddof)
    assert_allclose(fit.mean, x.mean(0))
    assert_allclose(fit.covariance, np.cov(x.T, ddof=ddof))
    assert_allclose(fit.matrix @ fit.covariance @ fit.matrix.T, np.eye(5), atol=1e-11)
    assert_allclose(fit.matrix @ fit.inverse, np.eye(5), atol=1e-11)
    z = fit.transform(x)
    assert_allclose(np.cov(z.T, ddof=ddof), np.eye(5), atol=1e-11)
    assert_allclose(fit.inverse_transform(z), x, rtol=1e-11)
    assert_array_equal(ref.whiten(x, method=method, ddof=ddof), z)
    out = np.empty_like(x)
    assert fit.transform(x, out=out) is out
    assert_array_equal(out, z)


def test_what_tells_the_methods_apart() -> None:
    x = samples()
    fits = {method: ref.fit_whitening(x, method=method) for method in METHODS}
    std = np.sqrt(np.diag(fits["pca"].covariance))
    assert_allclose(fits["zca"].matrix, fits["zca"].matrix.T, atol=1e-12)
    assert_array_equal(np.tril(fits["cholesky"].matrix), fits["cholesky"].matrix)
    assert_array_equal(np.triu(fits["cholesky-prec"].matrix), fits["cholesky-prec"].matrix)
    for name in ("cholesky", "cholesky-prec"):
        assert (np.diag(fits[name].matrix) > 0).all()
    precision = np.linalg.inv(fits["pca"].covariance)
    assert_allclose(fits["cholesky-prec"].matrix, np.linalg.cholesky(precision).T, rtol=1e-9, atol=1e-12)
    for fit in fits.values():
        assert_allclose(fit.matrix.T @ fit.matrix, precision, rtol=1e-9)
    # pca: rows along the principal axes, the largest first; the cor methods are the plain ones of standardized data.
    lengths = np.linalg.norm(fits["pca"].inverse, axis=0)
    assert (np.diff(lengths) < 0).all()
    standardized = (x - x.mean(0)) / std
    for name in ("zca", "pca"):
        assert_allclose(fits[f"{name}-cor"].transform(x), ref.whiten(standardized, method=name), atol=1e-10)
    crossed = fits["zca-cor"].matrix * std
    assert_allclose(crossed, crossed.T, atol=1e-11)


@pytest.mark.parametrize("method", ["pca", "pca-cor"])
def test_signs_and_components(method: Any) -> None:
    x = samples()
    fit = ref.fit_whitening(x, method=method)
    vectors = fit.matrix * (np.sqrt(np.diag(fit.covariance)) if method == "pca-cor" else 1)
    assert (vectors[np.arange(5), np.abs(vectors).argmax(1)] > 0).all()
    assert (np.diag(ref.fit_whitening(x, method=method, sign="diag").matrix) > 0).all()
    some = ref.fit_whitening(x, method=method, n_components=2)
    assert_array_equal(some.matrix, fit.matrix[:2])
    assert_allclose(np.cov(some.transform(x).T), np.eye(2), atol=1e-11)
    projected = some.inverse_transform(some.transform(x))
    assert_allclose(some.inverse_transform(some.transform(projected)), projected, rtol=1e-10)
    # Two equal entries tie, and rounding must not decide between them.
    rng, equal = np.random.default_rng(0), np.array([[3.0, 3], [-3, -3], [1, -1], [-1, 1]])
    for _ in range(20):
        noisy = equal * (1 + 1e-14 * rng.standard_normal(equal.shape))
        assert (ref.fit_whitening(noisy, method=method).matrix[:, 0] > 0).all()


def test_deficient_rank() -> None:
    x = samples(n=4)
    for method in METHODS:
        with pytest.raises(np.linalg.LinAlgError, match="eps > 0"):
            ref.whiten(x, method=method)
    fit = ref.fit_whitening(x, eps=0.1)
    z = fit.transform(x)
    assert_allclose(np.cov(z.T), np.eye(5) - 0.1 * fit.matrix @ fit.matrix.T, atol=1e-13)
    assert_allclose(fit.inverse_transform(z), x, rtol=1e-12)
    assert ref.whiten(x, method="pca", n_components=2).shape == (4, 2)
    constant = np.hstack([samples(), np.ones((200, 1))])
    assert np.isfinite(ref.whiten(constant, method="zca-cor", eps=1e-3)).all()


@pytest.mark.parametrize("method", METHODS)
def test_streaming(method: Any) -> None:
    x = samples()
    whole = ref.fit_whitening(x, method=method)
    updated = ref.fit_whitening(x[:50], method=method).update(x[50:60]).update(x[:0]).update(x[60:])
    merged = ref.fit_whitening(x[:120], method=method).merge(ref.fit_whitening(x[120:], method=method))
    for fit in (updated, merged):
        assert_allclose(fit.mean, whole.mean)
        assert_allclose(fit.covariance, whole.covariance, rtol=1e-12)
        assert_allclose(fit.matrix, whole.matrix, rtol=1e-9, atol=1e-11)


def spectrum(values: list[float], m: int) -> Any:
    """Data (m, d) whose biased covariance has exactly these eigenvalues, in random directions."""
    rng = np.random.default_rng(0)
    d = len(values)
    white = ref.whiten(rng.standard_normal((m, d)), ddof=0)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return white @ (basis * np.sqrt(values)).T


@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize(("shape", "axis", "groups"), [((12, 4), 1, 1), ((5, 6, 2, 2), 1, 2), ((4, 3, 2, 6), -1, 3)])
@pytest.mark.parametrize("method", BATCH_METHODS)
def test_batch_whitening_gradients(
    method: Any, shape: tuple[int, ...], axis: int, groups: int, activation: Any
) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape))
    x += 0.5 * np.roll(x, 1, axis) + 1
    arguments = {"x": x, "weight": rng.uniform(0.5, 2, shape[axis]), "bias": rng.standard_normal(shape[axis])}
    options: dict[str, Any] = {"axis": axis, "groups": groups, "method": method, "activation": activation}
    y, saved = ref.batch_whitening_forward(**arguments, **options)
    g = ref.batch_whitening_backward(dy, x, arguments["weight"], saved, activation=activation, bias=arguments["bias"])

    def loss(**a: Any) -> Any:
        return np.sum(dy * ref.batch_whitening_forward(**a, **options).y)

    expected = {"x": g.dx, "weight": g.dweight, "bias": g.dbias}
    assert_gradients(loss, arguments, expected)
    assert_gradients(loss, arguments, expected, derivative=central_difference, tolerance=1e-7, directions=1)
    for mask in np.ndindex(2, 2, 2):
        some = ref.batch_whitening_backward(
            dy, x, arguments["weight"], saved, activation=activation, bias=arguments["bias"], grad_mask=mask
        )  # fmt: skip
        assert [a is not None for a in some] == list(map(bool, mask))
    # The complex branch of the forward has no eigenvectors in it, and gives the same.
    assert_allclose(ref.batch_whitening_forward(**(arguments | {"x": x + 0j}), **options).y, y, rtol=1e-9, atol=1e-11)
    out = np.empty_like(x)
    assert ref.batch_whitening_forward(**arguments, **options, out=out).y is out
    assert_array_equal(out, y)


@pytest.mark.parametrize("values", [[1, 1, 1, 1], [1, 1, 4, 4], [1, 1 + 1e-9, 1 + 2e-9, 2], [1e-3, 1, 1, 100]])
@pytest.mark.parametrize("method", BATCH_METHODS)
def test_batch_whitening_of_a_spectrum(method: Any, values: list[float]) -> None:
    """Equal and close eigenvalues do the gradients no harm."""
    x, dy = spectrum(values, 30), np.random.default_rng(1).standard_normal((30, 4))
    options: dict[str, Any] = {"method": method, "eps": 0.0, "iterations": 15}

    def loss(x: Any) -> Any:
        return np.sum(dy * ref.batch_whitening_forward(x, **options).y)

    y, saved = ref.batch_whitening_forward(x, **options)
    g = ref.batch_whitening_backward(dy, x, None, saved)
    assert_gradients(loss, {"x": x}, {"x": g.dx}, tolerance=1e-10 if max(values) > 50 else 1e-12)
    if method != "iternorm" or max(values) < 50:
        assert_allclose(y.T @ y / 30, np.eye(4), atol=1e-10)


def test_newton_schulz() -> None:
    """After T steps W is the scalar recursion in the eigenbasis, and after many the inverse square root."""
    x = spectrum([0.5, 1, 3, 7], 40)
    for iterations in (0, 1, 5, 25):
        saved = ref.batch_whitening_forward(x, method="iternorm", iterations=iterations, eps=1e-3).saved
        values, vectors = np.linalg.eigh(x.T @ x / 40 + 1e-3 * np.eye(4))
        p = np.ones(4)
        for _ in range(iterations):
            p = 1.5 * p - 0.5 * p**3 * values / values.sum()
        assert_allclose(saved.matrix[0], (vectors * p / np.sqrt(values.sum())) @ vectors.T, atol=1e-13)
    zca = ref.batch_whitening_forward(x, method="zca", eps=1e-3).saved
    assert_allclose(saved.matrix, zca.matrix, atol=1e-12)


@pytest.mark.parametrize("method", BATCH_METHODS)
def test_whitening_one_channel_is_batch_norm(method: Any) -> None:
    x, dy = np.random.default_rng(0).standard_normal((2, 6, 3, 2))
    weight, bias = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    y, saved = ref.batch_whitening_forward(x, weight, bias, groups=3, method=method, iterations=30)
    expected = ref.batch_norm_forward(x, weight, bias)
    assert_allclose(y, expected.y, rtol=1e-12)
    g = ref.batch_whitening_backward(dy, x, weight, saved)
    for a, b in zip(g, ref.batch_norm_backward(dy, x, weight, expected.mean, expected.rstd), strict=True):
        assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("method", BATCH_METHODS)
def test_running_covariance(method: Any) -> None:
    x = np.moveaxis(samples(60, 4).reshape(6, 10, 4), -1, 1)
    mean, cov = np.zeros(4), np.stack([np.eye(2)] * 2)
    options: dict[str, Any] = {"groups": 2, "method": method, "eps": 0.01}
    ref.batch_whitening_forward(x, None, None, mean, cov, momentum=0.25, **options)
    flat = np.moveaxis(x, 1, 0).reshape(2, 2, 60)
    assert_allclose(mean, 0.25 * flat.mean(2).ravel())
    assert_allclose(cov, [0.75 * np.eye(2) + 0.25 * np.cov(f) for f in flat])
    # Evaluation with the batch's own statistics is training.
    y, saved = ref.batch_whitening_forward(x, None, None, mean, cov, momentum=1.0, ddof=0, **options)
    assert_allclose(ref.batch_whitening(x, mean, cov, **options), y, rtol=1e-10, atol=1e-12)
    empty = ref.batch_whitening_forward(x[:0], None, None, mean, cov, **options)
    assert empty.y.shape == (0, 4, 10)
    assert_array_equal(mean, saved.mean)
    g = ref.batch_whitening_backward(empty.y, empty.y, None, empty.saved)
    assert g.dx is not None
    assert g.dx.shape == (0, 4, 10)
    assert_array_equal(g.dweight, np.zeros(4))

"""`fastnorm.sklearn`: what scikit-learn expects of every transformer, and what PCA(whiten=True) computes."""

import pickle

import numpy as np
import pytest

import fastnorm as fn

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnorm.sklearn import Whitener

METHODS = ("pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor")
ESTIMATORS = [Whitener(method=method) for method in METHODS] + [Whitener(2)]
CHECKS = parametrize_with_checks(ESTIMATORS)


def samples(mean: float, dtype: str, size: int = 5000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((size, 16)) * np.linspace(1, 3, 16) + mean).astype(dtype)


def error(z: np.ndarray) -> float:
    return float(np.abs(np.cov(z.T.astype(np.float64)) - np.eye(z.shape[1])).max())


@pytest.mark.filterwarnings("ignore")  # the checks set n_components for methods without, and so on
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)  # an iterator in scikit-learn 1.6
def test_checks_of_scikit_learn(estimator: Whitener, check: object) -> None:
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mean", [0, 1000])
def test_large_means_cost_no_digits(method: str, mean: float) -> None:
    x = samples(mean, "float32")
    whitener = Whitener(method=method).fit(x)
    z = whitener.transform(x)
    assert z.dtype == np.float32
    assert error(z) < 1e-5
    assert np.abs(whitener.inverse_transform(z) - x).max() < 4 * np.spacing(np.float32(mean + 10))


def test_equals_pca_up_to_signs() -> None:
    x = samples(3, "float64")
    ours, theirs = Whitener(4, eps=0).fit(x), PCA(4, whiten=True).fit(x)
    z, expected = ours.transform(x), theirs.transform(x)
    np.testing.assert_allclose(np.abs(z), np.abs(expected), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.inverse_transform(z), theirs.inverse_transform(expected), atol=1e-9)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-13)
    assert ours.components_.shape == theirs.components_.shape
    np.testing.assert_array_equal(z, fn.fit_whitening(x, method="pca", n_components=4).transform(x))


def test_samples_one_by_one() -> None:
    x, whitener = samples(3, "float64", size=40), Whitener(shrinkage="oas", solver="covariance")
    for row in x:
        whitener.partial_fit(row[None])
    assert whitener.n_samples_seen_ == 40
    np.testing.assert_allclose(whitener.transform(x), Whitener(shrinkage="oas").fit(x).transform(x), atol=1e-9)


def test_a_share_of_the_variance() -> None:
    x = samples(0, "float64")
    assert 1 < Whitener(0.5).fit(x).transform(x).shape[1] < 16


def test_parts_give_the_fit_of_the_whole() -> None:
    x = samples(100, "float64")
    parts = Whitener()
    for part in np.array_split(x, 7):
        parts.partial_fit(part)
    assert parts.n_samples_seen_ == len(x)
    np.testing.assert_allclose(parts.transform(x), Whitener().fit(x).transform(x), atol=1e-9)
    parts.fit(x[:1000])
    assert parts.n_samples_seen_ == 1000, "fit forgets"


@pytest.mark.parametrize("method", ["zca", "cholesky", "cholesky-prec", "zca-cor"])
def test_methods_without_components_say_that_they_ignore_them(method: str) -> None:
    x = samples(0, "float64")
    with pytest.warns(UserWarning, match=f"n_components is ignored, since method '{method}' has no components"):
        assert Whitener(3, method=method).fit(x).transform(x).shape == x.shape


def test_names_and_frames() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(samples(0, "float64")[:, :3], columns=["a", "b", "c"])
    whitener = Whitener(2).set_output(transform="pandas")
    assert list(whitener.fit_transform(frame).columns) == ["whitener0", "whitener1"]
    assert list(whitener.feature_names_in_) == ["a", "b", "c"]


def test_copies_and_pipelines() -> None:
    x = samples(0, "float64")
    whitener = Whitener(method="zca").fit(x)
    z = whitener.transform(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(whitener)).transform(x), z)
    np.testing.assert_array_equal(make_pipeline(clone(whitener)).fit_transform(x), z)


def test_bad_options_raise_the_texts_of_the_fit() -> None:
    x = samples(0, "float64")
    with pytest.raises(ValueError, match="method must be"):
        Whitener(method="svd").fit(x)
    with pytest.raises(ValueError, match="n_components must be from 1 to the 16 features of x, got 17"):
        Whitener(17).fit(x)

"""Whiten measurements in units that have nothing to do with each other: what is lost by whom.

The data are 30 measurements of each of 569 images of cell nuclei (Wisconsin breast cancer data): areas up to 4254, and
standard errors of fractal dimensions down to 0.0009. Then the same in other units, a million times smaller or larger
each, as where magnetometers of 1e-15 T stand beside electrodes of 1e-6 V.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA

import fastnorm as fn

Array = npt.NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    parser.parse_args()

    x = load_breast_cancer().data
    units = 10.0 ** np.random.default_rng(0).integers(-6, 7, x.shape[1])
    for title, data in {"as measured": x, "in other units": x * units}.items():
        covariance, correlation = np.cov(data.T), np.corrcoef(data.T)
        conditions = (np.linalg.cond(covariance), np.linalg.cond(correlation))
        print(f"{title}: condition of the covariance {conditions[0]:.0e}, of the correlations {conditions[1]:.0e}")
        for name, whitened in WAYS.items():
            print(f"  {name:<42} {off(whitened, data)}")


def by_hand(x: Array) -> Array:
    """As it is written in many places."""
    values, vectors = np.linalg.eigh(np.cov(x.T))
    return (x - x.mean(axis=0)) @ (vectors / np.sqrt(values))


WAYS: dict[str, Callable[[Array], Array]] = {
    "NumPy, eigenvectors of the covariance": by_hand,
    "scikit-learn, PCA(whiten=True)": lambda x: PCA(whiten=True, svd_solver="full").fit_transform(x),
    **{f"fastnorm, {method}": lambda x, m=method: fn.whiten(x, method=m) for method in ("pca", "zca", "cholesky")},
    **{f"fastnorm, {method}": lambda x, m=method: fn.whiten(x, method=m) for method in ("zca-cor", "pca-cor")},
    "fastnorm, zca of a stream of single rows": lambda x: stream(x).transform(x),
}


def stream(x: Array) -> fn.Whitening:
    """A fit that sees one row at a time."""
    fit = fn.fit_whitening(x[:1])
    for row in x[1:]:
        fit.update(row[None])
    return fit


def off(whitened: Callable[[Array], Array], x: Array) -> str:
    """How far the covariance of the result is from the identity."""
    with np.errstate(all="ignore"):
        z = whitened(x)
    if not np.isfinite(z).all():
        return "not finite: an eigenvalue came out negative"
    return f"covariance off the identity by {np.abs(np.cov(z.T) - np.eye(z.shape[1])).max():.1e}"


if __name__ == "__main__":
    main()

"""`fastnorm.sklearn.Whitener` against `PCA(whiten=True)`: fit, transform, and how white the result is."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import sklearn
from sklearn.decomposition import PCA

from fastnorm.sklearn import Whitener
from with_without import compare, heading

SHAPES = ((1000, 16), (20_000, 64), (5_000, 256), (50_000, 32), (2_000, 512))


def main() -> None:
    heading("scikit-learn", sklearn.__version__)
    rng = np.random.default_rng(0)
    for samples, features in SHAPES:
        for dtype in (np.float32, np.float64):
            x = (rng.standard_normal((samples, features)) @ rng.standard_normal((features, features))).astype(dtype)
            pca, whitener = PCA(whiten=True), Whitener()
            name = f"{samples} x {features} {np.dtype(dtype)}"
            compare(f"fit {name}", partial(pca.fit, x), partial(whitener.fit, x))
            compare(f"transform {name}", partial(pca.transform, x), partial(whitener.transform, x))
    print("\n| 20000 x 64 float32, largest error of the covariance | PCA(whiten=True) | Whitener |\n|---|---:|---:|")
    for mean in (0, 10, 100, 1000):
        x = (rng.standard_normal((20_000, 64)) + mean).astype(np.float32)
        print(f"| mean {mean} | {error(PCA(whiten=True), x):.1e} | {error(Whitener(), x):.1e} |")


def error(estimator: Any, x: np.ndarray) -> float:
    z = estimator.fit_transform(x).astype(np.float64)
    return float(np.abs(np.cov(z.T) - np.eye(z.shape[1])).max())


if __name__ == "__main__":
    main()

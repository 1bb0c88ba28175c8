"""`fastnorm.sklearn.Whitener` against `PCA(whiten=True)`: fit, transform, and how white the result is.

Deviations of the principal components are from 1 to 30. Where they are from 1 to 1e4, `Whitener` maps float32 data in
float64, which `PCA` does not.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import sklearn
from sklearn.decomposition import PCA

from fastnorm.sklearn import Whitener
from with_without import compare, heading

SHAPES = ((1000, 16), (20_000, 64), (5_000, 256), (50_000, 32), (2_000, 512))
HARD = ((20_000, 64), (5_000, 256), (2_000, 512))


def main() -> None:
    heading("scikit-learn", sklearn.__version__)
    for shapes, most in ((SHAPES, 30.0), (HARD, 1e4)):
        for shape in shapes:
            for dtype in (np.float32, np.float64):
                x = correlated(shape, most).astype(dtype)
                pca, whitener = PCA(whiten=True), Whitener()
                name = f"{shape[0]} x {shape[1]} {np.dtype(dtype)}{', deviations of 1 to 1e4' if most > 30 else ''}"
                compare(f"fit {name}", partial(pca.fit, x), partial(whitener.fit, x))
                compare(f"transform {name}", partial(pca.transform, x), partial(whitener.transform, x))
    print("\n| float32, largest error of the covariance | PCA(whiten=True) | Whitener |\n|---|---:|---:|")
    for mean in (0, 10, 100, 1000):
        row(f"20000 x 64, mean {mean}", np.random.default_rng(0).standard_normal((20_000, 64)) + mean)
    for shape in HARD:
        row(f"{shape[0]} x {shape[1]}, deviations of 1 to 1e4", correlated(shape, 1e4))


def correlated(shape: tuple[int, int], most: float) -> np.ndarray:
    """Samples whose principal components have deviations from 1 to `most`."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((shape[1], shape[1])))
    data: np.ndarray = rng.standard_normal(shape) * np.geomspace(1, most, shape[1]) @ rotation
    return data


def row(name: str, x: np.ndarray) -> None:
    print(f"| {name} | {error(PCA(whiten=True), x):.1e} | {error(Whitener(), x):.1e} |")


def error(estimator: Any, x: np.ndarray) -> float:
    z = estimator.fit_transform(x.astype(np.float32)).astype(np.float64)
    return float(np.abs(np.cov(z.T) - np.eye(z.shape[1])).max())


if __name__ == "__main__":
    main()

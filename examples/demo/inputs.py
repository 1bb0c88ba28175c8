"""Real input for the demonstration: two photographs and the handwritten digits that scikit-learn carries."""

from typing import NamedTuple

import numpy as np
from sklearn import datasets

from problems import Array

# A patch of 16 by 16 pixels in three colours, as vision transformers read images, has 768 values.
PATCH = 16


class Inputs(NamedTuple):
    """The demonstration's data in float32: levels of 0 to 255 for photographs, of 0 to 16 for digits."""

    photographs: Array  # (2, height, width, 3): a temple in China, a flower
    digits: Array  # (samples, 8, 8)


def load(step: int = 1, digits: int | None = None) -> Inputs:
    """Load the data.

    Parameters
    ----------
    step : int, optional
        Take every so many-th pixel of the photographs.
    digits : int, optional
        How many digits; all 1797 by default.
    """
    photographs = np.stack(datasets.load_sample_images().images)[:, ::step, ::step]
    return Inputs(photographs.astype(np.float32), datasets.load_digits().images[:digits].astype(np.float32))


def patches(photographs: Array, side: int = PATCH) -> Array:
    """Cut photographs into patches, a vector of values each: shape (2, rows, columns, side * side * 3).

    Parameters
    ----------
    photographs : ndarray, shape (2, height, width, 3)
        Of at least one patch; what does not fit is left.
    side : int, optional
        Pixels along the edge of a patch.
    """
    n, height, width, colours = photographs.shape
    rows, columns = height // side, width // side
    tiles = photographs[:, : rows * side, : columns * side].reshape(n, rows, side, columns, side, colours)
    return np.ascontiguousarray(tiles.transpose(0, 1, 3, 2, 4, 5)).reshape(n, rows, columns, side * side * colours)


def channels_first(x: Array) -> Array:
    """Move the last axis to place 1, in memory too."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))

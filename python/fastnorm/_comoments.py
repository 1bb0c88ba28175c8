"""Mergeable second moments of samples: what a whitening is fitted to."""

from typing import NamedTuple

import numpy as np

from . import _core, _features
from . import _validate as check
from ._types import Array
from .runtime import run


class Comoments(NamedTuple):
    """Number of samples, means of the features, and the sums of products of deviations from them; float64."""

    samples: int
    mean: Array
    sums: Array

    def merged(self, other: "Comoments") -> "Comoments":
        """Those of both sets of samples: the exact update of Chan, Golub and LeVeque."""
        if not other.samples:
            return self
        samples = self.samples + other.samples
        delta = other.mean - self.mean
        share = other.samples / samples
        between = np.outer(delta, delta) * (self.samples * share)
        return Comoments(samples, self.mean + delta * share, self.sums + other.sums + between)


def comoments(x: Array) -> Comoments:
    """Those of the rows of a table, all finite. The means come first, so that they cost no digits however large."""
    features = _features.table(x.shape)
    mean, m2 = np.zeros(features.size), np.zeros(features.size)
    if not x.size:
        return Comoments(0, mean, np.zeros((features.size, features.size)))
    run(_core.moments, x, features.roles, mean, m2)
    check.finite_features(mean, m2)
    return Comoments(features.samples, mean, features.comoments(x, mean)[0])

"""Mergeable second moments of samples: what a whitening is fitted to."""

from typing import Final, NamedTuple

import numpy as np

from . import _core, _features
from . import _validate as check
from ._types import Array
from .runtime import run

_FIRST: Final = 1024  # rows whose means are close enough to those of all


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
    """Those of the rows of a table, all finite.

    One sweep sums about the means of the first rows, and what these are off is taken out of the sums: centred first,
    large means cost no digits.
    """
    features = _features.table(x.shape)
    origin, totals = np.zeros(features.size), np.zeros(features.size)
    if not x.size:
        return Comoments(0, origin, np.zeros((features.size, features.size)))
    # In one memory layout whatever that of x is, and so are then all bits.
    run(_core.role_moments, np.ascontiguousarray(x[:_FIRST]), features.roles, origin, np.empty_like(origin))
    (sums,) = features.comoments(x, origin, totals=totals)
    check.finite_features(totals, np.diag(sums))
    shift = totals / features.samples
    return Comoments(features.samples, origin + shift, sums - np.outer(shift, shift) * features.samples)

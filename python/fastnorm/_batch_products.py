"""Sweeps of batch whitening over data: products of channels summed, and linear maps of channels, by groups.

Sums are about means that come from the data. What rounding takes off a mean is kept beside it, so that means that are
large against the spread cost no digits.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _core, _features, _layout
from . import _validate as check
from ._batch_whiteners import METHODS, BatchMethod, Root, root, through_statistics
from ._dtypes import FLOAT64
from ._features import Features
from ._layout import Layout
from ._types import Array, BatchWhiteningSaved
from .runtime import run

# Data of so many values are summed about the means of one in so many samples. Wherever these lie, their means are off
# by no more than sqrt(_SHARE * 2) standard deviations of all in any direction, which costs a few bits of float64.
_LARGE: Final = 2**17
_SHARE: Final = 8


class Batch(NamedTuple):
    """Checked data, one layout with a parameter per channel, one with matrices per group of channels."""

    x: Array
    layout: Layout
    features: Features

    @property
    def stack(self) -> tuple[int, int, int]:
        """The shape of one square matrix per group."""
        return self.features.groups, self.features.size, self.features.size

    def parameter(self, name: str, value: npt.ArrayLike | None) -> Array | None:
        """A weight or a bias."""
        return check.parameter(name, value, self.layout, self.x)


class Products(NamedTuple):
    """Sums over samples of ``(a - mean_a) (b - mean_b)'``, one matrix for each group; mergeable.

    Attributes
    ----------
    samples : int
        How many samples; without any all else is 0.
    mean_a, mean_b : ndarray, shape (C,)
        Means of what is multiplied, about any origin that those to be merged share.
    sums : ndarray, shape (groups, d, d)
        The products.
    """

    samples: int
    mean_a: Array
    mean_b: Array
    sums: Array


def batch(x: npt.ArrayLike, axis: Any, groups: Any) -> Batch:
    """Check the data of a forward pass."""
    x = check.data("x", x)
    axis = check.channel_axis(axis, x)
    groups = check.num_groups(groups, x, axis, "groups", "batch_whitening")
    return Batch(x, _layout.batch(x.shape, axis), _features.channels(x.shape, axis, groups))


def batch_of(saved: BatchWhiteningSaved, x: npt.ArrayLike) -> tuple[Batch, BatchWhiteningSaved]:
    """Check the data of a backward pass, with what the forward saved."""
    x = check.data("x", x)
    saved = check.whitening_saved(saved, x)
    features = _features.channels(x.shape, saved.axis, saved.groups)
    return Batch(x, _layout.batch(x.shape, saved.axis), features), saved


def options(method: BatchMethod, iterations: int, eps: float) -> tuple[BatchMethod, int, float]:
    """Check what makes whitening matrices of covariances."""
    check.choice("method", method, METHODS)
    return method, check.iterations(iterations), check.eps(eps)


@np.errstate(all="ignore")
def decomposed(whole: Products, method: BatchMethod, iterations: int, eps: float) -> Root:
    """Whitening matrices of the covariances; NaN without samples."""
    return root(whole.sums / np.float64(whole.samples), method, iterations, eps)


@np.errstate(all="ignore")
def merged_pair(a: Products, b: Products) -> Products:
    """Those of both, the exact update of Chan, Golub and LeVeque."""
    if not (a.samples and b.samples):
        return a if a.samples else b
    samples = a.samples + b.samples
    share = b.samples / samples
    left, right = b.mean_a - a.mean_a, b.mean_b - a.mean_b
    between = _columns(left, a.sums) * _features.transpose(_columns(right, a.sums)) * (a.samples * share)
    return Products(samples, a.mean_a + left * share, a.mean_b + right * share, a.sums + b.sums + between)


def whitening(data: Batch, method: BatchMethod, iterations: int, eps: float) -> tuple[Products, Array, Root]:
    """The products of the channels, what their means are off, and the whitening matrices."""
    part, off = covariances(data)
    return part, off, decomposed(part, method, iterations, eps)


def covariances(data: Batch) -> tuple[Products, Array]:
    """Products of the channels with each other about their means, and what these are off."""
    mean = _means(data, _first(data))
    off = np.zeros_like(mean)
    sums = np.zeros(data.stack)
    if data.x.size:
        mean, off, sums = _about(data, mean)
    return Products(data.features.samples if data.x.size else 0, mean, mean, sums), off


@np.errstate(all="ignore")
def _about(data: Batch, centre: Array) -> tuple[Array, Array, Array]:
    """Means, what rounding takes off them, and products about them, from sums about centres close to them."""
    off, n = np.empty_like(centre), data.features.samples
    sums = data.features.comoments(data.x, centre, totals=off)
    off /= n
    columns = _columns(off, sums)
    sums -= columns * _features.transpose(columns) * n
    mean = centre + off
    return mean, off - (mean - centre), sums


def _first(data: Batch) -> Array:
    """Samples whose means are close to those of all: of large data some, which spares a sweep."""
    if data.x.size < _LARGE:
        return data.x
    axis = 1 if data.layout.axes[0] == 0 else 0
    length = data.x.shape[axis]
    return data.x if length < _SHARE else data.x[(slice(None),) * axis + (slice(length // _SHARE),)]


def gradient_products(dy: Array, data: Batch, saved: BatchWhiteningSaved) -> Products:
    """Products of `dy` with ``x - mean``, both about their means."""
    mean = saved.mean
    average = _means(data, dy)
    off, sums = np.zeros_like(mean), np.zeros(data.stack)
    if data.x.size:
        sums = _features.transpose(data.features.comoments(data.x, mean, dy, average, off))
        with np.errstate(all="ignore"):
            off /= data.features.samples
    return Products(data.features.samples if data.x.size else 0, average, off, sums)


def whitened(data: Batch, matrix: Array, mean: Array, off: Array, weight: Array | None, bias: Array | None) -> Array:
    """``weight * matrix (x - mean - off) + bias``."""
    y = _layout.empty_like(data.x.dtype, data.x)
    if data.x.size:
        matrix = scaled(matrix, weight)
        data.features.transform(data.x, y, matrix, mean, _image(matrix, -off) + (0.0 if bias is None else bias))
    return y


def input_gradient(dy: Array, data: Batch, weight: Array | None, saved: BatchWhiteningSaved, whole: Products) -> Array:
    """Gradient of the data, from the products of the whole batch."""
    dx = _layout.empty_like(data.x.dtype, data.x)
    if data.x.size:
        with np.errstate(all="ignore"):
            through = through_statistics(saved, scaled(whole.sums, weight), whole.samples)
            both = np.concatenate([through, _features.transpose(scaled(saved.matrix, weight))], axis=2)
            shift = _image(through, -whole.mean_b)
            data.features.transform(data.x, dx, both, saved.mean, shift, dy, whole.mean_a)
    return dx


@np.errstate(all="ignore")
def weight_gradient(part: Products, saved: BatchWhiteningSaved, off: Array) -> Array:
    """Sum of ``dy * matrix (x - mean - off)``, from the products of the samples that are to be summed over."""
    if not part.samples:
        return np.zeros(part.mean_a.shape)
    apart = _features.transpose(_columns(part.mean_b - off, part.sums))  # 0 where the part is the whole batch
    sums = part.sums + _columns(part.mean_a, part.sums) * apart * part.samples
    return np.asarray(np.einsum("gij,gij->gi", sums, saved.matrix).ravel())


def scale(weight: Array | None, offset: float, data: Batch) -> Array | None:
    """``offset + weight``; None stands for ones."""
    if offset == 0:
        return weight
    ones = np.ones(data.layout.shape[data.layout.axes[0]]) if weight is None else weight.astype(FLOAT64)
    return np.asarray(ones + offset)


def scaled(matrix: Array, weight: Array | None) -> Array:
    """Every row times the weight of its channel."""
    return matrix if weight is None else matrix * _columns(weight.astype(FLOAT64), matrix)


def _means(data: Batch, values: Array) -> Array:
    """Means of the channels."""
    mean = np.zeros(data.layout.statistics)
    if values.size:
        run(_core.role_moments, values, data.layout.roles, mean, np.empty_like(mean))
    return mean


def _columns(vector: Array, matrix: Array) -> Array:
    """The channels of each group as a column that goes with the group's matrix."""
    return vector.reshape(*matrix.shape[:2], 1)


@np.errstate(all="ignore")
def _image(matrix: Array, vector: Array) -> Array:
    """The images of the channels of a vector under the matrices of their groups."""
    return np.asarray(np.einsum("gij,gj->gi", matrix, vector.reshape(matrix.shape[:2])).ravel())

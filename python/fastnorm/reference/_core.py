"""Normalization over any set of axes and its gradient: what the families of the reference stand on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._types import Activation, Array, Gradients, GradMask
from ._activation import activate, derivative


class Layout(NamedTuple):
    """How an operation sees its array: reshaped to `view`, reduced over the axes `reduced` of that.

    Weight and bias, of shape `parameter_shape`, vary along the axes `parameters` of the view, or they have a shape that
    broadcasts against the array. `split` is the axis of the array that is two in the view. Saved statistics have the
    shape `statistic_shape`.
    """

    view: tuple[int, ...]
    reduced: tuple[int, ...]
    parameters: tuple[int, ...]
    parameter_shape: tuple[int, ...]
    statistic_shape: tuple[int, ...]
    split: int | None = None

    def parameter(self, p: Array) -> Array:
        """Shape weight or bias to broadcast against the view."""
        p = promote(p)
        if p.shape == self.parameter_shape:
            return p.reshape([n if a in self.parameters else 1 for a, n in enumerate(self.view)])
        shape = list(p.shape)
        if self.split is not None:
            shape[self.split : self.split + 1] = (
                (1, 1) if shape[self.split] == 1 else self.view[self.split : self.split + 2]
            )
        return p.reshape(shape)

    def gradient(self, terms: Array, p: Array | None, mask: Array | None) -> Array:
        """Sum what belongs to each value of a parameter, in the parameter's shape; None has `parameter_shape`."""
        shape = self.parameter_shape if p is None else np.shape(p)
        along = self.parameter(np.empty(shape)).shape
        return total(terms, tuple(a for a, n in enumerate(along) if n == 1), mask).reshape(shape)

    def statistic(self, s: Array) -> Array:
        """Shape a saved statistic to broadcast against the view."""
        return promote(s).reshape([1 if a in self.reduced else n for a, n in enumerate(self.view)])

    def mask(self, where: Array | None, shape: tuple[int, ...]) -> Array | None:
        """Shape the mask of an array of the given shape like the view."""
        return None if where is None else np.broadcast_to(np.asarray(where, bool), shape).reshape(self.view)


class Statistics(NamedTuple):
    """Statistics of groups, the reduced axes kept with length 1: their sizes, means, sums of squared deviations.

    And the deviations of all elements, in the shape of the data.
    """

    size: Array
    mean: Array
    m2: Array
    deviation: Array


class Normalized(NamedTuple):
    """Output of `forward`: `mean` and `rstd` in the layout's shape, `statistics` as they broadcast."""

    y: Array
    mean: Array
    rstd: Array
    statistics: Statistics


def promote(x: Any) -> Array:
    """`x` as float64, unless it is longdouble or complex already."""
    x = np.asarray(x)
    return np.asarray(x.astype(np.result_type(x.dtype, np.float64) if x.dtype.kind in "fc" else np.float64))


def deliver(y: Array, out: Array | None) -> Array:
    """`y`, written to `out` if there is one."""
    if out is None:
        return y
    out[...] = y
    return out


def total(a: Array, axes: tuple[int, ...], where: Array | None = None) -> Array:
    """Sum over `axes`, kept with length 1, of the elements where the mask is True."""
    return np.asarray(np.sum(a, axis=axes, keepdims=True, where=True if where is None else where))


def group_size(x: Array, axes: tuple[int, ...], where: Array | None) -> tuple[Array, Array]:
    """Count the elements of each group, also as a divisor: a group without a True element divides by 1."""
    if where is not None:
        size = total(np.ones(x.shape), axes, where)
        return size, np.maximum(size, 1)
    size = np.full([1 if a in axes else n for a, n in enumerate(x.shape)], np.prod([1.0, *(x.shape[a] for a in axes)]))
    return size, size


@np.errstate(all="ignore")
def statistics(x: Array, axes: tuple[int, ...], where: Array | None = None, *, centred: bool = True) -> Statistics:
    """Two-pass statistics of the groups that lie along `axes`.

    The mean of the deviations, which is zero but for rounding, corrects the mean and the deviations. So neither
    loses digits to a mean that is large against the standard deviation, and a constant group has exact zeros.
    """
    size, divisor = group_size(x, axes, where)
    if not centred:
        return Statistics(size, np.zeros(size.shape), total(x * x, axes, where), x)
    mean = total(x, axes, where) / divisor
    deviation = x - mean
    for _ in range(2):
        correction = total(deviation, axes, where) / divisor
        mean = mean + correction
        deviation = deviation - correction
    return Statistics(size, mean, total(deviation * deviation, axes, where), deviation)


@np.errstate(all="ignore")
def reciprocal_root(a: Array) -> Array:
    """1 / sqrt(a), and 0 where a is 0."""
    return np.where(a == 0, 0, 1 / np.sqrt(np.where(a == 0, 1, a)))


def affine(xhat: Array, layout: Layout, weight: Array | None, bias: Array | None, offset: float) -> Array:
    """Scale and shift of normalized values."""
    z = xhat * (offset + (1.0 if weight is None else layout.parameter(weight)))
    return z if bias is None else np.asarray(z + layout.parameter(bias))


@np.errstate(all="ignore")
def forward(
    x: Array,
    layout: Layout,
    weight: Array | None,
    bias: Array | None,
    *,
    eps: float,
    offset: float = 0.0,
    centred: bool = True,
    mean_only: bool = False,
    activation: Activation | None = None,
    where: Array | None = None,
    out: Array | None = None,
) -> Normalized:
    """Normalize: y = act(xhat * (offset + weight) + bias), xhat = (x - mean) / sqrt(var + eps).

    Mean and variance are those of `x`. Not `centred` means that mean is 0 and var the mean square, `mean_only` that
    xhat = x - mean.
    """
    x = promote(x)
    mask = layout.mask(where, x.shape)
    s = statistics(x.reshape(layout.view), layout.reduced, mask, centred=centred)
    nothing = (s.size == 0) & (mask is not None)
    scale = np.ones(s.m2.shape) if mean_only else reciprocal_root(s.m2 / np.where(nothing, 1, s.size) + eps)
    rstd = np.where(nothing, 0, scale)
    y = activate(activation, affine(s.deviation * rstd, layout, weight, bias, offset)).reshape(x.shape)
    shape = layout.statistic_shape
    return Normalized(deliver(y, out), s.mean.reshape(shape), rstd.reshape(shape), s)


@np.errstate(all="ignore")
def backward(
    dy: Array,
    x: Array,
    layout: Layout,
    weight: Array | None,
    bias: Array | None,
    mean: Array | None,
    rstd: Array,
    *,
    offset: float = 0.0,
    training: bool = True,
    mean_only: bool = False,
    activation: Activation | None = None,
    where: Array | None = None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of `forward`; `mean` is None if it was not centred.

    With g = dy * act'(z) * (offset + weight) and means over the group,
    dx = rstd * (g - mean(g) - xhat * mean(g * xhat)), the second term of centred groups only, the third not if
    `mean_only`. If not `training` the statistics were constants, and dx = rstd * g. The deviations from the saved mean
    are centred again, so that the rounding of that mean does not count.
    """
    x, dy = promote(x), promote(dy)
    shape, mask = x.shape, layout.mask(where, x.shape)
    x, dy, rstd = x.reshape(layout.view), dy.reshape(layout.view), layout.statistic(rstd)
    _, divisor = group_size(x, layout.reduced, mask)

    def average(a: Array) -> Array:
        return np.asarray(total(a, layout.reduced, mask) / divisor)

    if mean is not None:
        x = x - layout.statistic(mean)
        if training:
            x = x - average(x)
    xhat = x * rstd
    if activation is not None:
        dy = dy * derivative(activation, affine(xhat, layout, weight, bias, offset))

    dx = dweight = dbias = None
    if grad_mask[0]:
        g = affine(dy, layout, weight, None, offset)
        dx = rstd * g
        if training:
            through = 0.0 if mean_only else xhat * average(g * xhat)
            through = rstd * (through + (0.0 if mean is None else average(g)))
            dx = dx - (through if mask is None else np.where(mask, through, 0))
        dx = dx.reshape(shape)
    if grad_mask[1]:
        dweight = layout.gradient(dy * xhat, weight, mask)
    if grad_mask[2]:
        dbias = layout.gradient(dy, weight if bias is None else bias, mask)
    return Gradients(dx, dweight, dbias)

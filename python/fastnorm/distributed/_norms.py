"""Batch and instance normalization of data whose groups lie on several ranks.

The two differ in the axes along which groups are numbered: the channels, or samples and channels. All other axes are
summed over, on every rank and then over the ranks.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from .. import _core, _engine, _layout, _running, statistics
from .. import _validate as check
from .._dtypes import FLOAT64
from .._layout import Layout, Shape
from .._types import Array, BatchNormSums, Gradients, Moments
from ..runtime import run
from ._blocks import blocks_of, like
from ._exchange import Allgather, Part, exchange, merge


class Block(NamedTuple):
    """One array, the layout of its groups, and that of its parameters: one per channel."""

    x: Array
    layout: Layout
    channels: Layout

    def parameter(self, name: str, value: Any) -> Array | None:
        """A weight or a bias, one value for each group."""
        values = check.parameter(name, value, self.channels, self.x)
        return None if values is None else np.broadcast_to(values, self.layout.parameters)


class Norm(NamedTuple):
    """A normalization by the axes along which its groups are numbered, from the axis of the channels."""

    name: str
    axes: Callable[[Any, Array], Shape]

    def block(self, x: Any, axis: Any) -> Block:
        """The checked array and its layouts."""
        x = check.data("x", x)
        kept = self.axes(axis, x)
        return Block(x, _layout.kept(x.shape, kept), _layout.batch(x.shape, kept[-1]))

    def arguments(self, direction: str, block: Block, **others: Any) -> dict[str, Any]:
        """What must be the same on every rank."""
        shape, dtype = block.layout.statistics, block.x.dtype.name
        return {
            "the operation": f"{self.name}_{direction}",
            "the groups of x": shape,
            "the dtype of x": dtype,
            **others,
        }


BATCH: Final = Norm("batch_norm", lambda axis, x: (check.channel_axis(axis, x),))
INSTANCE: Final = Norm("instance_norm", lambda axis, x: (0, check.channel_axis_of_samples(axis, x)))


class Forward:
    """A forward pass: what a rank takes from its blocks, and what it makes of the moments of all."""

    def __init__(self, norm: Norm, axis: Any, x: Any, weight: Any, bias: Any, running: tuple[Any, Any], **options: Any):
        self.norm, self.axis, self.x, self.weight, self.bias, self.running = norm, axis, x, weight, bias, running
        self.options = options

    def run(self, allgather: Allgather | None) -> tuple[Any, Array, Array, Array]:
        """Results in the form of `x`, and mean, rstd and count of the groups; update the running statistics."""
        (count, mean, m2), (y, rstd) = exchange(allgather, self._take, statistics.pair_of_moments, self._finish)
        self.step.update(mean, m2, count)
        return y, np.where(count == 0.0, np.nan, mean), rstd, count

    def _take(self) -> Part:
        self.blocks = [self.norm.block(x, self.axis) for x in blocks_of("x", self.x)]
        eps, momentum = check.eps(self.options["eps"]), check.momentum(self.options["momentum"])
        ddof = check.ddof(self.options["ddof"], self.blocks[0].layout, False)
        for block in self.blocks:
            others = {"weight": self.weight, "bias": self.bias}
            buffers = check.running(*self.running, block.channels, block.x, others)
        self.step = _running.Step(buffers, momentum, ddof, self.blocks[0].layout)
        options = {
            "eps": eps,
            "momentum": momentum,
            "ddof": ddof,
            "whether there are running statistics": bool(buffers),
        }
        parts = [Part(self.norm.arguments("forward", b, **options), _moments(b)) for b in self.blocks]
        with np.errstate(all="ignore"):
            return merge(parts, statistics.pair_of_moments, "block")

    @np.errstate(all="ignore")
    def _finish(self, moments: Moments) -> tuple[Any, Array]:
        count, mean, m2 = moments
        check.values_per_group(count, self.step.ddof, self.step.buffers is not None)
        rstd = _running.scale(m2 * (1.0 / count), self.options["eps"])
        activation = self.options["activation"]
        results = [
            _engine.apply(
                block.x,
                block.layout,
                mean,
                rstd,
                block.parameter("weight", self.weight),
                block.parameter("bias", self.bias),
                None,
                activation=activation,
            )
            for block in self.blocks
        ]
        return like(self.x, results), rstd


def _moments(block: Block) -> Moments:
    x, layout = block.x, block.layout
    mean, m2 = np.zeros(layout.statistics), np.zeros(layout.statistics)
    if x.size:
        run(_core.moments, x, layout.roles, mean, m2)
    return Moments(np.full(layout.statistics, float(layout.group_size)), mean, m2)


class Backward:
    """A backward pass: the same with the sums that the input gradient of the whole batch needs."""

    def __init__(self, norm: Norm, axis: Any, dy: Any, x: Any, weight: Any, saved: tuple[Any, Any, Any], mask: Any):
        self.norm, self.axis, self.dy, self.x, self.weight, self.saved, self.mask = (
            norm,
            axis,
            dy,
            x,
            weight,
            saved,
            mask,
        )

    def run(self, allgather: Allgather | None) -> Gradients:
        """``dx`` in the form of `x`, and this rank's part of the gradients of weight and bias."""
        _, dx = exchange(allgather, self._take, _pair_of_sums, self._finish)
        _, want_dweight, want_dbias = self.wanted
        # One value for each channel, from one for each group.
        sums = [a if a.ndim == 1 else a.sum(axis=0) for a in self.own]
        dweight, dbias = sums[1] if want_dweight else None, sums[0] if want_dbias else None
        weight = self.blocks[0].parameter("weight", self.weight)
        dtype = self.blocks[0].x.dtype if weight is None else weight.dtype
        return Gradients(dx, *_engine.rounded_sums(dtype, dweight, dbias))

    def _take(self) -> Part:
        self.blocks = [self.norm.block(x, self.axis) for x in blocks_of("x", self.x)]
        gradients = blocks_of("dy", self.dy)
        check.as_many_blocks("dy", gradients, self.blocks)
        self.wanted = check.grad_mask(self.mask)
        self.dys = [check.like("dy", dy, block.x) for dy, block in zip(gradients, self.blocks, strict=True)]
        layout = self.blocks[0].layout
        mean, rstd, count = self.saved
        self.mean, self.rstd = (
            np.array(check.statistic(name, value, layout), FLOAT64, order="C")
            for name, value in (("mean", mean), ("rstd", rstd))
        )
        self.count = check.count(count, layout)
        parts = [
            Part(self.norm.arguments("backward", b), statistics.reduced(dy, b.x, b.layout, self.mean, self.rstd))
            for dy, b in zip(self.dys, self.blocks, strict=True)
        ]
        part = merge(parts, _pair_of_sums, "block")
        self.own: BatchNormSums = part.payload
        return part

    def _finish(self, sums: BatchNormSums) -> Any:
        if not self.wanted[0]:
            return None
        results = [
            statistics.applied(
                dy, b.x, b.layout, self.mean, self.rstd, b.parameter("weight", self.weight), sums, self.count
            )
            for dy, b in zip(self.dys, self.blocks, strict=True)
        ]
        return like(self.x, results)


@np.errstate(all="ignore")
def _pair_of_sums(a: BatchNormSums, b: BatchNormSums) -> BatchNormSums:
    return BatchNormSums(a.sum_dy + b.sum_dy, a.sum_dy_xhat + b.sum_dy_xhat)

"""Batch and instance normalization of data whose groups lie on several ranks.

A rank takes moments, or the sums of a backward pass, of its blocks; what it makes of those of all ranks are the
functions for one process again. Instance normalization is batch normalization of every sample for itself.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from .. import _arguments, _core, _layout, _running, statistics
from .. import _validate as check
from .._dtypes import rounded_sums
from .._types import Array, BatchNormSums, Gradients, Moments
from ..batch import batch_norm
from ..runtime import run
from ._blocks import blocks_of, like
from ._exchange import Allgather, Part, exchange, merge


class Block(NamedTuple):
    """One array and its channel axis; with groups per sample and channel, or per channel."""

    x: Array
    axis: int
    by_sample: bool

    @property
    def groups(self) -> tuple[int, ...]:
        """Shape of the statistics."""
        channels = self.x.shape[self.axis]
        return (len(self.x), channels) if self.by_sample else (channels,)

    @property
    def channels(self) -> _layout.Layout:
        """Layout with one value per channel."""
        return _layout.batch(self.x.shape, self.axis)

    def moments(self) -> Moments:
        """Of every group."""
        kept = (0, self.axis) if self.by_sample else (self.axis,)
        x = self.x if self.x.ndim > len(kept) else self.x[..., np.newaxis]
        if not x.size:
            return statistics.moments(x, axis=tuple(a for a in range(x.ndim) if a not in kept))
        # With the channels marked as such, for the bits of the norm in one process.
        roles = [_core.REDUCED] * x.ndim
        roles[0], roles[self.axis] = 0 if self.by_sample else roles[0], _core.PARAM
        count, mean, m2 = np.zeros((3, *self.groups))
        run(_core.role_moments, x, bytes(roles), mean, m2)
        count += x.size // count.size
        return Moments(count, mean, m2)

    def parts(self, *statistics: Array) -> list[tuple[Any, ...]]:
        """Indices of what is batch normalization, and the statistics of it."""
        if not self.by_sample:
            return [(slice(None), *statistics)]
        return [(slice(n, n + 1), *(a[n] for a in statistics)) for n in range(len(self.x))]

    def normalized(self, mean: Array, var: Array, weight: Any, bias: Any, **options: Any) -> Array:
        """Normalize with the statistics of all ranks."""
        y = _layout.empty_like(self.x.dtype, self.x)
        for part, m, v in self.parts(mean, var):
            batch_norm(self.x[part], m, v, weight, bias, axis=self.axis, out=y[part], **options)
        if not len(y):  # whose parameters nothing has looked at
            check.parameter("weight", weight, self.channels, self.x)
            check.parameter("bias", bias, self.channels, self.x)
        return y

    def sums(self, dy: Array, mean: Array, rstd: Array) -> BatchNormSums:
        """Sums of the backward pass, of every group."""
        sums = BatchNormSums(np.zeros(self.groups), np.zeros(self.groups))
        for part, m, r, *place in self.parts(mean, rstd, *sums):
            found = statistics.batch_norm_backward_reduce(dy[part], self.x[part], m, r, axis=self.axis)
            for total, value in zip(place, found, strict=True):
                total[...] = value
        return sums

    def input_gradient(self, dy: Array, weight: Any, offset: float, *saved: Array) -> Array:
        """Input gradient from mean, rstd and the sums and counts of all ranks."""
        apply = statistics.batch_norm_backward_apply
        dx = _layout.empty_like(self.x.dtype, self.x)
        for part, *values in self.parts(*saved):
            dx[part] = apply(dy[part], self.x[part], weight, *values, axis=self.axis, offset=offset)
        return dx


class Norm(NamedTuple):
    """A normalization by the groups that it has."""

    name: str
    by_sample: bool

    def block(self, x: Any, axis: Any) -> Block:
        """The checked array."""
        x = check.data("x", x)
        channels = check.channel_axis_of_samples(axis, x) if self.by_sample else check.channel_axis(axis, x)
        return Block(x, channels, self.by_sample)

    def arguments(self, direction: str, block: Block, **others: Any) -> dict[str, Any]:
        """What must be the same on every rank."""
        return {
            "the operation": f"{self.name}_{direction}",
            "the groups of x": block.groups,
            "the dtype of x": block.x.dtype.name,
            **others,
        }


BATCH: Final = Norm("batch_norm", False)
INSTANCE: Final = Norm("instance_norm", True)


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
        offset = check.offset(self.options["offset"])
        ddof = check.ddof(self.options["ddof"], self.blocks[0].channels, False)
        activation = self.options["activation"]
        if activation is not None:
            _arguments.activation("activation", activation)
        for block in self.blocks:
            others = {"weight": self.weight, "bias": self.bias}
            buffers = check.running(*self.running, block.channels, block.x, others)
        self.step = _running.Step(buffers, momentum, ddof, self.blocks[0].channels)
        options = {
            "eps": eps,
            "momentum": momentum,
            "ddof": ddof,
            "offset": offset,
            "activation": activation,
            "whether there are running statistics": bool(buffers),
        }
        parts = [Part(self.norm.arguments("forward", b, **options), b.moments()) for b in self.blocks]
        with np.errstate(all="ignore"):
            return merge(parts, statistics.pair_of_moments, "block")

    @np.errstate(all="ignore")
    def _finish(self, moments: Moments) -> tuple[Any, Array]:
        count, mean, m2 = moments
        check.values_per_group(count, self.step.ddof, self.step.buffers is not None)
        var = m2 * (1.0 / count)
        options = {name: self.options[name] for name in ("eps", "offset", "activation")}
        y = [block.normalized(mean, var, self.weight, self.bias, **options) for block in self.blocks]
        return like(self.x, y), _running.scale(var, self.options["eps"])


class Backward:
    """A backward pass: the same with the sums that the input gradient of the whole batch needs."""

    def __init__(
        self, norm: Norm, axis: Any, dy: Any, x: Any, scale: tuple[Any, Any], saved: tuple[Any, Any, Any], mask: Any
    ):
        self.norm, self.axis, self.dy, self.x = norm, axis, dy, x
        self.weight, self.offset = scale
        self.saved, self.mask = saved, mask

    def run(self, allgather: Allgather | None) -> Gradients:
        """``dx`` in the form of `x`, and this rank's part of the gradients of weight and bias."""
        _, dx = exchange(allgather, self._take, _pair_of_sums, self._finish)
        _, want_dweight, want_dbias = self.wanted
        # One value for each channel, from one for each group.
        dbias, dweight = (a if a.ndim == 1 else a.sum(axis=0) for a in self.own)
        sums = dweight if want_dweight else None, dbias if want_dbias else None
        return Gradients(dx, *rounded_sums(self.dtype, *sums))

    def _take(self) -> Part:
        self.blocks = [self.norm.block(x, self.axis) for x in blocks_of("x", self.x)]
        gradients = blocks_of("dy", self.dy)
        check.as_many_blocks("dy", gradients, self.blocks)
        self.wanted = check.grad_mask(self.mask)
        offset = check.offset(self.offset)
        self.dys = [check.like("dy", dy, block.x) for dy, block in zip(gradients, self.blocks, strict=True)]
        first = self.blocks[0]
        weight = check.parameter("weight", self.weight, first.channels, first.x)
        self.dtype = first.x.dtype if weight is None else weight.dtype
        names = "mean", "rstd", "count"
        mean, rstd, count = (check.of_groups(n, a, first.groups) for n, a in zip(names, self.saved, strict=True))
        self.statistics = mean, rstd, count
        parts = [
            Part(self.norm.arguments("backward", block, offset=offset), block.sums(dy, mean, rstd))
            for dy, block in zip(self.dys, self.blocks, strict=True)
        ]
        part = merge(parts, _pair_of_sums, "block")
        self.own: BatchNormSums = part.payload
        return part

    def _finish(self, sums: BatchNormSums) -> Any:
        if not self.wanted[0]:
            return None
        mean, rstd, count = self.statistics
        pairs = zip(self.dys, self.blocks, strict=True)
        return like(
            self.x, [b.input_gradient(dy, self.weight, self.offset, mean, rstd, *sums, count) for dy, b in pairs]
        )


@np.errstate(all="ignore")
def _pair_of_sums(a: BatchNormSums, b: BatchNormSums) -> BatchNormSums:
    return BatchNormSums(a.sum_dy + b.sum_dy, a.sum_dy_xhat + b.sum_dy_xhat)

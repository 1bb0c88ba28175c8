"""The normalizations of ONNX as operators of its reference evaluator."""

import math
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference.op_run import OpRun

import fastnorm as fn

from .._dtypes import DATA
from .._types import Activation, Array

Arrays = tuple[Array, ...]


class _Norm(OpRun):
    """What the operators share."""

    @property
    def _opset(self) -> int:
        opsets = self.run_params["opsets"]
        return int(opsets.get("", opsets.get("ai.onnx", 0)))

    def _asked(self, *results: Any) -> Arrays:
        """The first of the results, as many as the node has outputs."""
        return results[: max(1, len(self.onnx_node.output))]

    def _gives(self, position: int) -> bool:
        """Whether an output is there and has a name."""
        names = self.onnx_node.output
        return position < len(names) and bool(names[position])


class BatchNormalization(_Norm):
    """Of all opsets: before 7 `is_test` tells, before 14 the number of outputs, then `training_mode`."""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        mean: Array,
        var: Array,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        training_mode: int = 0,
        is_test: int = 0,
        spatial: int = 1,
        **_: Any,
    ) -> Arrays:
        # Without channels there is one; statistics of single positions make each position a channel.
        shape = (len(x), -1) if x.ndim == 1 or not spatial else x.shape
        data, trains = x.reshape(shape), self._trains(training_mode, is_test)
        before = mean.astype(np.float64).reshape(-1), var.astype(np.float64).reshape(-1)
        now = before
        if trains:
            moments = fn.moments(data, axis=tuple(a for a in range(data.ndim) if a != 1))
            now = moments.mean, moments.m2 / moments.count
        weights = (_parameter(a, x).reshape(-1) for a in (scale, bias))
        y = fn.batch_norm(data, *now, *weights, eps=epsilon).reshape(x.shape)
        if not trains:
            return (y,)
        after = [momentum * a + (1 - momentum) * b for a, b in zip(before, now, strict=True)]
        return self._asked(y, *(a.reshape(mean.shape).astype(mean.dtype) for a in (*after, *now)))

    def _trains(self, training_mode: int, is_test: int) -> bool:
        if self._opset >= 14:
            return bool(training_mode)
        return len(self.onnx_node.output) > 1 if self._opset >= 7 else not is_test


class LayerNormalization(_Norm):
    """Two more results, the statistics, if the node has more outputs."""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array | None = None,
        axis: int = -1,
        epsilon: float = 1e-5,
        stash_type: int = 1,
        activation: Activation | None = None,
    ) -> Arrays:
        axes = tuple(range(axis % x.ndim, x.ndim))
        options: dict[str, Any] = {"axis": axes, "eps": epsilon, "activation": activation}
        weights = (_along(a, x, axes) for a in (scale, bias))
        if not (self._gives(1) or self._gives(2)):
            return (fn.layer_norm(x, *weights, **options),)
        y, *statistics = fn.layer_norm_forward(x, *weights, **options)
        dtype = tensor_dtype_to_np_dtype(stash_type)
        return self._asked(y, *(a.astype(dtype) for a in statistics))


class RMSNormalization(_Norm):
    """Without a mean."""

    def _run(
        self,
        x: Array,
        scale: Array,
        axis: int = -1,
        epsilon: float = 1e-5,
        stash_type: int = 1,
        activation: Activation | None = None,
    ) -> Arrays:
        axes = tuple(range(axis % x.ndim, x.ndim))
        options: dict[str, Any] = {"axis": axes, "eps": epsilon, "activation": activation}
        weight = _along(scale, x, axes)
        if not self._gives(1):
            return (fn.rms_norm(x, weight, **options),)
        y, rstd = fn.rms_norm_forward(x, weight, **options)
        return self._asked(y, rstd.astype(tensor_dtype_to_np_dtype(stash_type)))


class SimplifiedLayerNormalization(RMSNormalization):
    """ONNX Runtime's name of RMSNormalization, with `1 / rms` as a second output."""


class GroupNormalization(_Norm):
    """Before opset 21 a scale for each group, then for each channel."""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        stash_type: int = 1,
        activation: Activation | None = None,
    ) -> Arrays:
        weights: list[Array] = [_parameter(a, x) for a in (scale, bias)]
        if self.op_domain == "" and self._opset < 21 and x.shape[1] % num_groups == 0:
            weights = [np.repeat(a, x.shape[1] // num_groups) for a in weights]
        return (fn.group_norm(x, num_groups, *weights, eps=epsilon, activation=activation),)


class InstanceNormalization(_Norm):
    """A channel of a sample."""

    def _run(
        self, x: Array, scale: Array, bias: Array, epsilon: float = 1e-5, activation: Activation | None = None, **_: Any
    ) -> Arrays:
        return (fn.instance_norm(x, _parameter(scale, x), _parameter(bias, x), eps=epsilon, activation=activation),)


class LpNormalization(_Norm):
    """Divided by the norm; zeros stay zeros."""

    def _run(self, x: Array, axis: int = -1, p: int = 2) -> Arrays:
        if p == 2:
            root = np.full(x.shape[axis], 1 / math.sqrt(max(1, x.shape[axis])))
            return (fn.rms_norm(x, root.astype(DATA[x.dtype].compute), axis=axis, eps=0.0),)
        norm = np.abs(x).sum(axis=axis, keepdims=True, dtype=np.float64)
        return ((x / np.where(norm == 0.0, 1.0, norm)).astype(x.dtype),)


class MeanVarianceNormalization(_Norm):
    """The constant is added to the deviation, not to the variance."""

    def _run(self, x: Array, axes: tuple[int, ...] = (0, 2, 3)) -> Arrays:
        y, _, rstd = fn.layer_norm_forward(x, axis=tuple(axes), eps=0.0)
        factor = (1.0 / (1.0 + 1e-9 * rstd)).astype(DATA[x.dtype].compute)
        return ((y * factor).astype(x.dtype) if (factor != 1.0).any() else y,)


class SkipLayerNormalization(_Norm):
    """Of `x + skip + shift`, which is the last output."""

    op_domain = "com.microsoft"

    def _run(
        self,
        x: Array,
        skip: Array,
        scale: Array,
        bias: Array | None = None,
        shift: Array | None = None,
        epsilon: float = 1e-12,
        **_: Any,
    ) -> Arrays:
        weights = _parameter(scale, x), None if bias is None else _parameter(bias, x)
        y, h, mean, rstd = fn.add_layer_norm_forward(x, _residual(x, skip, shift), *weights, eps=epsilon)
        return self._asked(y, mean.astype(np.float32), rstd.astype(np.float32), h)


class SkipSimplifiedLayerNormalization(_Norm):
    """The same without a mean."""

    op_domain = "com.microsoft"

    def _run(
        self, x: Array, skip: Array, scale: Array, shift: Array | None = None, epsilon: float = 1e-12, **_: Any
    ) -> Arrays:
        y, h, rstd = fn.add_rms_norm_forward(x, _residual(x, skip, shift), _parameter(scale, x), eps=epsilon)
        return self._asked(y, np.zeros_like(rstd, np.float32), rstd.astype(np.float32), h)


class EmbedLayerNormalization(_Norm):
    """Of the sum of a word's, its place's and its segment's vectors; the length of each text by the mask."""

    op_domain = "com.microsoft"

    def _run(
        self,
        words: Array,
        segments: Array | None,
        word_table: Array,
        place_table: Array,
        segment_table: Array | None,
        scale: Array,
        bias: Array,
        mask: Array | None = None,
        places: Array | None = None,
        epsilon: float = 1e-12,
        **_: Any,
    ) -> Arrays:
        x = word_table[words]
        vectors = np.broadcast_to(place_table[: words.shape[1]] if places is None else place_table[places], x.shape)
        if segments is not None and segment_table is not None:
            vectors = vectors + segment_table[segments]
        y, h = fn.add_layer_norm(x, vectors, _parameter(scale, x), _parameter(bias, x), eps=epsilon)
        lengths = np.zeros(len(words), np.int32) if mask is None else mask.sum(axis=1, dtype=np.int32)
        return self._asked(y, lengths, h)


def _parameter(a: Array, x: Array) -> Array:
    """A parameter in a dtype that goes with the data's: theirs or a wider one."""
    if x.dtype not in DATA or a.dtype in DATA[x.dtype].parameters:
        return a
    return a.astype(DATA[x.dtype].compute)


def _along(a: Array | None, x: Array, axes: tuple[int, ...]) -> Array | None:
    """A parameter in the shape of the normalized axes, or with all axes of the data if it varies along others."""
    if a is None:
        return None
    a = _parameter(a, x)
    if a.ndim == x.ndim and a.shape[: axes[0]] != (1,) * axes[0]:
        return a
    return np.broadcast_to(a.reshape(a.shape[-len(axes) :]), [x.shape[axis] for axis in axes])


def _residual(x: Array, skip: Array, shift: Array | None) -> Array:
    return np.broadcast_to(skip if shift is None else skip + shift, x.shape)


def _own(operator: type[_Norm]) -> type[_Norm]:
    """The same operator in the domain of fastnorm."""
    return type(operator.__name__, (operator,), {"op_domain": "fastnorm", "__doc__": operator.__doc__})


_STANDARD = (
    BatchNormalization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    LpNormalization,
    MeanVarianceNormalization,
    RMSNormalization,
    SimplifiedLayerNormalization,
)
_CONTRIB = (EmbedLayerNormalization, SkipLayerNormalization, SkipSimplifiedLayerNormalization)
_OWN = (
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    RMSNormalization,
    SkipLayerNormalization,
    SkipSimplifiedLayerNormalization,
)

OPERATORS: tuple[type[Any], ...] = (*_STANDARD, *_CONTRIB, *map(_own, _OWN))

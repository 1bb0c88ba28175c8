"""What the demonstration does with the photographs and digits: one entry an operation.

A case of another operation is another entry: a title, what the data are, and the problems to solve.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from problems import Problem, normalization, weights, whitening

from .inputs import PATCH, Inputs, channels_first, patches


class Case(NamedTuple):
    """One pass of one operation on one input."""

    title: str  # of the operation, as the table shows it
    data: str  # what is normalized
    problem: Problem


_TRAINING = ("forward", "backward")
_ALL = ("inference", "forward", "backward")


def cases(inputs: Inputs) -> Iterator[Case]:
    """Yield the cases in the order of the table."""
    for family in (_batch, _instance, _group, _layer, _rms, _weights, _whitening, _batch_whitening):
        yield from family(inputs)


def _batch(inputs: Inputs) -> Iterator[Case]:
    last = inputs.photographs
    first, rows = channels_first(last), inputs.digits.reshape(len(inputs.digits), -1)
    for x, layout, axis in ((first, "NCHW", 1), (last, "NHWC", -1)):
        for direction in _ALL:
            yield Case("batch norm", "photographs", normalization("batch_norm", direction, layout, x, axis=axis))
    for direction in _ALL:
        yield Case("batch norm", "digits", normalization("batch_norm", direction, "NC", rows, axis=1))


def _instance(inputs: Inputs) -> Iterator[Case]:
    last = inputs.photographs
    for x, layout, axis in ((channels_first(last), "NCHW", 1), (last, "NHWC", -1)):
        for direction in _TRAINING:
            yield Case("instance norm", "photographs", normalization("instance_norm", direction, layout, x, axis=axis))


def _group(inputs: Inputs) -> Iterator[Case]:
    last = patches(inputs.photographs)
    for x, layout, axis in ((channels_first(last), "NCHW", 1), (last, "NHWC", -1)):
        for direction in _TRAINING:
            problem = normalization("group_norm", direction, layout, x, num_groups=32, axis=axis)
            yield Case("group norm (32)", "patches", problem)


def _layer(inputs: Inputs) -> Iterator[Case]:
    yield from _rows("layer norm", "layer_norm", inputs)
    tiles = patches(inputs.photographs)
    rows = tiles.reshape(-1, tiles.shape[-1])
    for direction in _TRAINING:
        problem = normalization("layer_norm", direction, "NC", rows.astype(np.float16), axis=-1)
        yield Case("layer norm", "patches f16", problem)


def _rms(inputs: Inputs) -> Iterator[Case]:
    yield from _rows("RMS norm", "rms_norm", inputs)


def _rows(title: str, op: str, inputs: Inputs) -> Iterator[Case]:
    """Every patch and every digit is a vector of its own; channel first, the vectors stand in columns."""
    tiles = patches(inputs.photographs)
    last = tiles.reshape(len(tiles), -1, tiles.shape[-1])
    for x, layout, axis in ((channels_first(last), "NCL", 1), (last, "NLC", -1)):
        for direction in _TRAINING:
            yield Case(title, "patches", normalization(op, direction, layout, x, axis=axis))
    rows = inputs.digits.reshape(len(inputs.digits), -1)
    for direction in _TRAINING:
        yield Case(title, "digits", normalization(op, direction, "NC", rows, axis=-1))


def _weights(inputs: Inputs) -> Iterator[Case]:
    """Every patch is a filter, as those of a network that reads such patches: their number is that of its outputs."""
    tiles = patches(inputs.photographs).reshape(-1, PATCH, PATCH, 3)
    first, last = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)), np.ascontiguousarray(tiles.transpose(1, 2, 3, 0))
    for title, op in (("weight norm", "weight_norm"), ("weight standardization", "weight_standardization")):
        for w, layout, axis in ((first, "OIHW", 0), (last, "HWIO", -1)):
            for direction in _TRAINING:
                yield Case(title, "filters", weights(op, direction, layout, w, axis=axis))


def _whitening(inputs: Inputs) -> Iterator[Case]:
    """Patches of 8 by 8 pixels in three colours, and digits, whose outermost pixels are the same in all of them."""
    tiles = patches(inputs.photographs, side=8)
    rows = tiles.reshape(-1, tiles.shape[-1])
    digits = inputs.digits.reshape(len(inputs.digits), -1)
    for method, name in (("zca", "ZCA"), ("cholesky", "Cholesky")):
        for x, data, eps in ((rows, "patches", 1.0), (digits, "digits", 0.01)):
            yield Case(f"whitening, {name}", data, whitening("whiten", "fit, map", "NC", x, method=method, eps=eps))


def _batch_whitening(inputs: Inputs) -> Iterator[Case]:
    """Three colours at once, or the 768 channels of patches in groups of 16."""
    for method, name, last, data, groups in (
        ("zca", "ZCA", inputs.photographs, "photographs", 1),
        ("cholesky", "Cholesky", patches(inputs.photographs), "patches", 48),
    ):
        for x, layout, axis in ((channels_first(last), "NCHW", 1), (last, "NHWC", -1)):
            for direction in _TRAINING:
                options = {"axis": axis, "groups": groups, "method": method}
                problem = whitening("batch_whitening", direction, layout, x, **options)
                yield Case(f"batch whitening, {name}", data, problem)

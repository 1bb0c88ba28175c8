"""What the demonstration does with the photographs and digits: one entry an operation.

A case of another operation is another entry: a title, what the data are, and the problems to solve.
"""

from collections.abc import Iterator
from typing import NamedTuple

from .inputs import Inputs, channels_first, patches
from .problems import Problem, normalization


class Case(NamedTuple):
    """One pass of one operation on one input."""

    title: str  # of the operation, as the table shows it
    data: str  # what is normalized
    problem: Problem


_TRAINING = ("forward", "backward")
_ALL = ("inference", "forward", "backward")


def cases(inputs: Inputs) -> Iterator[Case]:
    """Yield the cases in the order of the table."""
    for family in (_batch, _instance, _group, _layer, _rms):
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

"""Arrays without elements: lengths and strides beside an axis of length zero may be any, and nothing overflows.

What overflows may seem to work: `make asan` tells.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastnorm as fn

MANY = 2**61  # so many float64 are 2**64 bytes


def strided(shape: tuple[int, ...], *strides: int) -> np.ndarray:
    """An array of any shape and strides, in the memory of one number."""
    return as_strided(np.zeros(1, np.float16), shape, strides)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, many: fn.batch_norm(x, many, many),
        lambda x, many: fn.layer_norm(x, many),
        lambda x, many: fn.group_norm(x, 2, many),
    ],
    ids=["batch_norm", "layer_norm", "group_norm"],
)
def test_parameters_that_no_memory_holds_as_doubles_are_refused(call: Callable[..., Any]) -> None:
    with pytest.raises(MemoryError):
        call(strided((0, MANY), 0, 0), strided((MANY,), 0))


def test_strides_may_be_so_large_that_two_of_them_overflow() -> None:
    x, y = (strided((0, 4, 8), 2, 2**62, 2**62) for _ in range(2))
    mean = rstd = np.zeros((0, 2))
    assert fn.group_norm_forward(x, 2).y.shape == x.shape
    assert fn.group_norm_backward(x, x, 2, None, mean, rstd).dx.shape == x.shape
    for norm in (fn.layer_norm, fn.rms_norm, fn.instance_norm):
        assert norm(x, out=y) is y
    assert fn.layer_norm(x, axis=(1, 2), out=y) is y
    assert fn.group_norm(x, 2, out=y) is y


def test_there_may_be_any_number_of_groups() -> None:
    x = strided((MANY, 0), 0, 0)
    assert fn.layer_norm(x).shape == fn.rms_norm(x).shape == x.shape

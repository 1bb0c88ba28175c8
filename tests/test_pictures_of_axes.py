"""The pictures of the documentation show the groups that the operations have."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnorm as fn

FOLDER = Path(__file__).parents[1] / "docs" / "_ext"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="no checkout")

Array = np.ndarray[Any, np.dtype[Any]]
Operation = Callable[[Array], Array]

# Of images (N, C, positions), and of sequences (N, D, L), where they differ.
OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "batch-norm": (lambda x: fn.batch_norm_forward(x).y,),
    "layer-norm": (lambda x: fn.layer_norm(x, axis=(1, 2)), lambda x: fn.layer_norm(x, axis=1)),
    "rms-norm": (lambda x: fn.rms_norm(x, axis=(1, 2)), lambda x: fn.rms_norm(x, axis=1)),
    "group-norm": (lambda x: fn.group_norm(x, 2),),
    "instance-norm": (lambda x: fn.instance_norm(x),),
    "batch-whitening": (lambda x: fn.batch_whitening_forward(x, groups=2).y,),
    "weight-norm": (lambda v: fn.weight_norm(v, np.ones((len(v), 1, 1))),),
    "weight-standardization": (lambda w: fn.weight_standardization(w),),
}


@pytest.fixture(scope="module")
def axes() -> Any:
    pytest.importorskip("matplotlib")
    sys.path.append(str(FOLDER))
    try:
        return importlib.import_module("axes")
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("method", OPERATIONS)
def test_what_is_blue_depends_on_each_other_and_on_nothing_else(method: str, axes: Any) -> None:
    size = (4, 6, 4)
    x = np.random.default_rng(0).normal(size=size)
    blocks, _ = axes.METHODS[method]
    for block, operation in zip(blocks, OPERATIONS[method] * (len(blocks) // len(OPERATIONS[method])), strict=True):
        blue = np.array([[[block.group((i, j, k), size) for k in range(4)] for j in range(6)] for i in range(4)])
        changed = x.copy()
        changed[tuple(np.argwhere(blue)[0])] += 1
        assert np.array_equal(operation(x) != operation(changed), blue)


def test_every_method_has_its_picture(axes: Any) -> None:
    assert set(OPERATIONS) == set(axes.METHODS)

"""Random calls with bad arguments raise or do what they should, and write nothing that they should not."""

import os
import warnings

import pytest

import hostile

CALLS = int(os.environ.get("FASTNORM_HOSTILE_CALLS", "4000"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_calls(part: int) -> None:
    """Set FASTNORM_HOSTILE_CALLS for more, or run ``python tests/hostile.py 1000000``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what NumPy says of NaN and lists is not what this is about
        results = sum(hostile.check_call(seed) for seed in range(part, CALLS, PARTS))
    assert results > 0

"""Random calls with bad arguments raise or do what they should, and write nothing that they should not."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fastnorm as fn
import hostile
from hostile_arguments import SCALARS

CALLS = int(os.environ.get("FASTNORM_HOSTILE_CALLS", "4000"))
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_calls(part: int) -> None:
    """Set FASTNORM_HOSTILE_CALLS for more, or run ``python tests/hostile.py 1000000``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what NumPy says of NaN and lists is not what this is about
        results = sum(hostile.check_call(seed) for seed in range(part, CALLS, PARTS))
    assert results > 0


@pytest.fixture
def settings() -> Iterator[None]:
    """What the process is set to, put back afterwards."""
    threads, megabytes, target = fn.get_num_threads(), fn.get_pool_limit(), fn.simd_target()
    yield
    fn.set_num_threads(threads)
    fn.set_pool_limit(megabytes)
    fn.set_simd_target(target)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("function", [
    fn.set_num_threads, fn.threads, fn.set_pool_limit, fn.set_simd_target, fn.show_config, fn.merge_moments,
])  # fmt: skip
def test_hostile_settings(function: Callable[[Any], Any]) -> None:
    for value in SCALARS:
        try:
            function(value)
        except (ValueError, TypeError) as error:
            assert str(error)  # noqa: PT017

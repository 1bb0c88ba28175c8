"""Docstrings of the modules for other packages have the parts that numpydoc asks for."""

import os

import pytest

from docstring_parts import missing_parts
from peer_packages import PEERS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the packages, at their import


@pytest.mark.parametrize("peer", PEERS)
def test_every_part_is_there(peer: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    for package in PEERS[peer]:
        pytest.importorskip(package)
    assert missing_parts(f"fastnorm.{peer}", subclasses=peer == "torch") == []

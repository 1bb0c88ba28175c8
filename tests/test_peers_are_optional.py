"""What needs another package is imported only on request, and tells which extra to install."""

import subprocess
import sys

import pytest

from peer_packages import PEERS

# Modules of several packages tell at the call.
AT_CALL = {"onnx": "fastnorm.onnx.reference_ops()"}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_fastnorm_imports_no_peer() -> None:
    names = {
        *(module for packages in PEERS.values() for module in packages),
        *(f"fastnorm.{name}" for name in PEERS),
        "fastnorm._peers",
        "ml_dtypes",
    }
    loaded = python("import sys, fastnorm; print(*sys.modules)").split()
    assert not names & set(loaded)


@pytest.mark.parametrize("name", PEERS)
def test_a_missing_peer_names_its_extra(name: str) -> None:
    code = f"""
import sys
sys.modules.update(dict.fromkeys({list(PEERS[name])}))
try:
    import fastnorm.{name}
    {AT_CALL.get(name, "")}
except ImportError as error:
    print(error)
"""
    assert f'pip install "fastnorm-simd[{name}]"' in python(code)

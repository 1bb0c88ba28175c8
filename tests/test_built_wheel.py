"""A wheel that was built for other machines than this one: `make wheel` names it in FASTNORM_TEST_WHEEL."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WHEEL = Path(os.environ.get("FASTNORM_TEST_WHEEL", "."))

pytestmark = [
    pytest.mark.nosanitize,
    pytest.mark.skipif(not WHEEL.is_file(), reason="takes minutes to build: make wheel"),
]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1800, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_it_is_for_every_linux_of_2018_or_later():
    said = run(sys.executable, "-m", "auditwheel", "show", WHEEL).replace("\n", " ")
    tag = re.search(r'consistent with the following platform tag: "manylinux_2_(\d+)_', said)
    assert tag, said
    assert int(tag[1]) <= 28
    libraries = set(re.findall(r"\b(lib[\w+]+)\.so", said))
    assert libraries <= {"libm", "libc", "libpthread", "libdl"}, said


def test_it_holds_the_package_and_no_more():
    assert WHEEL.stat().st_size < 3_000_000
    with zipfile.ZipFile(WHEEL) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    inside = {name.removeprefix("fastnorm/") for name in names if name.startswith("fastnorm/")}
    package = ROOT / "python" / "fastnorm"
    sources = {
        str(path.relative_to(package)) for path in package.rglob("*") if path.suffix in (".py", ".pyi", ".typed")
    }
    [extension] = inside - sources
    assert re.fullmatch(r"_core\.\S+\.so", extension)
    assert sources <= inside
    assert {name.split("/")[0] for name in names} == {"fastnorm", f"{WHEEL.name.split('-cp')[0]}.dist-info"}


def test_it_works_in_a_fresh_environment(tmp_path):
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", WHEEL, "pytest", "hypothesis", "ml_dtypes")
    said = run(python, "-W", "error", "-m", "fastnorm", "info", cwd=tmp_path)
    assert re.search(r"AVX2|NEON|BASELINE", said)
    promises = [
        ROOT / "tests" / f"test_{name}.py" for name in ("forward", "backward", "special_values", "sixteen_bits")
    ]
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *promises, cwd=tmp_path)

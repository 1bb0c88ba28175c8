"""The README and the pages under docs/: their Python code runs, their links lead somewhere, their names exist."""

import re
from pathlib import Path

import pytest

import fastnorm as fn

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no checkout")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


# The code on pages about other packages needs these: it runs in tests/peers.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "peers"], ids=lambda page: page.name)
def test_python_code_runs(page: Path) -> None:
    for code in blocks(page, "python"):
        try:
            exec(compile(code, str(page), "exec"), {"__name__": "readme"})
        except ImportError as error:
            if 'pip install "fastnorm-simd[' not in str(error):
                raise
            pytest.skip(str(error))


def test_the_readme_has_code() -> None:
    assert len(blocks(ROOT / "README.md", "python")) >= 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "#")):
            path, _, anchor = target.partition("#")
            assert (page.parent / path).exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.+)$", (page.parent / path).read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


def test_the_operations_of_the_table_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| operation |")[2].partition("\n\n")[0]
    names = {name for name in re.findall(r"`(\w+)`", table) if name != "Whitening"}
    assert len(names) == 36
    assert names <= set(fn.__all__)


def test_the_commands_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = {a or b for a, b in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", page.read_text(), re.MULTILINE)}
        assert named <= targets, page

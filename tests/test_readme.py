"""The README and the pages under docs/: their Python code runs, their links lead somewhere, their names exist.

Nothing here needs a network: of addresses elsewhere it is the form that is looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastnorm as fn

ROOT = Path(__file__).parents[1]
MADE = ROOT / "docs" / "generated"
PAGES = [
    *(path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md") if path.exists()),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if MADE not in path.parents),
]
# What else has addresses in it.
SOURCES = [
    *sorted((ROOT / "python").rglob("*.py")),
    *sorted((ROOT / "cpp" / "include").rglob("*.h")),
    *sorted((ROOT / "examples").rglob("*.py")),
]
# Papers and books by their numbers; repositories and what was reported there; and these three.
ADDRESSES = (
    r"https://arxiv\.org/abs/\d{4}\.\d{4,5}",
    r"https://doi\.org/10\.\d{4,}/[^\s]+",
    r"https://github\.com/[\w.-]+/[\w.-]+(/(issues|pull)/\d+)?",
    r"https://en\.wikipedia\.org/wiki/\w+",
    r"https://keepachangelog\.com/en/1\.1\.0/",
    r"https://semver\.org/spec/v2\.0\.0\.html",
)

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no checkout")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


# The code on pages about other packages needs these: it runs in tests/peers.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "peers"], ids=lambda page: page.name)
def test_python_code_runs(page: Path) -> None:
    names = {"__name__": "readme"}  # a page is one program
    for code in blocks(page, "python"):
        try:
            exec(compile(code, str(page), "exec"), names)
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
                assert anchor in anchors(page.parent / path), target


def anchors(page: Path) -> set[str]:
    """Headings of a page, and of pages that it includes, as they stand in links."""
    text = page.read_text(encoding="utf-8")
    found = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for included in re.findall(r"^```\{include\} (\S+)$", text, re.MULTILINE):
        found |= anchors(page.parent / included)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_roles_lead_somewhere(page: Path) -> None:
    """Links that only the site has: to pages, to functions, to programs of the gallery."""
    for role, target in re.findall(r"\{(doc|func|class|meth)\}`([^`]+)`", page.read_text(encoding="utf-8")):
        target = re.sub(r".*<(.+)>", r"\1", target).lstrip("~")
        if role == "doc" and target.startswith("/generated/gallery/"):
            assert (ROOT / "examples" / "gallery" / f"{target.rpartition('/')[2]}.py").exists(), target
        elif role == "doc":
            path = ROOT / "docs" / target[1:] if target.startswith("/") else page.parent / target
            assert path.with_suffix(".md").exists() or path.with_suffix(".rst").exists(), target
        else:
            value: object = fn
            for name in target.removeprefix("fastnorm.").split("."):
                value = getattr(value, name)


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.name)
def test_addresses_have_forms_that_are_known(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for address in re.findall(r"https?://(?:[^\s()<>\"'`,;|\]]|\([^\s()]*\))+", text):
        assert any(re.fullmatch(form, address.rstrip(".:")) for form in ADDRESSES), address


def test_the_operations_of_the_table_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| operation |")[2].partition("\n\n")[0]
    names = {name for name in re.findall(r"`(\w+)`", table) if name != "Whitening"}
    assert len(names) == 40
    assert names <= set(fn.__all__)


@pytest.mark.skipif(not (ROOT / "docs" / "benchmarks").exists(), reason="no checkout")
def test_the_first_table_has_the_figures_of_the_report() -> None:
    def cells(text: str) -> Iterator[list[str]]:
        for line in text.splitlines():
            if line.startswith("| "):
                yield [cell.strip() for cell in line.strip("|").split("|")]

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.partition("<!-- first table: begin -->")[2].partition("<!-- first table: end -->")[0]
    found = re.search(r"\[one report\]\((.+?)\)", readme)
    assert found
    report = {row[0]: row[1:] for row in cells((ROOT / found[1]).read_text(encoding="utf-8"))}
    rows = [row for row in cells(first) if row[0] in report and row[0] != "---"]
    assert len(rows) >= 10
    for name, numpy, torch, hard, *errors in rows:
        assert [numpy, torch] == [cell.split()[0] for cell in report[name][1:3]]
        if hard:
            assert errors == report[f"{hard}, {name}"][1:4]


def test_the_commands_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = {a or b for a, b in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", page.read_text(), re.MULTILINE)}
        assert named <= targets, page

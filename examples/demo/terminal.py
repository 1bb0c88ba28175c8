"""Tables and progress bars with rich."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import fastnorm

# Tables are about this wide. Where output goes to a file, rich would fold them to 80 columns.
_WIDTH = 140

Column = tuple[str, str]  # heading, and "left" or "right"


def console() -> Console:
    """Return rich's console, wide enough if it is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH)


def table(title: str, columns: Sequence[Column]) -> Table:
    """Return an empty table."""
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, side in columns:
        made.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    return made


@contextlib.contextmanager
def progress(screen: Console, text: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar that goes on by one with every call of what is yielded; the text of the call stands beside it."""
    columns = TextColumn(text), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = False

        def step(description: str) -> None:
            nonlocal begun
            bar.update(task, description=description, advance=1 if begun else 0)
            begun = True

        yield step


def threads(n: int) -> str:
    """Return "1 thread", "2 threads" and so on."""
    return f"{n} thread{'s' * (n != 1)}"


def versions(count: int) -> str:
    """Return a line about what is compared on what."""
    return f"fastnorm {fastnorm.__version__} ({fastnorm.simd_target()}, {threads(count)}), NumPy {np.__version__}"

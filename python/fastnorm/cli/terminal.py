"""Tables and progress bars with rich, which is imported when a command starts."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import __version__, runtime
from .extras import require

# Tables are about this wide. Where output goes to a file, rich would fold them to 80 columns.
_WIDTH = 140

Column = tuple[str, str]  # heading, and "left" or "right"


def console(command: str) -> Any:
    """Return rich's console, wide enough if it is no terminal."""
    found = require(command, "rich.console", "rich").Console()
    return found if found.is_terminal else require(command, "rich.console", "rich").Console(width=_WIDTH)


def table(title: str, columns: Sequence[Column]) -> Any:
    """Return an empty table."""
    box, table_module = require("the table", "rich.box", "rich"), require("the table", "rich.table", "rich")
    made = table_module.Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for heading, side in columns:
        made.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    return made


@contextlib.contextmanager
def progress(screen: Any, text: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar that goes on by one with every call of what is yielded; the text of the call stands beside it."""
    rich = require("the progress bar", "rich.progress", "rich")
    columns = (
        rich.TextColumn(text),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.description}"),
    )
    with rich.Progress(*columns, console=screen, transient=True) as bar:
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
    return f"fastnorm {__version__} ({runtime.simd_target()}, {threads(count)}), NumPy {np.__version__}"

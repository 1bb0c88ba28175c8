"""Draws the pictures of axes.py into docs/generated/figures before pages are read, in both themes."""

from pathlib import Path
from typing import Any

import axes
from sphinx.application import Sphinx


def write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "generated" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for theme in axes.INK:
        pictures = {method: axes.draw(method, theme) for method in axes.METHODS}
        for name, picture in {**pictures, "whitening": axes.whitening(theme)}.items():
            picture.savefig(folder / f"{name}-{theme}.svg", transparent=True, metadata={"Date": None})


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

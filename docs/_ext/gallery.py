"""Settings of sphinx-gallery, and what keeps its output the same from build to build."""

import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]

# Which programs run: all, none, or those whose paths have this in them. The others are only shown.
_ASKED = os.environ.get("FASTNORM_DOCS_GALLERY", "1")

CONFIGURATION = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "generated/gallery",
    "filename_pattern": {"0": r"nothing runs", "1": r"plot_"}.get(_ASKED, _ASKED),
    "ignore_pattern": r"__init__\.py",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 10**6,
    "plot_gallery": True,
    "abort_on_example_error": False,
    "only_warn_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "reference_url": {"fastnorm": None},
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("fastnorm",),
    "default_thumb_file": None,
}


def setup(app: Sphinx) -> dict[str, Any]:
    return {"parallel_read_safe": True, "parallel_write_safe": True}

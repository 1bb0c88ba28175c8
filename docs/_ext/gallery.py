"""Settings of sphinx-gallery, and what keeps its output the same from build to build."""

import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]

CONFIGURATION = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "generated/gallery",
    # FASTNORM_DOCS_GALLERY=0: the programs are shown, and not run.
    "filename_pattern": r"plot_" if os.environ.get("FASTNORM_DOCS_GALLERY", "1") != "0" else r"nothing runs",
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

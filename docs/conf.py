"""Sphinx: `make docs` builds the site into build/docs. What is made while building lies in docs/generated."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.errors import ConfigError

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path += [str(HERE / "_ext"), str(ROOT / "examples"), str(ROOT / "examples" / "peers")]

NEEDED = (
    *("myst_parser", "numpydoc", "pydata_sphinx_theme", "sphinx_gallery", "sphinx_design", "sphinx_copybutton"),
    *("autograd", "dask", "jax", "matplotlib", "onnx", "onnxruntime", "rich", "scipy", "sklearn", "tokenizers"),
)
if missing := [name for name in NEEDED if not find_spec(name)]:
    raise ConfigError(f"the documentation needs {', '.join(missing)}: pip install '.[docs]', or make docs")
if not find_spec("fastnorm"):
    raise ConfigError(
        "the documentation needs fastnorm itself: pip install . (which needs a C++ compiler), or make docs"
    )

os.environ["KERAS_BACKEND"] = "numpy"  # before the import of Keras

import fastnorm  # noqa: E402
import gallery  # noqa: E402

project = "fastnorm"
author = "the fastnorm authors"
copyright = author
version = release = fastnorm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
    "figures_of_axes",
    "gallery",
    "outside_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_*", "figures", "**/sg_execution_times.rst", "sg_execution_times.rst"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}

# --- Markdown ---------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 4
# "py" blocks are shown and not run by the tests; both are Python.
suppress_warnings = ["config.cache"]

# --- formulas: MathJax from the package sphinx-mathjax-offline, no network --------------------------------------------

mathjax_path = "mathjax/tex-chtml.js"

# --- docstrings -------------------------------------------------------------------------------------------------------

default_role = "literal"
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# Classes and functions of modules whose packages are large: documented without them.
autodoc_mock_imports = [name for name in ("keras", "torch") if not find_spec(name)]
numpydoc_show_class_members = False
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(torch|jax|keras|sklearn|dask|onnx|onnxruntime|numpy|np|autograd)\..*"),
    ("py:.*", r"fastnorm\._.*"),
    ("py:.*", r"contextvars|tracemalloc|Module"),  # of Python and PyTorch: there is no network to look them up
]

# --- the gallery: python scripts of examples/gallery, run while building ----------------------------------------------

sphinx_gallery_conf = gallery.CONFIGURATION

# --- looks ------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "fastnorm"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "fastnorm"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "show_prev_next": False,
}
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

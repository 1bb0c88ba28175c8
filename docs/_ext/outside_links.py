"""Links of Markdown pages to what is in the checkout and not on the site go to the pages that stand for it here.

Programs of the gallery go to their pages there. Other files become downloads, which MyST does by itself; folders, and
what has no page, become plain text.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

# The end of the link, and the page that stands for it.
PAGES = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "examples/demo": "command-line",
    "examples/cpp": "cpp",
    "examples/gallery": "generated/gallery/index",
    "examples/peers": "peers/README",
}


class OutsideLinks(SphinxTransform):
    """Resolve them as soon as a page is read: later MyST would warn of them."""

    default_priority = 900

    def apply(self, **kwargs: Any) -> None:
        for kind in (addnodes.pending_xref, addnodes.download_reference):
            for node in list(self.document.findall(kind)):
                if node.get("reftype") == "myst" and node.get("refdomain") != "doc":
                    self._resolve(node)

    def _resolve(self, node: nodes.Element) -> None:
        target = node["reftarget"].rstrip("/")
        page = next((page for end, page in PAGES.items() if target.endswith(end)), None)
        if "examples/gallery/" in target:
            page = f"generated/gallery/{target.rpartition('/')[2].removesuffix('.py')}"
        if page:
            options = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{page}", "refexplicit": True}
            link = addnodes.pending_xref("", *node.children, **options, refdoc=self.env.docname, refwarn=True)
            node.replace_self(link)
        elif isinstance(node, addnodes.pending_xref) and "examples/" in target:
            node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(OutsideLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

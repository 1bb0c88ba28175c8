"""Links of Markdown pages to what is in the checkout but not on the site: README and so on go to their pages here.

Files become downloads, which MyST does by itself; folders, and what has no page, become plain text.
"""

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# The last part of the link, and the page that stands for it.
PAGES = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "examples/demo": "command-line",
    "examples/cpp": "cpp",
    "examples/peers": "peers/README",
}


class OutsideLinks(SphinxPostTransform):
    """Resolve them before MyST looks, which would warn of them."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(addnodes.pending_xref)):
            target = node.get("reftarget", "")
            if node.get("reftype") != "myst" or "#" in target[:1]:
                continue
            page = next((page for end, page in PAGES.items() if target.rstrip("/").endswith(end)), None)
            if page:
                builder = self.app.builder
                address = builder.get_relative_uri(self.env.docname, page)
                node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=address))
            elif target.startswith("../") and "examples/" in target:
                node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(OutsideLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

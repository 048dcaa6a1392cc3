"""A table of contents with a paragraph for each entry: the page's own first words."""

import posixpath
import re
from pathlib import Path

DOCS = Path(__file__).parents[1]


def opening(page):
    """Return the title of a page and its first paragraph, of "Idea" if it has that.

    Parameters
    ----------
    page : str
        Its name, as in a toctree of the first page.
    """
    text = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
    title = re.search(r"^(.+)\n=+$", text, re.M)[1]
    _, _, idea = text.partition("\nIdea\n----\n")
    paragraphs = re.split(r"\n\s*\n", idea or text.partition("==\n")[2])
    words = next(part for part in paragraphs if re.match(r"\n*[^\s.=-]", part))
    words = re.sub(r" ?\[\w+\]_", "", " ".join(words.split()))
    words = re.sub(r":doc:`([^`]*)`", lambda m: _from_the_root(m[1], page), words)
    return title, re.sub(r"[:,]$", " ...", words)


def _from_the_root(link, page):
    """Return a link to a page that is right on other pages too."""
    text, _, target = link.rpartition("<")
    path = posixpath.normpath(
        posixpath.join("/", posixpath.dirname(page), target.rstrip(">"))
    )
    return f":doc:`{text}<{path}>`" if text else f":doc:`{path}`"


def guide(pages, folder, caption):
    """Return the entries as reStructuredText, with a toctree that is not seen."""
    lines = [".. toctree::", "   :hidden:"]
    lines += [f"   :caption: {caption}"] if caption else []
    lines += ["", *(f"   {page}" for page in pages), ""]
    for page in pages:
        title, words = opening(posixpath.join(folder, page))
        lines += [f":doc:`{title} <{page}>`", f"   {words}", ""]
    return "\n".join(lines)


def setup(app):
    """Add the directive ``guide``."""
    from docutils.parsers.rst import directives
    from sphinx.util.docutils import SphinxDirective

    class Guide(SphinxDirective):
        has_content = True
        option_spec = {"caption": directives.unchanged}

        def run(self):
            pages = [line.strip() for line in self.content if line.strip()]
            folder = posixpath.dirname(self.env.docname)
            for page in pages:
                self.env.note_dependency(DOCS / f"{posixpath.join(folder, page)}.rst")
            text = guide(pages, folder, self.options.get("caption"))
            return self.parse_text_to_nodes(text)

    app.add_directive("guide", Guide)
    return {"parallel_read_safe": True}

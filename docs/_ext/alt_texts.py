"""Each picture of a page says in words what it is, thumbnails too."""

from docutils import nodes


def title_beside(image):
    """Return the text of the link that follows a picture: the title of a thumbnail."""
    below = image.next_node(nodes.reference, descend=True, siblings=True)
    return below.astext() if below is not None else ""


def describe_pictures(app, doctree, docname):
    """Give pictures without a text the title that stands beside them."""
    for image in doctree.findall(nodes.image):
        if not image.get("alt", "").strip() and (title := title_beside(image)):
            image["alt"] = f"The picture of: {title}"


def setup(app):
    """Connect to Sphinx."""
    app.connect("doctree-resolved", describe_pictures)
    return {"parallel_read_safe": True}

"""All messages of errors and warnings of the package, read from its source."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "skdfal"
VALUE = "…"  # what differs from one time to the next


def skeleton(node):
    """Return a message with marks in place of its values, or None if it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(skeleton(part) or VALUE for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return VALUE
    if isinstance(node, ast.BinOp) and (left := skeleton(node.left)):
        return left + (skeleton(node.right) or "")  # a suggestion, if there is one
    return None


def _kind_and_message(node):
    """Return what a statement raises, returns or warns of: (kind, message), or None."""
    if isinstance(node, ast.Raise | ast.Return):
        call = node.exc if isinstance(node, ast.Raise) else node.value
        if not isinstance(call, ast.Call):
            return None
        kind = _name(call.func)
        if isinstance(node, ast.Return) and not kind.endswith("Error"):
            return None
    elif isinstance(node, ast.Call) and _name(node.func) in ("warn", "warn_caller"):
        call = node
        kind = ast.unparse(call.args[1]) if len(call.args) > 1 else "UserWarning"
    else:
        return None
    message = skeleton(call.args[0]) if call.args else None
    if message is None or len(message.replace(VALUE, "").split()) < 3:
        return None
    return kind, _one_line(message)


def _name(function):
    return ast.unparse(function).rpartition(".")[2]


def _one_line(text):
    return " ".join(text.split())


def messages():
    """Return {room: [(kind, message), ...]} in the order of the source."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            entry = _kind_and_message(node)
            if entry and entry not in found[room]:
                found[room].append(entry)
    return {room: entries for room, entries in found.items() if entries}


def setup(app):
    """Add the directive ``messages``."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Messages(SphinxDirective):
        """The messages of a room; without one those of all, a part to open for each."""

        optional_arguments = 1

        def run(self):
            if self.arguments:
                entries = messages()[self.arguments[0]]
                return [nodes.bullet_list("", *(_item(*entry) for entry in entries))]
            parts = [
                f".. dropdown:: {len(entries)} of `{_module(room)}`\n\n"
                f"   .. messages:: {room}\n"
                for room, entries in messages().items()
            ]
            return self.parse_text_to_nodes("\n".join(parts))

    def _module(room):
        return f"skdfal.{room}".removesuffix(".__init__")

    def _item(kind, message):
        text = [nodes.literal("", kind), nodes.Text(": " + message)]
        return nodes.list_item("", nodes.paragraph("", "", *text))

    class Message(SphinxDirective):
        """One message in the words of the source, and what to do."""

        has_content = True
        required_arguments = 1
        final_argument_whitespace = True

        def run(self):
            term = nodes.term("", "", nodes.literal("", _one_line(self.arguments[0])))
            body = nodes.definition("", *self.parse_content_to_nodes())
            item = nodes.definition_list_item("", term, body)
            return [nodes.definition_list("", item)]

    app.add_directive("message", Message)
    app.add_directive("messages", Messages)
    return {"parallel_read_safe": True}

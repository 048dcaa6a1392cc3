"""Draw the rooms of the package and their imports, from the imports themselves."""

import ast
import functools
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "skdfal"

# Files at the root by the room that they are the door of.
_DOORS = {"__main__": "cli"}
# What is in no room: all of the package, its number, and what everybody imports.
_OUTSIDE = {"__init__", "_public", "_version", "_utils"}


@functools.cache
def imported_modules(path):
    """List (module, names) of what a file imports of the package, functions included.

    ``from skdfal import modal`` is an import of the module ``skdfal.modal``.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}": alias.name for alias in node.names}
            found += [(name, []) for name in names if _is_module(name)]
            if rest := [n for name, n in names.items() if not _is_module(name)]:
                found.append((node.module, rest))
    return [entry for entry in found if entry[0].startswith(f"{PACKAGE.name}.")]


def _is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(path):
    """Return the room that a file of the package is in."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return _DOORS.get(name, name)


def room_of_module(module):
    """Return the room that a module of the package is in, by its full name."""
    name = module.split(".")[1]
    return _DOORS.get(name, name)


def imports_of_rooms():
    """Return for each room the rooms that its files import."""
    graph = {room_of(path): set() for path in PACKAGE.rglob("*.py")}
    for path in PACKAGE.rglob("*.py"):
        modules = [module for module, _ in imported_modules(path)]
        graph[room_of(path)] |= {room_of_module(module) for module in modules}
    return {
        room: others - {room} - _OUTSIDE
        for room, others in graph.items()
        if room not in _OUTSIDE
    }


def height(graph, room):
    """Return how many imports lead down from a room, on the longest way."""
    return max((1 + height(graph, other) for other in graph[room]), default=0)


def depth(graph, room):
    """Return how many imports lead down to a room, on the longest way."""
    above = [other for other in graph if room in graph[other]]
    return max((1 + depth(graph, other) for other in above), default=0)


def without_detours(graph):
    """Leave out imports that follow from others: what a room's imports import too."""

    def below(room):
        return graph[room].union(*(below(other) for other in graph[room]))

    return {
        room: others - set().union(*(below(other) for other in others))
        for room, others in graph.items()
    }


_WIDTH, _HEIGHT, _ROW, _GAP = 110, 34, 64, 40


def drawing():
    """Return the rooms as a picture in SVG: each arrow leads to what is imported."""
    graph = imports_of_rooms()
    place = _places(graph)
    n_columns = 1 + max(column for column, _ in place.values())
    n_rows = 1 + max(row for _, row in place.values())
    width = n_columns * (_WIDTH + _GAP) + _GAP
    bottom = _GAP + n_rows * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + _ROW}"'
        f' width="{width}" height="{bottom + _ROW}" role="img">',
        "<title>The rooms of the package; arrows lead to what is imported</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker>'
        "</defs>",
        f'<rect width="{width}" height="{bottom + _ROW}" fill="#fff"/>',
    ]
    parts += [
        _arrow(place[room], place[other])
        for room, others in sorted(without_detours(graph).items())
        for other in sorted(others)
    ]
    parts += [_box(room, *_corner(place[room]), _WIDTH) for room in sorted(graph)]
    parts.append(_box("_utils, for everybody", _GAP, bottom, width - 2 * _GAP))
    return "\n".join([*parts, "</svg>", ""])


def _places(graph):
    """Return (column, row) of each room: long ways to the left, ends to the right."""
    rows = defaultdict(list)
    for room in sorted(graph, key=lambda r: (-height(graph, r), -len(graph[r]))):
        rows[_row(graph, room)].append(room)
    n_columns = max(sum(bool(graph[room]) for room in rooms) for rooms in rows.values())
    place = {}
    for row, rooms in rows.items():
        inner = [room for room in rooms if graph[room]]
        leaves = [room for room in rooms if not graph[room]]
        first = n_columns if inner else 0
        place |= {room: (i, row) for i, room in enumerate(inner)}
        place |= {room: (first + i, row) for i, room in enumerate(leaves)}
    return place


def _row(graph, room):
    """The row below all that import a room; if none does, above what it imports."""
    is_imported = any(room in others for others in graph.values())
    if is_imported or not graph[room]:
        return depth(graph, room)
    return min(depth(graph, other) for other in graph[room]) - 1


def _corner(place):
    column, row = place
    return _GAP + column * (_WIDTH + _GAP), _GAP + row * _ROW


def _arrow(start, end):
    """An arrow to the next row goes straight, a longer one between the columns."""
    (x, y), (u, v) = _corner(start), _corner(end)
    if end[1] == start[1] + 1:
        way = f"M{x + _WIDTH / 2:g} {y + _HEIGHT}L{u + _WIDTH / 2:g} {v}"
    elif u > x:
        way = f"M{x + _WIDTH} {y + _HEIGHT / 2:g}h{_GAP / 2:g}V{v + _HEIGHT / 2:g}H{u}"
    else:
        side = u if u == x else u + _WIDTH
        way = f"M{x} {y + _HEIGHT / 2:g}h{-_GAP / 2:g}V{v + _HEIGHT / 2:g}H{side}"
    return f'<path d="{way}" fill="none" stroke="#555" marker-end="url(#tip)"/>'


def _box(text, x, y, width):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{_HEIGHT}" rx="5" '
        'fill="#eef4fa" stroke="#0072B2"/>'
        f'<text x="{x + width / 2:g}" y="{y + 22}" text-anchor="middle" '
        f'font-family="sans-serif" font-size="14" fill="#111">{text}</text>'
    )


def write_drawing(path):
    """Write the picture, unless it is there as it should be."""
    text = drawing()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")

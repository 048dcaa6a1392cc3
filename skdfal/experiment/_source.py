"""Tell whether the code behind ``"module:name"`` has changed between two runs."""

import ast
import hashlib
import inspect
import json
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from skdfal._utils._files import write_json
from skdfal.experiment._folder import FolderError

_SOURCES = "sources.json"


def source_digest(name):
    """Return a digest of the code of a name, and of what it uses in its module.

    Comments, docstrings, layout and the rest of the module make no difference. Other
    modules that it imports are not looked into.

    Parameters
    ----------
    name : str
        ``"module:name"`` of a function or class.

    Returns
    -------
    digest : str or None
        64 hexadecimal digits; None if there is no source, as of a compiled module.

    Examples
    --------
    >>> from skdfal.experiment._source import source_digest
    >>> len(source_digest("skdfal.nets:LeNet5"))
    64
    """
    module, _, attribute = name.partition(":")
    try:
        source = inspect.getsource(import_module(module))
    except (OSError, TypeError):
        return None
    statements = defaultdict(list)  # by the names that they define
    for statement in ast.parse(source).body:
        for defined in _defined(statement):
            statements[defined].append(statement)
    used, new = set(), {attribute}
    while new:
        used |= new
        nodes = (n for one in new for s in statements[one] for n in ast.walk(s))
        read = {node.id for node in nodes if isinstance(node, ast.Name)}
        new = (read & statements.keys()) - used
    code = [[one, [_code(s) for s in statements[one]]] for one in sorted(used)]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def _defined(statement):
    """Return the names that a statement of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):  # of an import
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):  # as in an if
            found.add(node.name)
    return found


def _code(statement):
    """Return a statement as code without comments and docstrings."""
    for node in ast.walk(statement):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            node.body = body[1:]
    return ast.unparse(statement)


def _is_text(statement):
    is_constant = isinstance(statement, ast.Expr) and isinstance(
        statement.value, ast.Constant
    )
    return is_constant and isinstance(statement.value.value, str)


def check_sources(folder, names):
    """Raise if a name stands for other code than in earlier runs in a folder.

    Parameters
    ----------
    folder : path-like
        Folder of the experiment, which keeps the digests.
    names : iterable of str
        Strategies, network and data set of this run. Only ``"module:name"`` is looked
        at; ``"+addition"`` is left out.

    Raises
    ------
    FolderError
        If the code of a name has changed.
    """
    path = Path(folder) / _SOURCES
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    own = {name.partition("+")[0] for name in names if ":" in name}
    now = {name: source_digest(name) for name in sorted(own)}
    if changed := [n for n in now if before.get(n, now[n]) != now[n]]:
        raise FolderError(
            f"{folder} holds trials with former code of {', '.join(changed)}. Choose "
            "another folder, give the new code another name, or go back to the former."
        )
    if now.keys() - before.keys():
        write_json(path, before | now)

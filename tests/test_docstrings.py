"""Public docstrings are numpydoc, and complete."""

import ast
import importlib
import inspect
import unicodedata
from pathlib import Path

import pytest

import skdfal
from tests.test_docs import load_extension

numpydoc_validate = pytest.importorskip("numpydoc.validate")
tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")

MODULES = [importlib.import_module(n) for n in load_extension("api_page").MODULES]
SETTINGS = tomllib.loads(
    (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)
EXCLUDED = set(SETTINGS["tool"]["numpydoc_validation"]["checks"]) - {"all"}


PUBLIC = [
    (module, name)
    for module in MODULES
    for name in module.__all__
    if not name.startswith("_") and callable(getattr(module, name))
]
IS_RESULT = {  # named tuples, whose fields are described as attributes
    name
    for module, name in PUBLIC
    if inspect.isclass(getattr(module, name))
    and issubclass(getattr(module, name), tuple)
}


def with_methods():
    for module, name in PUBLIC:
        path = f"{module.__name__}.{name}"
        yield path
        if inspect.isclass(getattr(module, name)):
            methods = vars(getattr(module, name)).items()
            yield from (
                f"{path}.{method}"
                for method, value in methods
                if inspect.isfunction(value) and not method.startswith("_")
            )


@pytest.mark.parametrize("path", sorted(set(with_methods())))
def test_docstring(path):
    ignored = {"PR01"} if path.split(".")[-1] in IS_RESULT else set()
    errors = [
        f"{code}: {text}"
        for code, text in numpydoc_validate.validate(path)["errors"]
        if code not in EXCLUDED | ignored
    ]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, name in PUBLIC if name not in IS_RESULT],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_has_an_example(module, name):
    assert ">>>" in inspect.getdoc(getattr(module, name))


def test_no_escape_was_taken_for_a_control_character():
    """A formula's ``\\beta`` is a backspace and ``eta``, unless the string is raw."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for path in Path(skdfal.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, documented):
                doc = (ast.get_docstring(node) or "").replace("\n", "")
                found = [c for c in doc if unicodedata.category(c) == "Cc"]
                assert not found, f"{path.name}: {found} in {doc[:40]!r}"

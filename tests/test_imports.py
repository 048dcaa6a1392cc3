"""Who may import whom, and what `import skdfal` may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skdfal

PACKAGE = Path(skdfal.__file__).parent


def imported_names(path):
    """Modules that a file imports at its top level."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module


def files_that_import(name):
    return {
        str(path.relative_to(PACKAGE).as_posix())
        for path in PACKAGE.rglob("*.py")
        if any(n == name or n.startswith(name + ".") for n in imported_names(path))
    }


def test_import_loads_no_plots_and_no_solver():
    code = "import sys, skdfal; print([m for m in ('matplotlib', 'ortools') "
    code += "if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr


def test_one_file_imports_what_may_break():
    assert files_that_import("modAL") == {"modal.py"}
    assert files_that_import("sklearn.utils._param_validation") == {
        "_utils/_validation.py"
    }
    assert files_that_import("ortools") == set()
    assert files_that_import("matplotlib") == set()


@pytest.mark.parametrize("name", ["adversarial/_deepfool.py", "nets/_lenet5.py"])
def test_torch_files_know_nothing_of_scikit_learn(name):
    allowed = {"__future__", "math", "numbers", "typing", "torch", "collections"}
    for module in imported_names(PACKAGE / name):
        root = module.split(".")[0]
        assert root in allowed or module in {
            "skdfal._utils._torch",
            "skdfal.nets._layers",
        }


def test_strategies_do_not_import_each_other():
    for path in (PACKAGE / "strategies").glob("_[a-z]*.py"):
        others = {
            n
            for n in imported_names(path)
            if n.startswith("skdfal.strategies._") and not n.endswith("._base")
        }
        allowed = {
            "_dfal_diverse.py",
            "_ceal.py",
            "_base.py",
        }  # built on another one's score
        assert not others or path.name in allowed, (path, others)


def test_every_public_name_is_there():
    for name in skdfal.__all__:
        assert hasattr(skdfal, name), name
    assert len(set(skdfal.__all__)) == len(skdfal.__all__)

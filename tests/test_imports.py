"""Who may import whom, and what `import skdfal` may load."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skdfal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(skdfal.__file__).parent


def imports(tree):
    """Modules that a file, or a part of it, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield node.module


def imported_names(path):
    """Modules that a file imports at its top level."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)


def files_that_import(name, names_of=imported_names):
    return {
        str(path.relative_to(PACKAGE).as_posix())
        for path in PACKAGE.rglob("*.py")
        if any(n == name or n.startswith(name + ".") for n in names_of(path))
    }


def all_imported_names(path):
    """Modules that a file imports anywhere, within functions too."""
    return imports(ast.parse(path.read_text(encoding="utf-8")))


def modules_after(*statements):
    """Modules that a fresh process has loaded after some statements."""
    code = "; ".join([*statements, "import sys", "print(*sys.modules)"])
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(out.stdout.split())


def test_import_loads_no_package_but_torch_scikit_learn_and_skorch():
    needed = "import torch, sklearn, skorch"
    more = modules_after(needed, "import skdfal") - modules_after(needed)
    packages = {name.partition(".")[0] for name in more} - sys.stdlib_module_names
    assert packages <= {"skdfal", "sklearn"}


@pytest.mark.parametrize(
    "name",
    # What takes long or is wanted by few. skorch itself loads tqdm, tabulate and,
    # where it is installed, pandas.
    [
        *("modAL", "ortools", "matplotlib", "zarr", "h5py"),
        *("sklearn.ensemble", "sklearn.linear_model", "sklearn.neighbors"),
        *("skdfal.experiment", "skdfal.datasets", "skdfal.plot", "skdfal.reproduce"),
    ],
)
def test_import_does_not_load(name, loaded):
    assert name not in loaded


@pytest.fixture(scope="module")
def loaded():
    return modules_after("import skdfal")


def test_one_file_imports_what_may_break():
    assert files_that_import("modAL", all_imported_names) == {"modal.py"}
    assert files_that_import("modAL") == set()
    assert files_that_import("sklearn.utils._param_validation") == {
        "_utils/_validation.py"
    }
    assert files_that_import("ortools") == set()
    assert files_that_import("matplotlib") == set()


# Distributions by the name of their module, where the two differ.
DISTRIBUTIONS = {"modAL": "modAL-python", "sklearn": "scikit-learn", "PIL": "pillow"}

# Taken where somebody has installed them, and not asked for otherwise.
OPTIONAL = {"huggingface_hub", "pillow_heif", "safetensors", "timm", "torchvision"}


def declared(requirements):
    """Names of distributions in a list of requirements of `pyproject.toml`."""
    return {re.match(r"[\w.-]+", line)[0].lower() for line in requirements}


def test_every_import_is_declared():
    pyproject = PACKAGE.parent / "pyproject.toml"
    if not pyproject.exists():
        pytest.skip("installed without its sources")
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    known = declared(project["dependencies"]) | declared(extras["plots"])
    known |= declared(extras["pools"]) | declared(extras["label"]) | OPTIONAL
    for path in PACKAGE.rglob("*.py"):
        names = {name.partition(".")[0] for name in all_imported_names(path)}
        names -= sys.stdlib_module_names | {"skdfal", "__future__"}
        wanted = {DISTRIBUTIONS.get(name, name).lower() for name in names}
        assert wanted <= known, (path, wanted - known)


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

"""Who may import whom, and what `import skdfal` may load."""

import ast
import functools
import importlib.util
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


@functools.cache
def statements(path):
    """The imports of a file: those of its top level, and those anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return [node for node in found if node in tree.body], found


def imports(nodes):
    """Modules that some statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, "a relative import"
            yield node.module


def imported_names(path):
    """Modules that a file imports at its top level."""
    return imports(statements(path)[0])


def files_that_import(name, names_of=imported_names):
    return {
        str(path.relative_to(PACKAGE).as_posix())
        for path in PACKAGE.rglob("*.py")
        if any(n == name or n.startswith(name + ".") for n in names_of(path))
    }


def all_imported_names(path):
    """Modules that a file imports anywhere, within functions too."""
    return imports(statements(path)[1])


NEEDED = "torch, sklearn, skorch"
STAGES = (
    *("skdfal", "skdfal.cli", NEEDED, "skdfal._public"),
    *("skdfal.pool", "skdfal.plot", "skdfal.cli._comparison"),
)


@pytest.fixture(scope="module")
def loaded():
    """Modules that a fresh process has loaded after each of some imports."""
    lines = [f"import {stage}; print(*sys.modules)" for stage in STAGES]
    out = subprocess.run(
        [sys.executable, "-c", "\n".join(["import sys; print(*sys.modules)", *lines])],
        capture_output=True,
        text=True,
        check=True,
    )
    found = map(str.split, out.stdout.splitlines())
    stages = ["start", *STAGES]
    return {stage: set(names) for stage, names in zip(stages, found, strict=True)}


def packages(modules):
    found = {name.partition(".")[0] for name in modules}
    return {name for name in found - sys.stdlib_module_names if name[0] != "_"}


@pytest.mark.parametrize("stage", ["skdfal", "skdfal.cli"])
def test_import_and_the_parser_of_the_command_load_nothing(stage, loaded):
    """The help and the errors of the command come in a tenth of a second."""
    assert packages(loaded[stage] - loaded["start"]) == {"skdfal"}


def test_public_names_load_no_package_but_torch_scikit_learn_and_skorch(loaded):
    assert packages(loaded["skdfal._public"] - loaded[NEEDED]) <= {"skdfal", "sklearn"}


@pytest.mark.parametrize(
    "name",
    # What takes long or is wanted by few. skorch itself loads tqdm, tabulate and,
    # where it is installed, pandas.
    [
        *("modAL", "ortools", "matplotlib", "zarr", "h5py", "distributed"),
        *("sklearn.ensemble", "sklearn.linear_model", "sklearn.neighbors"),
        *("skdfal.experiment", "skdfal.datasets", "skdfal.plot", "skdfal.reproduce"),
    ],
)
def test_public_names_do_not_load(name, loaded):
    assert name not in loaded["skdfal._public"]


def test_pools_load_no_pillow_and_nothing_loads_matplotlib(loaded):
    assert "PIL" not in loaded["skdfal.pool"]
    assert "matplotlib" not in loaded["skdfal.cli._comparison"]


def test_one_file_imports_what_may_break():
    assert files_that_import("modAL", all_imported_names) == {"modal.py"}
    assert files_that_import("modAL") == set()
    assert files_that_import("sklearn.utils._param_validation") == {
        "_utils/_validation.py"
    }
    assert files_that_import("distributed", all_imported_names) == {"pool/_dask.py"}
    assert files_that_import("ortools") == set()
    assert files_that_import("matplotlib") == set()


# Distributions by the name of their module, where the two differ.
DISTRIBUTIONS = {
    "skactiveml": "scikit-activeml",
    "modAL": "modAL-python",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
}

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
    for extra in ("completion", "dask", "label", "pools", "skactiveml"):
        known |= declared(extras[extra])
    known |= OPTIONAL
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
            if n.startswith("skdfal.strategies._")
            and not n.endswith(
                (
                    "._base",
                    "._margin_proxy",
                    "._pruned_search",
                    "._typical",
                    "._unit_features",
                    "._adversary",
                )
            )
        }
        allowed = {
            "_dfal_diverse.py",
            "_dfal_plus.py",
            "_ceal.py",
            "_base.py",
        }  # built on another one's score
        assert not others or path.name in allowed, (path, others)


DOCS = PACKAGE.parent / "docs"
needs_checkout = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not there")


@pytest.fixture(scope="module")
def rooms():
    """The module that draws the rooms, which knows their imports."""
    path = DOCS / "_ext" / "rooms.py"
    spec = importlib.util.spec_from_file_location("rooms", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def order():
    """The rooms from the top to the bottom, as contributing.md lists them."""
    page = (DOCS / "contributing.md").read_text(encoding="utf-8")
    table = page.partition("## The rooms")[2].partition("![")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.M)


@needs_checkout
def test_rooms_import_from_rooms_below_alone(rooms, order):
    graph = rooms.imports_of_rooms()
    assert sorted(order) == sorted(graph)
    for room, others in graph.items():
        above = [other for other in others if order.index(other) < order.index(room)]
        assert not above, f"{room} imports {above}, which stand above it"


@needs_checkout
def test_everybody_s_helpers_import_no_room(rooms):
    for path in (PACKAGE / "_utils").rglob("*.py"):
        found = {rooms.room_of_module(name) for name, _ in rooms.imported_modules(path)}
        assert found <= {"_utils"}, path


@needs_checkout
def test_no_two_files_import_each_other(rooms):
    graph = {
        module_name(path): {name for name, _ in rooms.imported_modules(path)}
        for path in PACKAGE.rglob("*.py")
    }
    rank = {}

    def visit(name, way):
        assert name not in way, f"a circle of imports: {' -> '.join([*way, name])}"
        if name not in rank:
            for other in sorted(graph.get(name, ())):
                visit(other, [*way, name])
            rank[name] = len(rank)

    for name in sorted(graph):
        visit(name, [])


def module_name(path):
    """Name by which a file of the package is imported."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@needs_checkout
def test_what_a_room_offers_at_its_door_is_fetched_there(rooms):
    behind = []
    for path in PACKAGE.rglob("*.py"):
        for module, names in rooms.imported_modules(path):
            room = rooms.room_of_module(module)
            is_behind_a_door = module.count(".") > 1 and room != "_utils"
            if is_behind_a_door and room != rooms.room_of(path):
                offered = importlib.import_module(f"skdfal.{room}").__all__
                if found := set(names) & set(offered):
                    behind.append((path.name, module, sorted(found)))
    assert not behind


@needs_checkout
def test_private_names_stay_in_their_room(rooms):
    private = [
        (path.name, module, name)
        for path in PACKAGE.rglob("*.py")
        for module, names in rooms.imported_modules(path)
        if rooms.room_of_module(module) not in ("_utils", rooms.room_of(path))
        for name in names
        if re.match("_[^_]", name)
    ]
    assert not private


@needs_checkout
def test_the_drawing_of_the_rooms_is_that_of_their_imports(rooms):
    drawn = (DOCS / "images" / "rooms.svg").read_text(encoding="utf-8")
    assert drawn == rooms.drawing(), "build the documentation to draw it anew"
    arrows = sum(map(len, rooms.without_detours(rooms.imports_of_rooms()).values()))
    assert drawn.count("marker-end") == arrows


def test_every_public_name_is_there():
    for name in skdfal.__all__:
        assert hasattr(skdfal, name), name
    assert len(set(skdfal.__all__)) == len(skdfal.__all__)
    assert {*skdfal.__all__, "plot", "experiment", "__version__"} <= set(dir(skdfal))
    rooms = {path.name for path in PACKAGE.iterdir() if path.name[0] != "_"}
    rooms = {name.removesuffix(".py") for name in rooms}
    others = {name for name in dir(skdfal) if not name.startswith("__")}
    assert others - {*skdfal.__all__} <= rooms


def test_rooms_and_names_come_as_they_are_asked_for():
    names = {}
    exec("from skdfal import *", names)
    assert set(skdfal.__all__) <= names.keys()
    assert names["dfal"] is skdfal.dfal is skdfal.strategies.dfal
    assert skdfal.experiment is importlib.import_module("skdfal.experiment")
    for name in ("no_such_name", "_no_such_name", "__wrapped__"):
        with pytest.raises(AttributeError, match=f"'skdfal' has no attribute '{name}'"):
            getattr(skdfal, name)

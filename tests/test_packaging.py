"""What leaves the house: distributions that are whole, and work where they arrive."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "examples", "skdfal", "tests")

BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # which setuptools overwrites
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """A source distribution and a wheel, from a copy of the sources without git."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    ignore = shutil.ignore_patterns("__pycache__", "_build", "api", "auto_examples")
    for path in ROOT.iterdir():
        if path.is_dir() and path.name in (*FOLDERS, ".ci"):
            shutil.copytree(path, source / path.name, ignore=ignore)
        elif path.is_file() and path.name != ".git":
            shutil.copy(path, source)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, out], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


@pytest.fixture(scope="module")
def in_sdist(distributions):
    with tarfile.open(distributions["sdist"]) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def in_wheel(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        return set(archive.namelist())


def sources(folder):
    """Files that a distribution should have; caches and pages built are none."""
    made = {"__pycache__", "_build", "api", "auto_examples"}
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not made & set(path.parts)
    }


@pytest.mark.parametrize("folder", ["skdfal", "tests", "examples"])
def test_the_source_distribution_is_whole(folder, in_sdist):
    assert sources(folder) <= in_sdist
    assert sources(folder)


def test_the_source_distribution_has_the_pages(in_sdist):
    suffixes = (".py", ".md", ".rst", ".csv", ".png", ".css", ".html")
    pages = {name for name in sources("docs") if name.endswith(suffixes)}
    assert {name for name in pages if "/teaching/" not in name} <= in_sdist


def test_the_wheel_is_the_package_and_nothing_else(in_wheel):
    package = {name for name in in_wheel if ".dist-info/" not in name}
    assert package == sources("skdfal")
    (licence,) = (name for name in in_wheel if name.endswith("LICENSE"))
    assert "dist-info" in licence


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "LICENSE", "README.md", "CITATION.cff", "pyproject.toml"]
)
def test_the_source_distribution_has_its_papers(name, in_sdist):
    assert name in in_sdist


def test_the_source_distribution_has_nothing_else(in_sdist):
    assert not [name for name in in_sdist if "__pycache__" in name or "_build" in name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_in_a_bare_environment(kind, distributions, tmp_path):
    """Without extras, away from the sources, with packages from the index."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command):
        return subprocess.run(
            [scripts / command[0], *command[1:]],
            capture_output=True, text=True, cwd=tmp_path, env=environment,
        )  # fmt: skip

    constraints = ROOT / ".ci" / "constraints.txt"
    installed = run("pip", "install", "-q", "-c", constraints, distributions[kind])
    assert installed.returncode == 0, installed.stderr
    version = run("python", "-c", "import skdfal; print(skdfal.__version__)").stdout
    assert re.search(rf"-{re.escape(version.strip())}[-.]", distributions[kind].name)
    assert "compare query strategies" in run("skdfal").stdout
    small = ["--trials", "1", "--max-annotations", "20", "--epochs", "2"]
    compared = run("skdfal", "compare", *small, "--jobs", "1")
    assert compared.returncode == 0, compared.stderr
    assert "DFAL" in compared.stdout or "dfal" in compared.stdout
    assert "pip install matplotlib" in compared.stderr
    # What needs an extra names it.
    for command, extra in [
        (("skdfal", "label", "--demo", "--no-browser"), "skdfal[label]"),
        (("skdfal", "--print-completion", "bash"), "skdfal[completion]"),
    ]:
        refused = run(*command)
        assert refused.returncode == 2, refused.stderr
        assert extra in refused.stderr

"""What leaves the house: the source distribution can be tested, documented, read."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def in_sdist(tmp_path_factory):
    """Names of the files of a source distribution, from a copy of the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for path in ROOT.iterdir():
        if path.is_dir() and path.name in {"docs", "examples", "skdfal", "tests"}:
            shutil.copytree(path, source / path.name)
        elif path.is_file():
            shutil.copy(path, source)
    build = "from setuptools import build_meta; import sys; "
    build += "build_meta.build_sdist(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, out], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def sources(folder):
    """Files that the distribution should have; caches and pages built are none."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".rst", ".toml", ".csv", ".png", ".typed"}
        and "_build" not in path.parts
    }


@pytest.mark.parametrize("folder", ["skdfal", "tests", "docs", "examples"])
def test_the_source_distribution_is_whole(folder, in_sdist):
    assert sources(folder) <= in_sdist
    assert sources(folder)


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "LICENSE", "README.md", "CITATION.cff", "pyproject.toml"]
)
def test_the_source_distribution_has_its_papers(name, in_sdist):
    assert name in in_sdist


def test_the_source_distribution_has_nothing_else(in_sdist):
    assert not [name for name in in_sdist if "__pycache__" in name or "_build" in name]

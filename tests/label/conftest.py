"""A folder of pictures, and a project on it."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def forked_trainers(quick_processes):
    """Training begins at once, in a process that has its imports behind it."""


@pytest.fixture
def pictures(tmp_path):
    """Forty pictures, dark and light by turns."""
    from tests.label.projects import write_pictures

    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def project(pictures):
    """A project that trains nothing unless it is told to."""
    from tests.label.projects import make_project

    project = make_project(pictures)
    yield project
    project.close()

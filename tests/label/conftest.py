"""Folders of pictures, and projects on them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="Pillow is not installed (skdfal[label])")
pytest.importorskip("starlette", reason="starlette is not installed (skdfal[label])")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (skdfal[label])")

from PIL import Image

from skdfal.label import Project, Recipe, Store
from skdfal.pool import ImagePool

CLASSES = ("dark", "light")
ROOT = Path(__file__).parents[2]


def write_pictures(folder, n=40, size=16):
    """Dark and light noise, by turns, named by what they are."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels = rng.integers(0, 100, (size, size)) + 155 * (i % 2)
        name = f"{i:05d}-{CLASSES[i % 2]}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    return folder


def truth(name):
    """The class of a picture of :func:`write_pictures`."""
    return name.removesuffix(".png").split("-")[1]


def open_pool(pictures, folder):
    return ImagePool(
        pictures, image_size=16, cache=Path(folder) / "cache", exclude=folder
    )


def make_project(pictures, folder=None, n_instances=10_000, holdout=0.1, **recipe):
    """A project that trains nothing unless it is told to."""
    folder = Path(folder or pictures / "skdfal")
    folder.mkdir(exist_ok=True)
    opener = partial(open_pool, str(pictures), str(folder))
    settings = {"classes": CLASSES, "max_epochs": 2, "strategy": "uncertainty"}
    recipe = Recipe(opener, str(folder), **settings | recipe)
    store = Store(folder / "labels.sqlite")
    return Project(opener(), store, recipe, n_instances=n_instances, holdout=holdout)


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def project(pictures):
    project = make_project(pictures)
    yield project
    project.close()


def wait_until(condition, seconds=60):
    """Wait for what happens in another thread or process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.02)


@contextmanager
def served(pictures, *arguments, **environment):
    """Run ``skdfal label`` in a process of its own; yield its address and process."""
    command = [sys.executable, "-m", "skdfal", "label", str(pictures), "--no-browser"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield address_of(process), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.stdout.close()


def address_of(process):
    said = []
    for line in process.stdout:
        said.append(line)
        if line.strip().startswith("http://"):
            return line.strip()
    raise AssertionError("".join(said))

"""Folders of pictures, projects on them, and the command in a process of its own."""

import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skdfal.cli import main
from skdfal.label import Project, Recipe, Store
from skdfal.pool import ImagePool
from tests.processes import CONTEXT

_WHY = "not installed: python -m pip install 'skdfal[label,tests]'"
Image = pytest.importorskip("PIL.Image", reason=_WHY)
uvicorn = pytest.importorskip("uvicorn", reason=_WHY)
httpx = pytest.importorskip("httpx2", reason=_WHY)  # which the next one needs
testclient = pytest.importorskip("starlette.testclient", reason=_WHY)
server = pytest.importorskip("skdfal.label._server", reason=_WHY)

CLASSES = ("dark", "light")
TOKEN = "a-token-of-some-length"


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


def make_project(
    pictures,
    folder=None,
    n_instances=10_000,
    holdout=0.1,
    say=None,
    budget=0,
    **recipe,
):
    """A project that trains nothing unless it is told to."""
    folder = Path(folder or pictures / "skdfal")
    folder.mkdir(exist_ok=True)
    opener = partial(open_pool, str(pictures), str(folder))
    settings = {"classes": CLASSES, "max_epochs": 2, "strategy": "uncertainty"}
    recipe = Recipe(opener, str(folder), **settings | recipe)
    store = Store(folder / "labels.sqlite")
    options = {"n_instances": n_instances, "holdout": holdout, "say": say}
    options["budget"] = budget
    return Project(opener(), store, recipe, **options)


def wait_until(condition, seconds=60):
    """Wait for what happens in another thread or process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.02)


def stranger_to(project):
    """A client of a project's server, without a browser, that has no token yet."""
    app = server.make_app(project, TOKEN)
    home = "http://127.0.0.1:8765"
    return testclient.TestClient(app, home, raise_server_exceptions=False)


@contextmanager
def client_of(project):
    """One that has come in."""
    with stranger_to(project) as client:
        client.get(f"/?token={TOKEN}")
        yield client


@contextmanager
def serving(project):
    """Serve a project from a thread of this process; yield the address to open."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = server.make_app(project, TOKEN)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/?token={TOKEN}"
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


class Command:
    """``skdfal label`` in a process of its own, which may be killed and begun anew.

    The processes are forked from one that has imported what it takes.
    """

    def __init__(self, pictures, *arguments, **environment):
        self.folder = pictures / "skdfal"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._arguments = ["label", str(pictures), "--no-browser"]
        self._arguments += ["--port", str(self.port), *map(str, arguments)]
        self._environment = environment
        self.start()

    def start(self):
        """Begin, and wait until it answers."""
        self.process = CONTEXT.Process(
            target=_run_command, args=(self._arguments, self._environment)
        )
        self.process.start()
        wait_until(self._answers)

    def _answers(self):
        assert self.process.is_alive(), "The command ended."
        try:
            urllib.request.urlopen(self.home, timeout=5)
        except urllib.error.HTTPError:
            return True  # nobody comes in without the token
        except OSError:
            return False

    @property
    def home(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self):
        token = (self.folder / "token").read_text()
        return f"{self.home}/?token={token}"

    def kill(self):
        """End it as a power cut does."""
        self.process.kill()
        self.process.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def _run_command(arguments, environment):
    os.environ.update(environment)
    sys.exit(main(arguments))

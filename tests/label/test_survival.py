"""Kills, odd files, many files: what is left, and how soon it is there."""

import io
import os
import threading
import time

import numpy as np
import pytest

from skdfal.label import Store
from tests.label.projects import (
    Command,
    Image,
    client_of,
    httpx,
    make_project,
    truth,
    wait_until,
    write_pictures,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")


class Robot:
    """Answers one picture after the other with the truth, and knows what was saved."""

    def __init__(self, command):
        self._client = httpx.Client(base_url=command.home, timeout=10)
        self._client.get(command.address)
        self.confirmed, self.sent = [], []

    def next(self):
        return self._client.get("/api/queue?n=1").json()["pictures"][0]

    def answer(self):
        entry = self.next()
        event = {
            "id": f"{time.time_ns()}",
            "picture": entry["picture"],
            "kind": "label",
            "label": truth(entry["name"]),
            "annotator": "robot",
            "time": time.time(),
        }
        self.sent.append((event["id"], entry["name"]))
        answer = self._client.post("/api/events", json=[event])
        assert answer.json()["saved"] == [event["id"]]
        self.confirmed.append(self.sent[-1])

    def work(self):
        """Until the server is gone."""
        try:
            while True:
                self.answer()
        except httpx.HTTPError:
            return


def check_kills(pictures, n_kills):
    rng = np.random.default_rng(0)
    known = []
    with Command(pictures, "--classes", "dark,light") as command:
        for _ in range(n_kills):
            robot = Robot(command)
            thread = threading.Thread(target=robot.work)
            thread.start()
            wait_until(lambda robot=robot: robot.confirmed)
            time.sleep(rng.uniform(0, 0.3))
            command.kill()
            thread.join()
            before, known = known, read_events(pictures)
            assert known[: len(before)] == before
            assert len(set(known)) == len(known)
            # What was confirmed is there; of what was sent, at most one more.
            new = known[len(before) :]
            assert new in (robot.confirmed, robot.sent)
            # The picture that comes back is the one that was not answered yet.
            command.start()
            there = Robot(command).next()["name"]
            assert there not in {name for _, name in known}
            if robot.sent != new:
                assert there == robot.sent[-1][1]


def read_events(pictures):
    store = Store(pictures / "skdfal" / "labels.sqlite")
    events = [(event.id, event.picture) for event in store.events()]
    store.close()
    return events


def test_kills_of_the_server(tmp_path):
    check_kills(write_pictures(tmp_path / "pictures", n=400), n_kills=3)


@pytest.mark.slow
def test_many_kills_of_the_server(tmp_path):
    check_kills(write_pictures(tmp_path / "pictures", n=4000), n_kills=50)


def test_the_trainer_goes_with_the_server(tmp_path):
    import psutil

    pictures = write_pictures(tmp_path / "pictures")
    arguments = ["--classes", "dark,light", "--net", "tests.label.nets:Sleepy"]
    with Command(pictures, *arguments, "--n-instances", "3") as command:
        robot = Robot(command)
        for _ in range(5):
            robot.answer()
        server = psutil.Process(command.process.pid)
        wait_until(server.children)
        children = server.children()
        command.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive


# Odd files


def odd_pictures(folder):
    """One picture of each odd kind, of the net's size, and two that are none."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif)
    alpha = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
    transparent = rgb.copy()
    transparent.putalpha(alpha)
    transparent.save(folder / "clear.png")
    rgb.quantize(16).save(folder / "palette.png")
    rgb.convert("CMYK").save(folder / "ink.jpg")
    deep = Image.fromarray(rng.integers(0, 65536, (16, 16), dtype=np.uint16))
    deep.save(folder / "deep.png")
    rgb.save(folder / "100% # of spaces ü.png")
    (folder / "sub").mkdir()
    rgb.save(folder / "sub" / "below.png")
    whole = (folder / "clear.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    return folder


def test_what_is_served_is_what_the_net_gets(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"no")
    pictures = odd_pictures(tmp_path / "pictures")
    (pictures / "link.png").symlink_to(tmp_path / "secret.png")
    project = make_project(pictures)
    try:
        with client_of(project) as client:
            wait_until(lambda: {"cut.png", "empty.png"} <= project.pool.broken.keys())

            def asked():
                return client.get("/api/queue?n=50").json()["pictures"]

            wait_until(lambda: len(asked()) == 7)
            for entry in asked():
                answer = client.get(f"/picture/{entry['picture']}")
                seen = np.asarray(Image.open(io.BytesIO(answer.content)))
                row = project.pool.names.index(entry["name"])
                sample = project.pool.take([row])[0].transpose(1, 2, 0)
                np.testing.assert_array_equal(seen, (255 * sample).round())
            broken = client.get("/api/status").json()["broken"]
            assert {"cut.png", "empty.png", "link.png"} <= broken.keys()
    finally:
        project.close()


# Many files


@pytest.mark.slow
def test_ten_thousand_pictures(tmp_path):
    """The first picture is there while the others are still unread."""
    import psutil

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for i in range(10_000):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        large = Image.fromarray(pixels).resize((640, 480))
        large.save(pictures / f"{i:05}-dark-.jpg", quality=60)
    started = time.monotonic()
    with Command(pictures, "--classes", "dark,light") as command:
        robot = Robot(command)
        number = robot.next()["picture"]
        assert robot._client.get(f"/picture/{number}").status_code == 200
        assert time.monotonic() - started < 5
        for _ in range(50):
            robot.answer()
        # The whole of it at the net's size would be 120 MB, as decoded 9 GB.
        assert psutil.Process(command.process.pid).memory_info().rss < 1e9

"""Files are whole or not there, whatever lies in the way; one process holds a lock."""

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from skdfal._utils._files import (
    locked,
    remove_unfinished,
    replacing,
    write_npz,
    write_text,
)
from tests.processes import run_in_another_process

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and modes")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "π\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xcf\x80\n"
    assert names(tmp_path / "new") == ["a.txt"]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half of the n", None])
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "results" / "rounds.csv"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left.*results.rounds\.csv"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(path.parent) == ["rounds.csv"]


@posix
def test_what_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        write_text(tmp_path / "file" / "folder" / "a.txt", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["file", "folder"]


def test_a_read_only_disk_names_the_file(tmp_path, monkeypatch):
    """Though removing the unfinished one, which is not there, fails as well."""

    def read_only(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("builtins.open", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(OSError, match=r"Read-only .*/labels\.csv'$"):
        write_text(tmp_path / "labels.csv", "text")


def test_an_error_that_is_not_of_the_disk_is_left_as_it_is(tmp_path):
    """A broken connection says nothing of the file that was to be downloaded."""
    error = ConnectionResetError(errno.ECONNRESET, "reset by peer")
    with pytest.raises(ConnectionResetError) as caught, replacing(tmp_path / "a"):
        raise error
    assert caught.value.filename is None


@posix
def test_links_are_never_written_through(tmp_path):
    victim, folder = tmp_path / "victim", tmp_path / "results"
    folder.mkdir()
    victim.write_text("precious")
    # At the target, and where a name that can be guessed would be written to.
    for name in ("a.txt", f".a.txt.{os.getpid()}"):
        (folder / name).symlink_to(victim)
    write_text(folder / "a.txt", "new")
    assert victim.read_text() == "precious"
    assert (folder / "a.txt").read_text() == "new"
    assert not (folder / "a.txt").is_symlink()


@posix
def test_modes_are_those_of_other_files(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_arrays_are_written_whole(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, x=np.arange(3))

    class Unwritable:
        def __array__(self, *args, **kwargs):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_npz(path, x=np.arange(9), y=Unwritable())
    with np.load(path) as saved:
        np.testing.assert_array_equal(saved["x"], [0, 1, 2])
    assert names(tmp_path) == ["a.npz"]


def write_half_and_die(path):
    with replacing(path) as file:
        file.write(b"half")
        os._exit(9)


def test_what_a_kill_left_is_known_by_its_name(tmp_path):
    for name in ("random-1.csv", "random-10.csv"):
        run_in_another_process(write_half_and_die, tmp_path / name)
    kept = ["notes.part", ".a.part", ".a.1234.part"]
    for name in kept:
        (tmp_path / name).touch()
    assert len(names(tmp_path)) == 5
    remove_unfinished(tmp_path, "random-1.csv")
    assert len(names(tmp_path)) == 4
    remove_unfinished(tmp_path)
    assert names(tmp_path) == sorted(kept)
    remove_unfinished(tmp_path / "that is not there")


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / ".lock"
    with locked(path), pytest.raises(BlockingIOError, match="Another"), locked(path):
        pass
    with locked(path):
        pass


@posix
def test_a_link_in_place_of_a_lock_is_refused(tmp_path):
    victim = tmp_path / "victim"
    (tmp_path / ".lock").symlink_to(victim)
    with pytest.raises(OSError, match="is a link"), locked(tmp_path / ".lock"):
        pass
    assert not victim.exists()


def test_datasets_and_experiments_write_by_the_same_function():
    """One atomic write: no other file of these rooms makes temporary files.

    A download that goes on keeps its part under a name that it finds again.
    """
    root = Path(__file__).parents[1] / "skdfal"
    rooms = ("datasets", "experiment", "reproduce", "_utils")
    writers = {
        path.name
        for room in rooms
        for path in (root / room).glob("*.py")
        if "os.replace" in path.read_text(encoding="utf-8")
        or "mkstemp" in path.read_text(encoding="utf-8")
    }
    assert writers == {"_files.py", "_download.py"}

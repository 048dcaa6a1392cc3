"""Cache of a folder of images: the index of each file name, and decoded pixels.

It has two files: an SQLite index, and the pixels in one ``.npy`` file that grows.
Pixels are on disk before the index lists them, so a kill at any moment costs only work.
Several processes may use one cache at once.
"""

import io
import json
import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

UNREAD, DECODED, BROKEN = range(3)

_VERSION = 1  # of the tables, and of the conversion from file to pixels
_PATIENCE = 60  # seconds to wait for another process

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (
    id INTEGER PRIMARY KEY CHECK (id = 0), version, height, width, mode);
CREATE TABLE IF NOT EXISTS pictures (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    is_there INTEGER NOT NULL DEFAULT 1,
    state INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '');
"""


class Picture(NamedTuple):
    """A row of the index."""

    name: str
    size: int
    mtime_ns: int
    is_there: bool
    state: int
    reason: str

    @property
    def stamp(self):
        """Size and time, which identify the content of the file."""
        return self.size, self.mtime_ns


class PictureCache:
    """The index and the pixels, in a folder of their own.

    Parameters
    ----------
    folder : path-like
        Folder of the cache. It is created if it does not exist.

    Raises
    ------
    ValueError
        If the files there are damaged, or are not a cache.
    OSError
        If the folder cannot be created or written to.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / "pixels.npy"
        self._lock = threading.RLock()
        with self._in_words():
            self._db = sqlite3.connect(
                self.folder / "pictures.sqlite",
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._db.executescript(_TABLES)
            except sqlite3.Error:
                self._db.close()
                raise

    @contextmanager
    def _in_words(self):
        """Turn errors of SQLite into messages that say what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OSError(
                f"The image cache in {self.folder} cannot be written: {error}. Free "
                "some space, or name another folder for it."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"The image cache in {self.folder} cannot be read: {error}. Delete "
                "that folder; the images are then decoded again."
            ) from error

    def close(self):
        """Close the files."""
        with self._lock:
            self._db.close()
            self.pixels = None

    @contextmanager
    def _writing(self):
        """Context manager of a transaction; one process at a time."""
        with self._lock, self._in_words():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # rolled back already if the disk is full
                    self._db.execute("ROLLBACK")
                raise

    # Settings

    @property
    def mode(self):
        """Mode of the cached images, or None."""
        found = self._settings()
        return None if found is None else found[-1]

    def _settings(self):
        with self._lock, self._in_words():
            return self._db.execute(
                "SELECT version, height, width, mode FROM settings"
            ).fetchone()

    def open(self, height, width, mode):
        """Open the pixels of this size; pixels of another size are discarded.

        Images that could not be read before are tried again.
        """
        self._wanted = (_VERSION, height, width, mode)
        self._shape = (1 if mode == "L" else 3, height, width)
        with self._writing():
            if self._settings() != self._wanted or not self._has_pixels():
                self._path.unlink(missing_ok=True)
                self._db.execute("UPDATE pictures SET state = ?", [UNREAD])
                self._db.execute(
                    "INSERT OR REPLACE INTO settings VALUES (0, ?, ?, ?, ?)",
                    self._wanted,
                )
            self._db.execute(
                "UPDATE pictures SET state = ? WHERE state = ?", [UNREAD, BROKEN]
            )

    def _has_pixels(self):
        try:
            pixels = np.load(self._path, mmap_mode="r")
        except (OSError, ValueError, EOFError):  # none, or cut short
            return False
        return pixels.dtype == np.uint8 and pixels.shape[1:] == self._shape

    # The index

    def pictures(self):
        """Return all rows, in the order of their indices."""
        return self._rows("ORDER BY id")

    def pictures_of(self, indices):
        """Return the rows at some indices, by index."""
        given = json.dumps([int(i) for i in indices])
        where = "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return dict(zip(sorted(indices), self._rows(where, given), strict=True))

    def _rows(self, where, *values):
        columns = ", ".join(Picture._fields)
        query = f"SELECT {columns} FROM pictures {where}"
        with self._lock, self._in_words():
            return [Picture(*row) for row in self._db.execute(query, values)]

    def join(self, found):
        """Bring the index up to date with the files that are there.

        Parameters
        ----------
        found : dict of str to (int, int)
            Size and time of each file, by name. New files are added at the end.
        """
        with self._writing():
            self._check_settings()  # or the file would grow by rows of the wrong size
            known = self.pictures()
            names = {picture.name for picture in known}
            changed = [
                (*stamp, UNREAD, i)
                for i, picture in enumerate(known)
                if (stamp := found.get(picture.name, picture.stamp)) != picture.stamp
            ]
            self._db.executemany(
                "UPDATE pictures SET size = ?, mtime_ns = ?, state = ? WHERE id = ?",
                changed,
            )
            self._db.executemany(
                "UPDATE pictures SET is_there = ? WHERE id = ?",
                [
                    (picture.name in found, i)
                    for i, picture in enumerate(known)
                    if picture.is_there != (picture.name in found)
                ],
            )
            new = [name for name in sorted(found) if name not in names]
            self._db.executemany(
                "INSERT INTO pictures (id, name, size, mtime_ns) VALUES (?, ?, ?, ?)",
                [(i, name, *found[name]) for i, name in enumerate(new, len(known))],
            )
            self._make_room(len(known) + len(new))

    # The pixels

    def _make_room(self, n_pictures):
        """Extend the file to one row per image, keeping its content.

        Rows that were never written take no space on most file systems.
        """
        header = self._header(n_pictures)
        row = int(np.prod(self._shape))
        with open(self._path, "r+b" if self._path.exists() else "xb") as file:
            if os.fstat(file.fileno()).st_size < len(header) + n_pictures * row:
                file.truncate(len(header) + n_pictures * row)
                file.write(header)  # last, so that it never promises too many rows
        self.pixels = np.load(self._path, mmap_mode="r")

    def _header(self, n_pictures):
        header = io.BytesIO()  # NumPy leaves room for the first number to grow
        np.lib.format.write_array_header_1_0(
            header,
            {
                "descr": "|u1",
                "fortran_order": False,
                "shape": (n_pictures, *self._shape),
            },
        )
        return header.getvalue()

    def store(self, results):
        """Store the results of reading some files, pixels first.

        Parameters
        ----------
        results : list of (int, (int, int), ndarray or None, str)
            For each file its index, its size and time when read, its pixels or None,
            and the reason if there are none.
        """
        row = int(np.prod(self._shape))
        offset, blank = len(self._header(0)), bytes(row)
        with self._writing():
            self._check_settings()
            # Not through the memory map, which kills the process on a full disk.
            with open(self._path, "r+b") as file:
                for i, _, pixels, _ in results:
                    file.seek(offset + i * row)
                    file.write(blank if pixels is None else pixels.tobytes())
                file.flush()
                os.fsync(file.fileno())
            self._db.executemany(
                "UPDATE pictures SET size = ?, mtime_ns = ?, state = ?, reason = ? "
                "WHERE id = ?",
                [
                    (*stamp, BROKEN if pixels is None else DECODED, reason, i)
                    for i, stamp, pixels, reason in results
                ],
            )

    def forget(self):
        """Discard the pixels of all images, which then count as not read yet."""
        with self._writing():
            self._db.execute(
                "UPDATE pictures SET state = ? WHERE state = ?", [UNREAD, DECODED]
            )
            n_pictures = len(self.pixels)
            self.pixels = None  # or some systems would not delete the file
            self._path.unlink()
            self._make_room(n_pictures)

    def _check_settings(self):
        found = self._settings()
        if found != self._wanted:
            raise OSError(
                f"Another process has opened the cache in {self.folder} for images of "
                f"height, width and mode {found[1:]}, but this one needs "
                f"{self._wanted[1:]}. Give each process its own cache."
            )

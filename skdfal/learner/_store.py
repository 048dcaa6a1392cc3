"""A run in one SQLite file: plain rows and blobs; loading executes no code.

The file belongs to one session at a time. SQLite's exclusive lock, which ends with the
process, keeps others away. Transactions interrupted by a kill are rolled back.
"""

import contextlib
import io
import json
import os
import sqlite3
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import torch

_APPLICATION_ID = 0x736B6466  # "skdf", in the header of the file
_VERSION = 1
_LARGEST_BLOB = 900_000_000  # SQLite takes a little more
_HEADER = 72  # bytes at the start of the file that identify it

# How often to look, every 0.02 s, at a file that another process has just created: for
# half a minute, because a slow disk may take that long to write the first rows.
_LONGEST_WAIT = 1500

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    n_rounds INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sample INTEGER NOT NULL,
    label TEXT
);
CREATE TABLE extras (
    id INTEGER PRIMARY KEY,
    n_rounds INTEGER NOT NULL,
    is_lasting INTEGER NOT NULL,
    arrays BLOB
);
CREATE TABLE rounds (
    number INTEGER PRIMARY KEY, row TEXT NOT NULL, arrays BLOB, weights BLOB
);
CREATE TABLE rankings (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, samples TEXT NOT NULL
);
"""

# Files that this process has open. It must not open one a second time, not even to
# read: on POSIX systems, closing the second would release SQLite's lock on the first.
_IN_USE: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_OPENING = threading.Lock()


class CheckpointError(ValueError):
    """Raised if a file holds another run, is in use, or cannot be read.

    Examples
    --------
    >>> from skdfal.learner import CheckpointError
    >>> issubclass(CheckpointError, ValueError)
    True
    """


class RunStore:
    """The file of one run, open and locked until it is closed.

    Parameters
    ----------
    path : str or path-like
        The file. It is created, with its folders, if it does not exist.
    run : dict of str to str
        Digests of everything that decides the result, by name.
    meta : dict
        JSON values to save with a new run.
    data : int, default=0
        32-bit identifier of the data, by which :func:`data_of` tells runs on different
        data apart without opening the file; 0 if not needed.
    is_of_a_person : bool, default=False
        Whether a person gave the labels, so that no message suggests deleting the file.

    Attributes
    ----------
    meta : dict
        The ``meta`` that was given when the run began.

    Raises
    ------
    CheckpointError
        If the file is not a saved run, holds another run, or is in use. It is left
        unchanged.
    """

    def __init__(self, path, run, meta, data=0, is_of_a_person=False):
        self.path, self.data, self._is_of_a_person = Path(path), data, is_of_a_person
        with _OPENING:
            _check_is_free(self.path)
            _check_is_ours(self.path)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(
                    self.path, timeout=0, isolation_level=None, check_same_thread=False
                )
            except OSError as exc:
                raise CheckpointError(f"{self.path} cannot be written: {exc}.") from exc
            except sqlite3.Error as exc:
                raise _error(self.path, exc) from exc
            try:
                with self._reading():
                    self._open(run, meta)
            except BaseException:
                self._db.close()
                raise
            weakref.finalize(self, self._db.close)  # in case it is never closed
            self._process = os.getpid()
            self._place = self.path.absolute()  # the working folder may change
            self._identity = _identity_of(self._place)
            _IN_USE[self._identity] = self

    def _open(self, run, meta):
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")  # held until the file is closed
        if self.path.is_symlink():
            raise sqlite3.DatabaseError("it has become a symbolic link")
        tables = self._db.execute("SELECT name FROM sqlite_master").fetchall()
        if tables:
            self._db.execute("COMMIT")
            self._check_run(run)
        else:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {self.data - 2**31}")
            values = {"version": _VERSION, "run": run, "meta": meta}
            self._db.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in values.items()],
            )
            self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.execute("PRAGMA synchronous = EXTRA")
        self.meta = _meta(self._db, "meta")

    def _check_run(self, run):
        _check_version(self.path, self._db)
        if self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("it does not pass SQLite's own check")
        found = _meta(self._db, "run")
        changed = {n for n in found.keys() | run.keys() if found.get(n) != run.get(n)}
        # The device does not change what a network does: labels outlive a GPU.
        changed -= {name for name in changed if name.endswith("__device")}
        # Another estimator has other parameters, which need no mention.
        changed -= {n for n in changed for of in changed if n.startswith(f"{of}__")}
        names = ", ".join(sorted(changed))
        if changed and self._is_of_a_person:
            raise CheckpointError(
                f"{self.path} belongs to a session with different {names}. Go back to "
                "the former values; or give another path and tell the new session the "
                "labels, which LabelingSession.read_labels reads from this file."
            )
        if changed:
            raise CheckpointError(
                f"{self.path} belongs to a run with different {names}."
                " Delete it, give another path, or go back to the former values. If "
                "checkpoint is a folder, it keeps one file per run."
            )

    # Writing

    def add_events(self, n_rounds, kind, samples, labels=None):
        """Add samples told, skipped or retracted after ``n_rounds`` trainings."""
        labels = [None] * len(samples) if labels is None else map(json.dumps, labels)
        rows = [
            (n_rounds, kind, int(i), label)
            for i, label in zip(samples, labels, strict=True)
        ]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO events (n_rounds, kind, sample, label) "
                "VALUES (?, ?, ?, ?)",
                rows,
            )

    def add_ranking(self, number, samples, row):
        """Add samples selected by the network of a round, and update its row."""
        with self._transaction():
            self._insert_ranking(number, samples)
            self._update_row(number, row)

    def add_round(self, number, rows, arrays, extras, weights, ranking, keep):
        """Add a training, completely or not at all.

        Parameters
        ----------
        number : int
            Number of the round.
        rows : list of dict
            Its row of the history, preceded by the updated row of the round before.
        arrays : dict of ndarray
            Arrays that describe the training set.
        extras : list of (bool, dict of ndarray)
            For each augmenter's result, whether it lasts, and its arrays.
        weights : object or None
            Tensors and plain data for ``torch.save``.
        ranking : list of int or None
            The samples selected by the new network.
        keep : int or None
            Number of rounds for which weights and extras for one training are kept. If
            None, all.
        """
        with self._transaction():
            # Ctrl-C may have come after all was written, but before it was noticed.
            self._forget_rounds(number)
            for last in rows[:-1]:
                self._update_row(number - 1, last)
            self._db.executemany(
                "INSERT INTO extras (n_rounds, is_lasting, arrays) VALUES (?, ?, ?)",
                [(number, is_lasting, _pack(extra)) for is_lasting, extra in extras],
            )
            self._db.execute(
                "INSERT INTO rounds VALUES (?, ?, ?, ?)",
                (number, json.dumps(rows[-1]), _pack(arrays), _pack_weights(weights)),
            )
            if ranking is not None:
                self._insert_ranking(number, ranking)
            if keep is not None:
                self._db.execute(
                    "UPDATE rounds SET weights = NULL WHERE number <= ?",
                    [number - keep],
                )
                self._db.execute(
                    "UPDATE extras SET arrays = NULL "
                    "WHERE NOT is_lasting AND n_rounds <= ?",
                    [number - keep],
                )

    def rewind(self, n_rounds, row):
        """Forget everything after training number ``n_rounds``, and update its row."""
        with self._transaction():
            self._forget_rounds(n_rounds)
            self._db.execute("DELETE FROM events WHERE n_rounds >= ?", [n_rounds])
            self._db.execute("DELETE FROM rankings WHERE number >= ?", [n_rounds - 1])
            self._update_row(n_rounds - 1, row)

    # Reading

    def events(self):
        """Return all events (n_rounds, kind, sample, label), in order."""
        with self._reading():
            return _events(self._db)

    def history(self):
        """Return the rows of the history."""
        query = "SELECT row FROM rounds ORDER BY number"
        with self._reading():
            return [json.loads(row) for (row,) in self._db.execute(query)]

    def extras(self):
        """Return a dict of arrays per result of an augmenter, empty if forgotten."""
        query = "SELECT arrays FROM extras ORDER BY id"
        with self._reading():
            return [_unpack(arrays) for (arrays,) in self._db.execute(query)]

    def rankings(self, number):
        """Return the lists of samples selected by the network of a round."""
        query = "SELECT samples FROM rankings WHERE number = ? ORDER BY id"
        with self._reading():
            return [
                json.loads(samples) for (samples,) in self._db.execute(query, [number])
            ]

    def training(self, number):
        """Return the arrays that describe the training set of a round."""
        with self._reading():
            return _unpack(self._of_round("arrays", number))

    def weights(self, number):
        """Return the weights of a round, or None if there are none."""
        with self._reading():
            blob = self._of_round("weights", number)
            if blob is None:
                return None
            return torch.load(io.BytesIO(blob), weights_only=True, map_location="cpu")

    def close(self):
        """Close the file, so that others may open it."""
        with _OPENING:
            self._db.close()
            if _IN_USE.get(self._identity) is self:  # not one opened since
                del _IN_USE[self._identity]

    def _of_round(self, column, number):
        query = f"SELECT {column} FROM rounds WHERE number = ?"
        return self._db.execute(query, [number]).fetchone()[0]

    def _forget_rounds(self, number):
        """Forget the trainings from this one on, but keep the labels told since."""
        self._db.execute("DELETE FROM extras WHERE n_rounds >= ?", [number])
        self._db.execute("DELETE FROM rounds WHERE number >= ?", [number])
        self._db.execute("DELETE FROM rankings WHERE number >= ?", [number])

    def _update_row(self, number, row):
        self._db.execute(
            "UPDATE rounds SET row = ? WHERE number = ?", [json.dumps(row), number]
        )

    def _insert_ranking(self, number, samples):
        self._db.execute(
            "INSERT INTO rankings (number, samples) VALUES (?, ?)",
            (number, json.dumps([int(i) for i in samples])),
        )

    @contextlib.contextmanager
    def _transaction(self):
        if os.getpid() != self._process:
            raise CheckpointError(
                f"{self.path} belongs to the process that opened it, and this is a fork"
                " of that process: if both write to the file, data is lost. Close the "
                "session there before you open it here."
            )
        if self._is_of_a_person:
            self._check_is_there()
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except BaseException as exc:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if isinstance(exc, sqlite3.Error):
                raise _error(self.path, exc) from exc
            raise

    def _check_is_there(self):
        """Raise if what is written would go to a file that nobody finds again."""
        if _identity_of(self._place) != self._identity:
            raise CheckpointError(
                f"{self._place} was deleted, moved or replaced while it was in use, so "
                "nothing more can be saved in it. Move it back; or give another path "
                "to a new session, and tell it the labels_ of this one."
            )

    def _reading(self):
        return _reading(self.path)


def read_labels(path):
    """Return the labels in the file of a run, whatever its parameters were.

    Parameters
    ----------
    path : str or path-like
        The file. It must not be in use.

    Returns
    -------
    labels : dict
        Labels by index, in the order in which they were first told.

    Raises
    ------
    CheckpointError
        If the file does not exist, is not a saved run, or is in use.
    """
    path = Path(path)
    with _OPENING, _reading(path):
        _check_is_free(path)
        _check_is_ours(path)
        if not path.exists():
            raise CheckpointError(
                f"There is no file {path}; give the file of a saved session."
            )
        # Not mode=ro, which could not roll back an interrupted transaction.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as db:
            _check_version(path, db)
            events = _events(db)
    labels = {}
    for _, kind, sample, label in events:
        if kind == "told":
            labels[sample] = label
        else:
            labels.pop(sample, None)
    return labels


def _check_version(path, db):
    version = _meta(db, "version")
    if version > _VERSION:
        raise CheckpointError(
            f"{path} was written by a newer skdfal (format {version}; this version "
            f"reads up to {_VERSION}). Upgrade skdfal, or give another path."
        )


def _meta(db, name):
    query = "SELECT value FROM meta WHERE name = ?"
    return json.loads(db.execute(query, [name]).fetchone()[0])


def _events(db):
    query = "SELECT n_rounds, kind, sample, label FROM events ORDER BY id"
    return [
        (n_rounds, kind, sample, label and json.loads(label))
        for n_rounds, kind, sample, label in db.execute(query)
    ]


@contextlib.contextmanager
def _reading(path):
    """Turn any error caused by a damaged file into a CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as exc:
        raise _error(path, exc) from exc


def _error(path, exc):
    message = str(exc)
    if message == "database is locked":
        return CheckpointError(
            f"{path} is in use by another session, in this or another process. Close "
            "that session (session.close()), or give another path."
        )
    if "closed database" in message:
        return CheckpointError(f"The session on {path} is closed.")
    if "full" in message or "unable to open" in message or "readonly" in message:
        return CheckpointError(f"{path} cannot be written: {message}.")
    return CheckpointError(
        f"{path} is not a readable checkpoint ({message}). Move it away, or give "
        "another path."
    )


def _check_is_free(path):
    if _identity_of(path) in _IN_USE:
        raise _error(path, "database is locked")


def _identity_of(path):
    """Return what identifies a file, whatever path leads to it."""
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def data_of(path):
    """Return the ``data`` of the run in a file, or None while there is no run.

    This also works for a file in use: only its header, which never changes, is read.
    """
    store = _IN_USE.get(_identity_of(path))
    if store is not None:
        return store.data
    with contextlib.suppress(OSError), open(path, "rb") as file:
        header = file.read(_HEADER)
        if _is_ours(header):
            return int.from_bytes(header[60:64], "big", signed=True) + 2**31
    return None


def open_beside(path, run, meta, data):
    """Open the file of a run, or one beside it if it holds a run on other data.

    Parameters
    ----------
    path : str or path-like
        The file.
    run, meta, data : dict, dict, int
        As for :class:`RunStore`.

    Returns
    -------
    store : RunStore
        The open file.
    """
    path = Path(path)
    while True:
        try:
            return RunStore(path, run, meta, data)
        except CheckpointError:
            found = _data_once_there(path)
            if found in (None, data):
                raise
        path = path.with_name(f"{path.stem}-{data:08x}{path.suffix}")


def _data_once_there(path):
    """Return the data identifier of a file, waiting if it is still being created."""
    for _ in range(_LONGEST_WAIT):
        is_being_made = _is_being_made(path)  # first, since it may finish in between
        if (found := data_of(path)) is not None or not is_being_made:
            return found
        time.sleep(0.02)
    return None


def _is_being_made(path):
    return path.is_file() and not path.stat().st_size


def _is_ours(header):
    """Whether a file header is that of a saved run."""
    return (
        header[:16] == b"SQLite format 3\0"
        and int.from_bytes(header[68:72], "big") == _APPLICATION_ID
    )


def _check_is_ours(path):
    """Raise unless the path is free, or holds a file of this format."""
    if path.is_symlink():
        raise CheckpointError(f"{path} is a symbolic link; name the file itself.")
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name a file.")
    if not path.exists():
        return
    if not path.is_file():
        raise CheckpointError(f"{path} is not a regular file; give another path.")
    if not os.path.getsize(path):
        return  # the process was killed before it wrote the first row
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not _is_ours(header):
        raise CheckpointError(
            f"{path} is not a readable skdfal checkpoint, and is left unchanged. Move "
            "it away, or give another path."
        )


def _pack(arrays):
    of_objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if of_objects:
        raise TypeError(
            f"Object arrays ({', '.join(of_objects)}) cannot be saved without pickle. "
            "Pass samples as numbers or strings."
        )
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _unpack(blob):
    if blob is None:
        return {}
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return dict(arrays)


def _pack_weights(weights):
    if weights is None:
        return None
    file = io.BytesIO()
    torch.save(weights, file)
    blob = file.getvalue()
    return blob if len(blob) < _LARGEST_BLOB else None

"""The file of events: an SQLite file to which one process appends.

It is the only complete record of a project; CSV and JSON files are copies.
"""

import contextlib
import json
import os
import sqlite3
import threading

from skdfal.label._event import Event

_APPLICATION_ID = int.from_bytes(b"skda", "big")  # a file of answers
_FIELDS = ", ".join(Event._fields)
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pictures (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    picture TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT,
    annotator TEXT NOT NULL,
    time REAL NOT NULL,
    seconds REAL,
    undoes TEXT
);
CREATE TABLE rounds (number INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""


class StoreError(OSError):
    """Raised if the file of events is damaged, or in use by another process.

    Examples
    --------
    >>> from skdfal.label import Store, StoreError
    >>> try:
    ...     Store("no/such/folder/labels.sqlite")
    ... except StoreError as error:
    ...     print(error)
    no/such/folder/labels.sqlite is not a readable file of labels (unable to open ...).
    """


class NotSavedError(StoreError):
    """Raised if events cannot be written, as on a full disk; none of them is stored.

    Examples
    --------
    >>> from skdfal.label import NotSavedError, StoreError
    >>> issubclass(NotSavedError, StoreError)
    True
    """


class Store:
    """Events in a file; when :meth:`add` returns, they are on the disk.

    Parameters
    ----------
    path : str or path-like
        The file. It is created if it does not exist, and locked until :meth:`close`.

    Raises
    ------
    StoreError
        If another process has the file open, or if it is another kind of file.

    Examples
    --------
    >>> import tempfile
    >>> from skdfal.label import Event, Store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(f"{folder}/labels.sqlite")
    ...     store.add([Event("1", "a.png", "label", "cat")])
    ...     print(len(store.events()))
    ...     store.close()
    1
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except sqlite3.Error as exc:
            self.close()
            raise self._error(exc) from exc
        except StoreError:
            self.close()
            raise

    def _prepare(self):
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = DELETE",
            "synchronous = EXTRA",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        with self._transaction():  # and the lock stays
            (found,) = self._db.execute("PRAGMA application_id").fetchone()
            (n_tables,) = self._db.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone()
            if not n_tables:
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
            elif found != _APPLICATION_ID:
                raise StoreError(
                    f"{self.path} is not a skdfal file of labels, and is left "
                    "unchanged. Name another project folder."
                )

    # Events

    def add(self, events):
        """Append events, all or none of them. Known events are skipped.

        Parameters
        ----------
        events : sequence of Event
            Events in their order.

        Raises
        ------
        NotSavedError
            If they cannot be written.
        """
        marks = ", ".join("?" * len(Event._fields))
        self._write(
            f"INSERT INTO events ({_FIELDS}) VALUES ({marks}) "
            "ON CONFLICT (id) DO NOTHING",
            events,
        )

    def events(self):
        """Return all events.

        Returns
        -------
        events : list of Event
            Events in the order in which they were added.
        """
        rows = self._read(f"SELECT {_FIELDS} FROM events ORDER BY number")
        return [Event(*row) for row in rows]

    # Numbers of pictures

    def numbers(self, names):
        """Return the number of each picture, which never changes.

        Parameters
        ----------
        names : sequence of str
            Names of pictures. New names get new numbers.

        Returns
        -------
        numbers : dict of str to int
            Numbers by name.
        """
        known = dict(self._read("SELECT name, number FROM pictures"))
        new = [(name,) for name in names if name not in known]
        if new:
            self._write("INSERT INTO pictures (name) VALUES (?)", new)
            known = dict(self._read("SELECT name, number FROM pictures"))
        return {name: known[name] for name in names}

    # Rounds and settings

    def add_round(self, row):
        """Append the record of a training.

        Parameters
        ----------
        row : dict
            Numbers, strings, and lists or dicts of these.
        """
        self._write("INSERT INTO rounds (row) VALUES (?)", [(json.dumps(row),)])

    def rounds(self):
        """Return the records of all trainings.

        Returns
        -------
        rows : list of dict
            Records, the oldest first.
        """
        rows = self._read("SELECT row FROM rounds ORDER BY number")
        return [json.loads(row) for (row,) in rows]

    def setting(self, name, default=None):
        """Return a value saved by :meth:`set`.

        Parameters
        ----------
        name : str
            Name of the value.
        default : object, default=None
            Returned if there is no such value.

        Returns
        -------
        value : object
            The value.
        """
        rows = self._read("SELECT value FROM meta WHERE name = ?", [name])
        return json.loads(rows[0][0]) if rows else default

    def set(self, name, value):
        """Save a value.

        Parameters
        ----------
        name : str
            Name of the value.
        value : object
            A number, a string, or a list or dict of these.
        """
        self._write(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(name, json.dumps(value))]
        )

    def close(self):
        """Close the file, and unlock it."""
        if hasattr(self, "_db"):
            self._db.close()

    # SQLite

    def _read(self, query, parameters=()):
        with self._lock:
            try:
                return self._db.execute(query, parameters).fetchall()
            except sqlite3.Error as exc:
                raise self._error(exc) from exc

    def _write(self, statement, rows):
        with self._lock:
            try:
                with self._transaction():
                    self._db.executemany(statement, rows)
            except sqlite3.Error as exc:
                raise NotSavedError(f"{self.path} cannot be written: {exc}.") from exc

    @contextlib.contextmanager
    def _transaction(self):
        self._db.execute("BEGIN EXCLUSIVE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back
                self._db.execute("ROLLBACK")
            raise

    def _error(self, exc):
        if "locked" in str(exc):
            return StoreError(
                f"{self.path} is in use: another skdfal label is running in this "
                "folder. Open its page, or stop it first."
            )
        return StoreError(f"{self.path} is not a readable file of labels ({exc}).")

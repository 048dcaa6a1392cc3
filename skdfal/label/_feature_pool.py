"""Features of pictures, computed once and kept with the decoded pixels."""

import hashlib
import sqlite3
from contextlib import closing, contextmanager

import numpy as np

from skdfal.pool import Pool

_BATCH = 32  # pictures seen before their features are on the disk
_PATIENCE = 60  # seconds to wait for another process

_TABLE = """
CREATE TABLE IF NOT EXISTS features (
    name TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    vector BLOB NOT NULL, PRIMARY KEY (name, size, mtime_ns)) WITHOUT ROWID;
"""


class FeaturePool(Pool):
    """The features that a backbone gives to pictures, computed on first use.

    They are kept in the cache of the pictures, in one file per backbone, so that the
    next pool with the same cache need not compute them again.

    Parameters
    ----------
    pool : ImagePool
        The pictures.
    backbone : Backbone
        The network that computes the features.
    """

    is_in_memory = False
    dtype = np.dtype(np.float32)

    def __init__(self, pool, backbone):
        self.pool, self.backbone = pool, backbone
        self.sample_shape = (backbone.n_features,)
        self._weights = backbone.digest()
        seen = f"{self._weights} {pool.mode} {pool.image_size}"
        digest = hashlib.sha256(seen.encode()).hexdigest()
        self._path = pool.cache / f"features-{digest[:16]}.sqlite"
        self._known = self._read()  # content of a picture: its features

    def __len__(self):
        return len(self.pool)

    def __reduce__(self):
        return type(self), (self.pool, self.backbone)

    def take(self, indices):
        """Return the features of some pictures.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        X : ndarray of float32, shape (n_samples, n_features)
            Their features.
        """
        contents = self.pool.contents(indices)
        unknown = {
            content: i
            for content, i in zip(contents, indices, strict=True)
            if content not in self._known
        }
        for start in range(0, len(unknown), _BATCH):
            self._learn([*unknown.items()][start : start + _BATCH])
        X = np.empty((len(contents), *self.sample_shape), self.dtype)
        for row, content in zip(X, contents, strict=True):
            row[:] = self._known[content]
        return X

    def _learn(self, unknown):
        contents, indices = zip(*unknown, strict=True)
        seen = self.backbone.features(self.pool.take(indices))
        self._known.update(zip(contents, seen, strict=True))
        # Under the content that was read, because a file may have changed meanwhile.
        # Unreadable pictures are left out, as they may be readable the next time.
        read, available = self.pool.contents(indices), self.pool.available
        self._write(
            (*content, row.tobytes())
            for content, row, i in zip(read, seen, indices, strict=True)
            if available[i]
        )

    # The file

    @contextmanager
    def _open(self):
        """Open the file; changes are written all or not at all."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as db, db:
                db.execute(_TABLE)
                yield db
        except sqlite3.OperationalError as error:
            raise OSError(
                f"The features in {self._path} cannot be read or written: {error}. "
                "Make room, or name another folder for the cache."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self._path} is damaged: {error}. Delete that file; the features are "
                "then computed again."
            ) from error

    def _read(self):
        with self._open() as db:
            rows = db.execute("SELECT name, size, mtime_ns, vector FROM features")
            return {
                tuple(content): np.frombuffer(vector, self.dtype)
                for *content, vector in rows
            }

    def _write(self, rows):
        with self._open() as db:
            db.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)

    def digest(self):
        """Return a hash of the pictures and of the backbone's weights.

        Returns
        -------
        digest : str
            64 hexadecimal digits.
        """
        both = self.pool.digest() + self._weights
        return hashlib.sha256(both.encode()).hexdigest()

"""Files that are written whole or not at all, and lock files.

New content is written to a temporary file next to its target, flushed to the disk, and
then renamed: a kill at any moment leaves the old file or the new one. The temporary
file has a random name and must not exist, so that a link is never followed. A link at
the target is replaced; the file that it points to is not changed.
"""

import csv
import errno
import io
import json
import os
import secrets
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_TOKEN = 8  # random bytes in the name of an unfinished file


@contextmanager
def replacing(path):
    """Open a binary file that replaces ``path`` once it is complete.

    Parameters
    ----------
    path : str or path-like
        The target. Its folder is created if necessary.

    Yields
    ------
    file : binary file
        File to write to.

    Raises
    ------
    OSError
        If the file cannot be written. It names the target, whose former content is
        kept.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(unfinished, "xb") as file:  # x: never an existing file or link
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in OF_THE_DISK or error.filename == str(unfinished):
            error.filename = str(path)  # a full disk does not say which file it was
        raise
    finally:
        with suppress(OSError):  # read-only, which the error above says of the target
            unfinished.unlink(missing_ok=True)


def _sync_folder(folder):
    """Flush the names in a folder to the disk, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path, content):
    """Write a file whole or not at all, and flush it to the disk."""
    with replacing(path) as file:
        file.write(content)


def write_text(path, text):
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path, value):
    """Write a value as JSON that a person can read."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_csv(path, rows, columns=None):
    """Write dicts as CSV, floats with all their digits; all keys by default."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def csv_rows(path, lines, delimiter=","):
    """Yield the rows of a CSV.

    Parameters
    ----------
    path : path-like
        Path of the file, for error messages.
    lines : iterable of str
        Lines with their original line ends.
    delimiter : str, default=","
        Delimiter between cells.

    Yields
    ------
    row : list of str
        Cells of a row.

    Raises
    ------
    ValueError
        If a line is not valid CSV, with its number.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        begin = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:  # of a cell above csv.field_size_limit() most often
            raise ValueError(
                f"{path}, line {begin}: what begins there is no row of a CSV: {exc}. "
                "Look there for a quotation mark that is not closed, or save the file "
                "anew from a spreadsheet."
            ) from exc
        yield row


def write_npz(path, **arrays):
    """Write arrays, compressed, for ``np.load`` without pickle."""
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def remove_unfinished(folder, name=None):
    """Remove unfinished files, left by a kill during writing.

    Call it only while no other process writes there, such as under a lock.

    Parameters
    ----------
    folder : path-like
        The folder, which need not exist.
    name : str, default=None
        Target whose unfinished files are removed. If None, those of all targets.
    """
    target = "*" if name is None else escape(name)
    for path in Path(folder).glob(f".{target}.{'[0-9a-f]' * 2 * _TOKEN}.part"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(path, wait=False):
    """Hold a lock file, which is released when the process ends, however it ends.

    Parameters
    ----------
    path : path-like
        The file. It is created if necessary, and may remain.
    wait : bool, default=False
        Whether to wait while another process holds the lock.

    Raises
    ------
    BlockingIOError
        If another process holds the lock, unless ``wait``.
    OSError
        If the file cannot be created, for instance because there is a link.
    """
    path = Path(path)
    if path.is_symlink():  # which filelock refuses with an obscure message
        raise OSError(f"{path} is a link, which no lock follows. Delete it.")
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(f"Another process holds {path}.") from None
    try:
        yield
    finally:
        lock.release()

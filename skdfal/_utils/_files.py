"""Files that are written whole or not at all, and the lock of who may write.

What is written goes to a file of its own beside its target, onto the disk, and only
then takes the target's place: a kill at any moment leaves the old file or the new one.
The name of that file is drawn at random and must not exist, so that no link that
somebody has laid is ever followed; a link at the target is replaced, and what it
points to is left alone.
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
    """Open a binary file that takes the place of ``path`` once it is complete.

    Parameters
    ----------
    path : str or path-like
        The target; its folder is made where there is none.

    Yields
    ------
    file : binary file
        To write to.

    Raises
    ------
    OSError
        If it cannot be written, with the name of the target, whose former content is
        still there.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(unfinished, "xb") as file:  # x: never what is there, nor by a link
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
    """Have the names in a folder on the disk; some systems cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path, content):
    """Write a file whole or not at all, and have it on the disk before returning."""
    with replacing(path) as file:
        file.write(content)


def write_text(path, text):
    """Write text as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path, value):
    """Write a value as JSON that a person can read."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_csv(path, rows, columns):
    """Write dicts as CSV, floats with all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def csv_rows(path, lines, delimiter=","):
    """Yield the rows of a CSV.

    Parameters
    ----------
    path : path-like
        Of the file, for the message.
    lines : iterable of str
        Its lines, with their ends as they are.
    delimiter : str, default=","
        What stands between cells.

    Yields
    ------
    row : list of str
        Its cells.

    Raises
    ------
    ValueError
        If it is none, with the line.
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
    """Remove what a kill in the middle of a writing has left in a folder.

    Call it only where nobody else writes, such as under the lock.

    Parameters
    ----------
    folder : path-like
        The folder; it need not be there.
    name : str, default=None
        The target whose unfinished files to remove; None is all of them.
    """
    target = "*" if name is None else escape(name)
    for path in Path(folder).glob(f".{target}.{'[0-9a-f]' * 2 * _TOKEN}.part"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(path, wait=False):
    """Hold a lock file, which falls with the process, however it ends.

    Parameters
    ----------
    path : path-like
        The file; it is made, and may stay.
    wait : bool, default=False
        Whether to wait while another process holds it.

    Raises
    ------
    BlockingIOError
        If another process holds it, unless ``wait``.
    OSError
        If it cannot be made, as where there is a link in its place.
    """
    path = Path(path)
    if path.is_symlink():  # filelock would not follow it, nor say so in words
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

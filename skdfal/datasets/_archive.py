"""Data sets that their authors publish as archives with md5 sums.

An archive in the folder named by SKDFAL_DATA is used first, then the arrays in the
cache, then a download. A downloaded archive is saved as arrays in the cache and then
removed. Archives are never unpacked to disk.
"""

import tarfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np

from skdfal._utils._files import locked, replacing
from skdfal._utils._warnings import warn_caller
from skdfal.datasets._base import (
    Arrays,
    absent_error,
    cache_folder,
    check_digest,
    data_folder,
    file_digest,
    to_bunch,
)
from skdfal.datasets._download import download_archive
from skdfal.datasets._npz import read_npz


class Archive(NamedTuple):
    """One file of a data set, with the address where it is published."""

    file: str
    url: str
    md5: str


class ArchivedSet(NamedTuple):
    """A data set of one or several archives.

    ``read`` turns the paths of the archives, one argument each, into arrays and class
    names. Arrays for different parameters, such as an image size, have different values
    of ``name``.
    """

    name: str
    title: str
    archives: tuple
    read: Callable
    descr: str


def fetch(archived, *, data_home, download_if_missing, scaled):
    """Return a Bunch from archives in SKDFAL_DATA, the cache, or a download."""
    arrays, names, source = _find(archived, data_home, download_if_missing)
    return to_bunch(
        arrays,
        target_names=names,
        descr=archived.descr,
        source=source,
        scaled=scaled,
    )


def _find(archived, data_home, download_if_missing):
    placed = _placed(archived)
    if placed:
        for path, archive in zip(placed, archived.archives, strict=True):
            check_digest(path, "md5", archive.md5)
        return *archived.read(*placed), placed[0].parent
    folder = cache_folder(data_home)
    kept = folder / f"{archived.name}.npz"
    if kept.exists():
        try:
            return *read_npz(kept), kept
        except OSError as error:
            if not download_if_missing:
                raise
            warn_caller(f"{error} It will be made again.", UserWarning)
    files = ", ".join(archive.file for archive in archived.archives)
    how_to_place = (
        f"Put {files} into the folder named by the environment variable SKDFAL_DATA."
    )
    if not download_if_missing:
        raise absent_error(archived.title, kept, how_to_place)
    with _alone(folder, archived):
        if not _is_readable(kept):  # otherwise another process was first
            _make(kept, archived, how_to_place)
    return *read_npz(kept), kept


def _is_readable(kept):
    if not kept.exists():
        return False
    with suppress(OSError):
        return bool(read_npz(kept))
    return False


@contextmanager
def _alone(folder, archived):
    """Context manager: wait until no other process downloads these archives."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{archived.archives[0].file}.lock"
    with locked(path, wait=True):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps files that others wait for
                path.unlink()


def _make(kept, archived, how_to_place):
    """Download missing archives, save them as arrays, and remove the archives."""
    paths = [kept.parent / archive.file for archive in archived.archives]
    for path, archive in zip(paths, archived.archives, strict=True):
        # A complete archive may be left over if reading it, or the next one, failed.
        if not path.exists() or file_digest(path, "md5") != archive.md5:
            download_archive(
                archive.url,
                path,
                archive.md5,
                title=archived.title,
                how_to_place=how_to_place,
            )
    _keep(kept, *archived.read(*paths))
    for path in paths:
        path.unlink()


def _placed(archived):
    """Return the paths of the archives in SKDFAL_DATA, or an empty list."""
    root = data_folder()
    if root is None:
        return []
    paths = [root / archive.file for archive in archived.archives]
    missing = [path.name for path in paths if not path.exists()]
    if len(missing) == len(paths):
        return []
    if missing:
        raise FileNotFoundError(
            f"{root} has some files of {archived.title} but lacks "
            f"{', '.join(missing)}. Add them, or remove the others."
        )
    return paths


def _keep(path, arrays, names):
    """Write arrays in the format of `read_npz`, with the channels last."""
    channels_last = {
        part: getattr(arrays, part).transpose(0, 2, 3, 1)
        for part in ("X_train", "X_test")
    }
    with replacing(path) as file:
        np.savez(
            file,
            **arrays._asdict() | channels_last,
            class_names=np.array(names, dtype=str),
        )


def members(path, names):
    """Return the contents of members of a tar archive, in the order of the names."""
    with tarfile.open(path) as archive:
        try:
            return [archive.extractfile(name).read() for name in names]
        except (KeyError, AttributeError, tarfile.TarError, EOFError) as error:
            raise OSError(
                f"{path} lacks some of {', '.join(names)} ({error!r})."
            ) from error


def split_by_class(X, y):
    """Return shuffled arrays, with a fifth of each class as the test part.

    The draw of a class depends only on its label and its number of samples.
    """
    test = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        of_class = np.flatnonzero(y == label)
        order = np.random.default_rng([0, int(label)]).permutation(of_class)
        test[order[: len(of_class) // 5]] = True
    rng = np.random.default_rng(0)
    train, test = (rng.permutation(np.flatnonzero(part)) for part in (~test, test))
    return Arrays(X[train], y[train], X[test], y[test])

"""Functions shared by all fetchers: where files are, and how they are read and kept.

A fetcher looks in the folder named by the environment variable SKDFAL_DATA, then in
the cache below ``data_home``, then downloads. Arrays stay uint8 until `to_bunch`.
"""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from skdfal._utils._files import replacing
from skdfal._utils._warnings import warn_caller

COMMON_PARAMS = {
    "data_home": [str, os.PathLike, None],
    "download_if_missing": ["boolean"],
    "scaled": ["boolean"],
}


class Arrays(NamedTuple):
    """Images (uint8, n x channels x height x width) and labels, in two parts."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def data_folder():
    """Return the folder named by SKDFAL_DATA, or None if the variable is not set."""
    name = os.environ.get("SKDFAL_DATA")
    if not name:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(
            f"SKDFAL_DATA={name!r} is not a folder. Correct or unset the variable."
        )
    return folder


def cache_folder(data_home):
    """Return the folder of skdfal in scikit-learn's data home."""
    return Path(get_data_home(data_home)) / "skdfal"


def to_bunch(arrays, *, target_names, descr, source, scaled):
    """Return a Bunch of the arrays, with pixels in [0, 1] if ``scaled``."""
    X_train, y_train, X_test, y_test = arrays
    if scaled:
        X_train, X_test = scaled_pixels(X_train), scaled_pixels(X_test)
    return Bunch(
        X_train=X_train,
        y_train=y_train.astype(np.int64),
        X_test=X_test,
        y_test=y_test.astype(np.int64),
        target_names=np.asarray(target_names),
        DESCR=f"{descr.strip()}\n\nThis copy: {source}\n",
        source=str(source),
    )


def scaled_pixels(X):
    """Return float32 pixels in [0, 1], without an intermediate copy."""
    return np.divide(X, 255, dtype=np.float32)


def check_split(title, arrays, image_shape, train_counts, test_counts):
    """Raise an OSError unless shapes and class sizes are as published."""
    for part, X, y, expected in (
        ("training", arrays.X_train, arrays.y_train, train_counts),
        ("test", arrays.X_test, arrays.y_test, test_counts),
    ):
        counts = np.bincount(y, minlength=len(expected)).tolist()
        if X.shape != (sum(expected), *image_shape) or counts != list(expected):
            raise OSError(
                f"The {part} part of {title} has images of shape {X.shape} and labels "
                f"per class {counts}; expected {(sum(expected), *image_shape)} and "
                f"{list(expected)}. The source may have changed its files."
            )


def file_digest(path, algorithm):
    """Return the hexadecimal digest of a file, by an algorithm of `hashlib`."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check_digest(path, algorithm, expected):
    """Raise an OSError naming file and digests unless the file is as published."""
    if path.is_dir():
        raise OSError(
            f"{path} is a folder; expected a file of that name, not unpacked. "
            "Replace or remove it."
        )
    got = file_digest(path, algorithm)
    if got != expected:
        raise OSError(
            f"{path} is damaged or another file: expected {algorithm} {expected}, got "
            f"{got}. Replace or remove it."
        )


def cached(path, download, *, title, how_to_place, download_if_missing):
    """Return the arrays at path; download and save them if missing or damaged."""
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as file:
                return Arrays(**{name: file[name] for name in Arrays._fields})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if not download_if_missing:
                raise OSError(
                    f"The cached file {path} of {title} is damaged ({error}). Remove "
                    "it, or let download_if_missing=True replace it."
                ) from error
            warn_caller(
                f"The cached file {path} of {title} is damaged and will be downloaded "
                "again.",
                UserWarning,
            )
    if not download_if_missing:
        raise absent_error(title, path, how_to_place)
    arrays = download()
    with replacing(path) as file:
        np.savez(file, **arrays._asdict())
    return arrays


def absent_error(title, path, how_to_place):
    """Return the error for files that are missing and may not be downloaded."""
    return FileNotFoundError(
        f"{title} was found neither in {_data_folder_in_words()} nor at {path}, and "
        f"download_if_missing=False. {how_to_place}"
    )


def offline_error(title, url, cause, how_to_place):
    """Return the error for a failed download."""
    return ConnectionError(
        f"{title} could not be downloaded from {url} ({cause}), and is not in "
        f"{_data_folder_in_words()}. Without a connection: {how_to_place}"
    )


def _data_folder_in_words():
    folder = os.environ.get("SKDFAL_DATA")
    return f"SKDFAL_DATA={folder!r}" if folder else "SKDFAL_DATA (which is not set)"

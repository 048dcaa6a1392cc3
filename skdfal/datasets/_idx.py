"""MNIST and similar data sets: idx files in SKDFAL_DATA, or OpenML."""

import gzip
from typing import NamedTuple

import numpy as np

from skdfal.datasets._base import (
    Arrays,
    cache_folder,
    cached,
    check_digest,
    check_split,
    data_folder,
    file_digest,
    to_bunch,
)
from skdfal.datasets._openml import from_openml

# In the order of `Arrays`.
_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_IMAGE_SHAPE = (1, 28, 28)


class IdxSet(NamedTuple):
    """A data set of four idx files that is also on OpenML."""

    name: str
    title: str
    sha256: tuple
    openml_id: int
    train_counts: tuple
    test_counts: tuple
    target_names: tuple
    descr: str


def fetch(idx_set, *, data_home, download_if_missing, scaled):
    """Return a Bunch from idx files in SKDFAL_DATA, the cache, or OpenML."""
    how_to_place = (
        f"Put the files {', '.join(_FILES)} into a folder {idx_set.name}/ and let the "
        "environment variable SKDFAL_DATA name the folder above it."
    )
    folder = _find_idx_folder(idx_set)
    if folder is not None:
        arrays, source = _read_idx_folder(idx_set, folder), folder
    else:
        source = cache_folder(data_home) / f"{idx_set.name}.npz"
        arrays = cached(
            source,
            lambda: from_openml(
                idx_set.openml_id,
                title=idx_set.title,
                image_shape=_IMAGE_SHAPE,
                train_counts=idx_set.train_counts,
                test_counts=idx_set.test_counts,
                data_home=data_home,
                how_to_place=how_to_place,
            ),
            title=idx_set.title,
            how_to_place=how_to_place,
            download_if_missing=download_if_missing,
        )
    return to_bunch(
        arrays,
        target_names=idx_set.target_names,
        descr=idx_set.descr,
        source=source,
        scaled=scaled,
    )


def _find_idx_folder(idx_set):
    """Return the folder of the four files: a subfolder, or SKDFAL_DATA itself."""
    root = data_folder()
    if root is None:
        return None
    if any((root / idx_set.name / file).exists() for file in _FILES):
        return root / idx_set.name
    # All these data sets use the same file names. Files in SKDFAL_DATA itself are used
    # only if one of them has our digest: they may be intact but from another data set.
    for file, digest in zip(_FILES, idx_set.sha256, strict=True):
        if (root / file).exists() and file_digest(root / file, "sha256") == digest:
            return root
    return None


def _read_idx_folder(idx_set, folder):
    missing = [file for file in _FILES if not (folder / file).exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has some files of {idx_set.title} but lacks "
            f"{', '.join(missing)}. Add them, or remove the others."
        )
    for file, digest in zip(_FILES, idx_set.sha256, strict=True):
        check_digest(folder / file, "sha256", digest)
    X_train, y_train, X_test, y_test = (read_idx(folder / file) for file in _FILES)
    arrays = Arrays(X_train[:, None], y_train, X_test[:, None], y_test)
    check_split(
        idx_set.title, arrays, _IMAGE_SHAPE, idx_set.train_counts, idx_set.test_counts
    )
    return arrays


def read_idx(path):
    """Return the array in a gzipped idx file of unsigned bytes.

    The file has two zero bytes, the type (8 for uint8), the number of axes, the length
    of each as a big-endian uint32, and then the values in C order.
    """
    with gzip.open(path) as file:
        content = bytearray(file.read())  # writable, unlike bytes
    n_axes = content[3] if len(content) >= 4 else 0
    start = 4 + 4 * n_axes
    if content[:3] != b"\0\0\x08" or n_axes == 0 or len(content) < start:
        raise OSError(f"{path} is not an idx file of unsigned bytes.")
    shape = tuple(np.frombuffer(content, ">u4", n_axes, offset=4).tolist())
    if len(content) - start != np.prod(shape):
        raise OSError(
            f"{path} announces an array of shape {shape} but holds "
            f"{len(content) - start} values."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)

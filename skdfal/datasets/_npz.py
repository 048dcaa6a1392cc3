"""Read npz files with images that were placed in SKDFAL_DATA."""

import zipfile

import numpy as np

from skdfal.datasets._base import Arrays


def read_npz(path, class_names=None):
    """Return arrays and class names of a file, with channels before height and width.

    The file holds the fields of `Arrays` and ``class_names``, without pickle. Images
    are uint8 of shape (n, height, width) or (n, height, width, channels).
    """
    try:
        # Reading an array checks its CRC in the zip archive.
        with np.load(path, allow_pickle=False) as file:
            arrays = Arrays(**{name: file[name] for name in Arrays._fields})
            names = tuple(file["class_names"].tolist())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise OSError(
            f"{path} is damaged or has the wrong content: expected uint8 arrays "
            f"{', '.join(Arrays._fields)} and class_names, got {error!r}. Replace or "
            "remove it."
        ) from error

    if class_names is not None and names != tuple(class_names):
        raise OSError(f"{path} has class_names {names}; expected {class_names}.")
    for X, y in ((arrays.X_train, arrays.y_train), (arrays.X_test, arrays.y_test)):
        whole = X.dtype == np.uint8 and X.ndim in (3, 4) and y.shape == (len(X),)
        if not whole or y.min(initial=0) < 0 or y.max(initial=0) >= len(names):
            raise OSError(
                f"{path} has images of shape {X.shape} and type {X.dtype} with labels "
                f"of shape {y.shape}; expected uint8 (n, height, width[, channels]) "
                f"and labels from 0 to {len(names) - 1}."
            )
    return arrays._replace(
        X_train=_channels_first(arrays.X_train), X_test=_channels_first(arrays.X_test)
    ), names


def _channels_first(X):
    if X.ndim == 3:
        return X[:, None]
    return np.ascontiguousarray(X.transpose(0, 3, 1, 2))

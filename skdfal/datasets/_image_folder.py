"""A folder of labelled images as a data set, with a random test set."""

import hashlib
import os
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skdfal._utils._validation import COUNT, Interval, StrOptions, validate_params
from skdfal._utils._warnings import warn_caller
from skdfal.datasets._label_table import (
    check_class_folders,
    check_columns,
    labels_of_pictures,
)
from skdfal.pool import ImagePool


@validate_params(
    {
        "folder": [str, os.PathLike],
        "labels": [str, os.PathLike, None],
        "columns": [dict, None],
        "image_size": [COUNT, tuple, list],
        "mode": [StrOptions({"L", "RGB"}), None],
        "n_test": [COUNT, Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "cache": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    folder,
    *,
    labels=None,
    columns=None,
    image_size=64,
    mode=None,
    n_test=0.2,
    random_state=0,
    cache=None,
):
    """Load your own labelled images, with a random test set.

    Labels are either the names of the subfolders, one per class, or entries of a CSV
    file. All images are read into memory and resized to one size.

    Parameters
    ----------
    folder : str or path-like
        Folder of the images, in the formats of :class:`skdfal.pool.ImagePool`.
    labels : str or path-like, default=None
        CSV file with a file and a label in each row. Files are named relative to
        ``folder``, or by a path to them. If None, the label of an image is its
        top-level subfolder: ``cat`` for ``cat/1.jpg`` and for ``cat/old/2.jpg``.
    columns : dict of str to str, default=None
        Names of the columns "file" and "label" in the CSV file, if they are not the
        usual ones, such as ``{"file": "image", "label": "kind"}``.
    image_size : int or tuple of (int, int), default=64
        Height and width of the samples. An image is scaled to fit, keeping its aspect
        ratio, and centred on black.
    mode : {"L", "RGB"}, default=None
        Grey or colour. If None, grey if all images in the folder are grey, and colour
        otherwise.
    n_test : int or float, default=0.2
        Number of images in the test set or, as a float, their proportion.
    random_state : int, RandomState instance or None, default=0
        Controls which images are in the test set.
    cache : str or path-like, default=None
        Folder for decoded pixels, from which later calls and other processes read them.
        If None, the images are decoded in each call.

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (n_samples, n_channels, height, width)
            Images, float32, from 0 (black) to 1 (white), with one or three channels.
        y_train, y_test : ndarray of int64, shape (n_samples,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (n_classes,)
            Names of the classes, sorted.
        files_train, files_test : list of str
            Names of the image files, relative to ``folder``.
        DESCR : str
            The folder, and the number of images in each part.
        source : str
            The folder.
        digest : str
            SHA-256 of pixels, labels and classes, in hexadecimal digits. It is the same
            for the same images, split and size, wherever the folder is.

    Raises
    ------
    ValueError
        If there are no images, or labels of fewer than two classes; if an image has two
        labels in the CSV file, or the file lacks a column; if ``columns`` has other
        keys; if no images would be left to train on; or if subfolders are parts of a
        data set, such as ``train`` and ``test``, or called ``unlabeled``.
    OSError
        If the folder or the CSV file does not exist.
    ImportError
        If Pillow is not installed.

    Warns
    -----
    UserWarning
        If images are left out because they cannot be read or have no label, or rows of
        the CSV file because their images are not in the folder.

    See Also
    --------
    skdfal.pool.ImagePool : A folder of images as a pool, which needs no labels and need
        not fit into memory.
    split_pool : Split the labels of any data set.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skdfal.datasets import load_image_folder
    >>> folder = Path(tempfile.mkdtemp())
    >>> for i in range(10):
    ...     name = folder / ("dark" if i % 2 else "light") / f"{i}.png"
    ...     name.parent.mkdir(exist_ok=True)
    ...     Image.new("L", (30, 20), 25 * i).save(name)
    >>> data = load_image_folder(folder, image_size=16, n_test=3)
    >>> data.X_train.shape, data.X_test.shape, data.target_names.tolist()
    ((7, 1, 16, 16), (3, 1, 16, 16), ['dark', 'light'])
    """
    check_columns(columns)  # at once: opening the folder may take a while
    with ImagePool(folder, image_size=image_size, mode=mode, cache=cache) as pool:
        known, strangers = labels_of_pictures(pool, labels, columns)
        _check_classes(known.values(), pool, labels, strangers)
        rows = {name: i for i, name in enumerate(pool.names)}
        pool.decode([rows[name] for name in known])
        available = pool.available
        files = sorted(name for name in known if available[rows[name]])
        _warn_of_left_out(pool, known, files, strangers, labels)
        _check_classes([known[name] for name in files], pool, labels, strangers)
        target_names, y = np.unique(
            [known[name] for name in files], return_inverse=True
        )
        train, test = _split(len(files), n_test, random_state)
        _warn_of_missing(target_names, y, {"training": train, "test": test})
        X_train, X_test = (
            pool.take([rows[files[i]] for i in part]) for part in (train, test)
        )
    arrays = X_train, y[train], X_test, y[test]
    return Bunch(
        X_train=X_train,
        y_train=y[train].astype(np.int64),
        X_test=X_test,
        y_test=y[test].astype(np.int64),
        target_names=target_names,
        files_train=[files[i] for i in train],
        files_test=[files[i] for i in test],
        DESCR=f"Pictures of {folder}: {len(train)} to train on, {len(test)} to test.",
        source=str(folder),
        digest=_digest(arrays, target_names),
    )


def _check_classes(labels, pool, table, strangers):
    """Raise unless there are two classes, which are not parts of a data set."""
    classes = sorted(set(labels))
    if table is None:
        check_class_folders(pool.folder, classes)
    if len(classes) > 1:
        return
    expected = "one subfolder per class, or labels in a CSV"
    if table is not None:
        expected = f"labels in {table}"
    missing = _some(f"pictures in {table} are not in the folder", strangers)
    raise ValueError(
        f"The readable pictures in {pool.folder} have labels of fewer than two classes "
        f"({', '.join(classes) or 'none'}); expected {expected}."
        f"{missing and f' {missing}.'}"
    )


def _warn_of_left_out(pool, known, files, strangers, table):
    """Say what is not used, and why."""
    refused = set(pool.broken).difference(pool.names)  # by name, link or kind
    broken = sorted(refused.union(known).difference(files))
    unlabelled = sorted(set(pool.names).difference(known))
    parts = [
        _some("unreadable", broken, pool.broken),
        _some("without a label", unlabelled),
        _some(f"in {table}, but not in the folder", strangers),
    ]
    if any(parts):
        warn_caller(
            f"Pictures of {pool.folder} that are left out: "
            f"{'; '.join(filter(None, parts))}.",
            UserWarning,
        )


def _warn_of_missing(target_names, y, parts):
    """Say which classes have no picture in a part."""
    for part, chosen in parts.items():
        missing = target_names[np.setdiff1d(y, y[chosen])].tolist()
        if missing:
            warn_caller(
                f"The {part} set has no picture of {', '.join(missing)}: too few "
                "pictures of a class, or a test set of an unsuitable size. Add "
                "pictures, or change the size of the test set or the random state.",
                UserWarning,
            )


def _some(what, names, reasons=None):
    """Return how many there are and which is the first, or nothing of none."""
    if not names:
        return ""
    reason = (reasons or {}).get(names[0])
    return f"{len(names)} {what}, such as {names[0]}{f' ({reason})' if reason else ''}"


def _split(n_samples, n_test, random_state):
    """Return the positions of training and test samples, each in order."""
    n = n_test if isinstance(n_test, Integral) else max(1, round(n_test * n_samples))
    if n >= n_samples:
        raise ValueError(
            f"n_test={n_test} of {n_samples} labelled pictures leaves none to train "
            "on. Make the test set smaller."
        )
    order = check_random_state(random_state).permutation(n_samples)
    return np.sort(order[n:]), np.sort(order[:n])


def _digest(arrays, target_names):
    digest = hashlib.sha256("\0".join(target_names).encode())
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()

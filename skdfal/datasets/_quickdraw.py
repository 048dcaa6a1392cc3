"""Drawings from the game Quick, Draw!."""

import re
from numbers import Integral
from urllib.parse import quote

import numpy as np

from skdfal._utils._validation import Interval, validate_params
from skdfal._utils._warnings import warn_caller
from skdfal.datasets._base import (
    COMMON_PARAMS,
    Arrays,
    absent_error,
    cache_folder,
    data_folder,
    to_bunch,
)
from skdfal.datasets._download import download
from skdfal.datasets._npz import read_npz

PAPER_CLASSES = ("cat", "face", "angel", "dolphin")
_URL = "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap/{}.npy"
_LOCAL_FILES = ("quickdraw_paper4.npz", "quickdraw15.npz")
_N_PIXELS = 28  # height and width
_SEED = 0  # for the split and the order of the drawings
_HOW_TO_PLACE = (
    "Put Google's bitmaps <class>.npy into a folder quickdraw/ and let the environment "
    "variable SKDFAL_DATA name the folder above it."
)
_DESCR = """
Quick, Draw!: drawings made in a game, grey, 28x28 pixels; here the classes {}.

Data made available by Google, Inc. under CC BY 4.0:
https://github.com/googlecreativelab/quickdraw-dataset
"""


@validate_params(
    {
        "classes": [list, tuple, np.ndarray],
        "n_per_class": [Interval(Integral, 5, None, closed="left"), None],
        **COMMON_PARAMS,
    },
    prefer_skip_nested_validation=True,
)
def fetch_quickdraw(
    classes=PAPER_CLASSES,
    *,
    n_per_class=None,
    data_home=None,
    download_if_missing=True,
    scaled=True,
):
    """Load drawings from Quick, Draw! [1]_, downloading them if necessary.

    The default classes are the four of the DFAL paper [2]_. The drawings come from the
    first of these places that has them, where the first two are in the folder named by
    the environment variable ``SKDFAL_DATA``:

    - Google's bitmaps, ``quickdraw/<class>.npy``;
    - ``quickdraw_paper4.npz`` or ``quickdraw15.npz``, if it has all requested classes;
      these are small samples, of some hundred and some thousand drawings per class;
    - the cache;
    - a download from Google's storage, 90 to 130 MB per class.

    Parameters
    ----------
    classes : sequence of str, default=("cat", "face", "angel", "dolphin")
        Names of at least two classes, in Google's spelling. Their order determines the
        labels.
    n_per_class : int or None, default=None
        Number of drawings per class, training and test set together. If None, all
        drawings. A file in ``SKDFAL_DATA`` with fewer drawings is ignored.
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. Google's
        bitmaps are kept in ``skdfal/quickdraw/`` below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255]. All
        drawings of the four classes take 1.7 GB as float32.

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (n_samples, 1, 28, 28)
            Images, white on black.
        y_train, y_test : ndarray of int64, shape (n_samples,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (n_classes,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the files by hand.
    OSError
        If a file or a download is damaged, or if a file is missing and
        ``download_if_missing=False``.
    ValueError
        If ``classes`` are not two or more distinct names, or ``n_per_class`` exceeds
        the number of drawings.

    See Also
    --------
    fetch_mnist : Digits in the same format.

    Notes
    -----
    Google defines no test set. As in the paper, a fifth of each class (rounded down) is
    used; it is drawn at random, but always the same.

    References
    ----------
    .. [1] D. Ha and D. Eck, "A Neural Representation of Sketch Drawings", 2017.
           https://arxiv.org/abs/1704.03477
    .. [2] M. Ducoffe and F. Precioso, "Adversarial Active Learning for Deep
           Networks: a Margin Based Approach", 2018.
           https://arxiv.org/abs/1802.09841

    Examples
    --------
    >>> from skdfal.datasets import fetch_quickdraw
    >>> drawings = fetch_quickdraw(("cat", "dog"), n_per_class=1000)  # doctest: +SKIP
    >>> drawings.X_train.shape  # doctest: +SKIP
    (1600, 1, 28, 28)
    """
    classes = _check_classes(classes)
    arrays, source = _from_data_folder(classes, n_per_class)
    if arrays is None:
        source = cache_folder(data_home) / "quickdraw"
        bitmaps = [_fetch_class(c, source, download_if_missing) for c in classes]
        arrays = _split_bitmaps(classes, bitmaps, n_per_class)
    return to_bunch(
        _shuffled(arrays),
        target_names=classes,
        descr=_DESCR.format(", ".join(classes)),
        source=source,
        scaled=scaled,
    )


def _check_classes(classes):
    classes = tuple(classes)
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"classes={classes} should be two or more distinct names.")
    for name in classes:
        # The name becomes part of a URL and of a path.
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z -]*", name):
            raise ValueError(
                f"classes has {name!r}, but names consist of letters, spaces and "
                "hyphens, as in 'hot air balloon'."
            )
    return classes


def _from_data_folder(classes, n_per_class):
    """Return arrays from SKDFAL_DATA and their source, or (None, None)."""
    root = data_folder()
    if root is None:
        return None, None
    paths = [root / "quickdraw" / f"{name}.npy" for name in classes]
    if all(path.exists() for path in paths):
        bitmaps = [_read_bitmaps(path) for path in paths]
        return _split_bitmaps(classes, bitmaps, n_per_class), root / "quickdraw"
    for path in (root / file for file in _LOCAL_FILES):
        if path.exists():
            arrays, names = read_npz(path)
            if set(classes) <= set(names):
                arrays = _take_classes(arrays, [names.index(c) for c in classes])
                arrays = _take_per_class(arrays, len(classes), n_per_class)
                if arrays is not None:
                    return arrays, path
    return None, None


def _take_classes(arrays, labels):
    """Return the samples with these labels, relabelled 0, 1, ... in this order."""
    new_label = np.full(max(*labels, arrays.y_train.max(), arrays.y_test.max()) + 1, -1)
    new_label[labels] = np.arange(len(labels))
    y_train, y_test = new_label[arrays.y_train], new_label[arrays.y_test]
    arrays = arrays._replace(y_train=y_train, y_test=y_test)
    return _samples(arrays, y_train >= 0, y_test >= 0)


def _take_per_class(arrays, n_classes, n_per_class):
    """Return the first drawings per class, a fifth for the test, or None if too few."""
    if n_per_class is None:
        return arrays
    n_test = n_per_class // 5
    kept = []
    for y, n in ((arrays.y_train, n_per_class - n_test), (arrays.y_test, n_test)):
        of_class = [np.flatnonzero(y == label)[:n] for label in range(n_classes)]
        if min(map(len, of_class)) < n:
            return None
        kept.append(np.concatenate(of_class))
    return _samples(arrays, *kept)


def _fetch_class(name, folder, download_if_missing):
    """Return Google's bitmaps of a class from the cache, after a download if needed."""
    path, title = folder / f"{name}.npy", f"The class {name!r} of Quick, Draw!"
    if path.exists():
        try:
            return _read_bitmaps(path)
        except OSError as error:
            if not download_if_missing:
                raise
            warn_caller(f"{error} It will be downloaded again.", UserWarning)
    if not download_if_missing:
        raise absent_error(title, path, _HOW_TO_PLACE)
    download(
        _URL.format(quote(name)),
        path,
        title=title,
        how_to_place=_HOW_TO_PLACE,
        if_absent="Check the spelling; https://github.com/googlecreativelab/"
        "quickdraw-dataset lists the classes.",
    )
    return _read_bitmaps(path)


def _read_bitmaps(path):
    """Return the memory-mapped array of an npy file of shape (n, 784)."""
    try:
        bitmaps = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise OSError(f"{path} is damaged ({error}). Replace or remove it.") from error
    if bitmaps.dtype != np.uint8 or bitmaps.shape[1:] != (_N_PIXELS**2,):
        raise OSError(
            f"{path} is not a file of bitmaps: expected uint8 of shape "
            f"(n, {_N_PIXELS**2}), got {bitmaps.dtype} of shape {bitmaps.shape}. "
            "Replace or remove it."
        )
    return bitmaps


def _split_bitmaps(classes, bitmaps, n_per_class):
    """Return arrays, with a random fifth of each class as the test set."""
    parts = []
    for label, (name, rows) in enumerate(zip(classes, bitmaps, strict=True)):
        n_rows = len(rows) if n_per_class is None else n_per_class
        if n_rows > len(rows):
            raise ValueError(
                f"n_per_class={n_per_class} should be <= {len(rows)}, the number of "
                f"drawings of {name!r}."
            )
        # One generator per class: its split does not depend on the other classes.
        order = np.random.default_rng(_SEED).permutation(n_rows)
        X = np.asarray(rows[:n_rows]).reshape(-1, 1, _N_PIXELS, _N_PIXELS)
        y = np.full(n_rows, label)
        test, train = order[: n_rows // 5], order[n_rows // 5 :]
        parts.append((X[train], y[train], X[test], y[test]))
    return Arrays(*map(np.concatenate, zip(*parts, strict=True)))


def _shuffled(arrays):
    """Shuffle the arrays, so that the first samples contain all classes."""
    rng = np.random.default_rng(_SEED)
    train = rng.permutation(len(arrays.y_train))
    test = rng.permutation(len(arrays.y_test))
    return _samples(arrays, train, test)


def _samples(arrays, train, test):
    """Return selected samples of the two parts, in this order."""
    return Arrays(
        arrays.X_train[train],
        arrays.y_train[train],
        arrays.X_test[test],
        arrays.y_test[test],
    )

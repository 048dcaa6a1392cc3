"""The data of an experiment: data sets by name, checked, with a held-out part."""

import copy
import hashlib
from collections.abc import Mapping
from functools import partial

import numpy as np
from sklearn.utils import Bunch

from skdfal import datasets
from skdfal.experiment._names import find
from skdfal.learner._identity import digest

DATASETS = {
    "digits": datasets.load_digits,
    "mnist": datasets.fetch_mnist,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "fashion_shoe_bag": datasets.fetch_fashion_shoe_bag,
    "quickdraw": datasets.fetch_quickdraw,
    "quickdraw_animals": partial(
        datasets.fetch_quickdraw, classes=("bird", "cat", "dog", "fish")
    ),
    "cifar10": datasets.fetch_cifar10,
    "cifar100": datasets.fetch_cifar100,
    "svhn": datasets.fetch_svhn,
    "caltech101": datasets.fetch_caltech101,
    "caltech256": datasets.fetch_caltech256,
    "image_folder": datasets.load_image_folder,
}

_DATA = ("X_train", "y_train", "X_test", "y_test", "target_names")

_last = {"wanted": None, "data": None}  # the data set that was loaded last


def derive_seed(*names):
    """Return a seed that depends only on names.

    Parameters
    ----------
    *names : object
        Purpose of the seed, such as a data set, a network and the number of a trial.

    Returns
    -------
    seed : int
        Seed in [0, 2**31), the same on every machine and in every version.

    Examples
    --------
    >>> from skdfal.experiment import derive_seed
    >>> derive_seed(0, "mnist", "lenet5", 1) == derive_seed(0, "mnist", "lenet5", 1)
    True
    """
    digest = hashlib.sha256("\n".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def load_data(protocol):
    """Load the data set of a protocol, and keep the last one loaded.

    Parameters
    ----------
    protocol : Protocol
        The experiment.

    Returns
    -------
    data : Bunch
        Object with ``X_train``, ``y_train``, ``X_test``, ``y_test`` and
        ``target_names``. If ``n_validation`` is set, the test samples are held-out
        training samples.

    Examples
    --------
    >>> from skdfal.experiment import Protocol, load_data
    >>> load_data(Protocol("digits")).X_train.shape
    (1297, 1, 24, 24)
    """
    names = ("dataset", "dataset_params", "n_validation", "imbalance")
    wanted = [getattr(protocol, name) for name in names]
    if _last["wanted"] != wanted:
        _last.update(data=_load(*wanted), wanted=copy.deepcopy(wanted))
    return _last["data"]


def load_data_anew(protocol):
    """Load the data set of a protocol as it is now, if its files may have changed.

    Parameters
    ----------
    protocol : Protocol
        The experiment.

    Returns
    -------
    data : Bunch
        As of :func:`load_data`, which keeps it; only data with a ``digest`` are loaded
        a second time.
    """
    if _last["data"] is not None and "digest" in _last["data"]:
        _last.update(wanted=None, data=None)
    return load_data(protocol)


def _load(dataset, params, n_validation, imbalance):
    data = find("dataset", dataset, DATASETS)(**params)
    has = data if isinstance(data, Mapping) else {}
    absent = [name for name in _DATA if name not in has]
    if absent:
        raise ValueError(
            f"dataset={dataset!r} returned a {type(data).__name__} without "
            f"{', '.join(absent)}. It should return a Bunch with {', '.join(_DATA)}."
        )
    data = Bunch(**data)
    _check_samples(data, dataset)
    if ":" in dataset and "digest" not in data:  # of one's own, which may change
        data.digest = digest([data[name] for name in _DATA], dataset)
    if n_validation is not None:
        data = _with_validation(data, dataset, n_validation)
    if imbalance > 1:
        data.X_train, data.y_train = datasets.make_imbalanced(
            data.X_train, data.y_train, imbalance
        )
    return data


def _check_samples(data, dataset):
    """Raise unless samples are arrays, and labels are indices into ``target_names``."""
    n_classes = len(data.target_names)
    for part in ("train", "test"):
        X, y = data[f"X_{part}"], data[f"y_{part}"]
        # Data frames and Series would be indexed by label, not by position.
        are_arrays = isinstance(X, np.ndarray) and isinstance(y, np.ndarray)
        if not are_arrays or y.shape != X.shape[:1]:
            raise ValueError(
                f"dataset={dataset!r} returned X_{part}, a {type(X).__name__} of shape "
                f"{np.shape(X)}, and y_{part}, a {type(y).__name__} of {np.shape(y)}. "
                "They should be NumPy arrays with one label per sample."
            )
        if y.dtype.kind not in "iu" or not ((y >= 0) & (y < n_classes)).all():
            raise ValueError(
                f"dataset={dataset!r} returned y_{part}={y!r}. Labels should be "
                f"indices into its target_names, integers in [0, {n_classes})."
            )
    shape, shape_of_test = data.X_train.shape[1:], data.X_test.shape[1:]
    if not len(data.X_test) or shape_of_test != shape:
        raise ValueError(
            f"dataset={dataset!r} returned {len(data.X_test)} test samples of shape "
            f"{shape_of_test}. There should be at least one, of the shape {shape} of "
            "the training samples."
        )


def _with_validation(data, dataset, n_validation):
    """Replace the test set by held-out training samples."""
    n_samples = len(data.X_train)
    if n_validation >= n_samples:
        raise ValueError(
            f"n_validation={n_validation} should be < {n_samples}, the number of "
            f"training samples of {dataset}."
        )
    rng = np.random.RandomState(derive_seed(dataset, "validation"))
    order = rng.permutation(n_samples)
    apart, kept = order[:n_validation], order[n_validation:]
    X, y = data.X_train, data.y_train
    return Bunch(
        **data
        | {
            "X_train": X[kept],
            "y_train": y[kept],
            "X_test": X[apart],
            "y_test": y[apart],
        }
    )

"""CIFAR-10, or a part of it."""

from skdfal._utils._validation import validate_params
from skdfal.datasets import _archive, _cifar
from skdfal.datasets._base import COMMON_PARAMS, data_folder, to_bunch
from skdfal.datasets._npz import read_npz

_LOCAL_FILE = "cifar10_subset.npz"
_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_DESCR = """
CIFAR-10: 60,000 colour photographs, 32x32 pixels, ten classes.

Authors: Alex Krizhevsky, Vinod Nair, Geoffrey Hinton, who state no licence and ask for
a citation of A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
technical report, University of Toronto, 2009.
"""


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_cifar10(*, data_home=None, download_if_missing=True, scaled=True):
    """Load CIFAR-10, small colour photographs [1]_, downloading them if necessary.

    The images come from the first of these places that has them:

    - a file ``cifar10_subset.npz`` in the folder named by the environment variable
      ``SKDFAL_DATA``; it may hold fewer images than the original's 50,000 and 10,000;
    - the authors' archive ``cifar-10-binary.tar.gz`` in that folder;
    - the cache;
    - a download of the archive (170 MB). An interrupted download is continued.

    The md5 of the archive is checked, and no pickle is loaded.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/cifar10.npz`` (184 MB) below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (n_samples, 3, 32, 32)
            Images, with red, green and blue along the second axis.
        y_train, y_test : ndarray of int64, shape (n_samples,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (10,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy, which also tells a subset from the full data set.

    Raises
    ------
    ConnectionError
        If it has to be downloaded and cannot; the message says how to place a file
        by hand.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_cifar100 : A hundred classes, in the same format.
    fetch_mnist : Grey images, smaller to download and to train on.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
           technical report, University of Toronto, 2009.
           https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf

    Examples
    --------
    >>> from skdfal.datasets import fetch_cifar10
    >>> cifar10 = fetch_cifar10()  # doctest: +SKIP
    >>> cifar10.X_train.shape[1:]  # doctest: +SKIP
    (3, 32, 32)
    """
    root = data_folder()
    if root is not None and (root / _LOCAL_FILE).exists():
        source = root / _LOCAL_FILE
        arrays, _ = read_npz(source, class_names=_CLASSES)
        return to_bunch(
            arrays, target_names=_CLASSES, descr=_DESCR, source=source, scaled=scaled
        )
    return _archive.fetch(
        _archive.ArchivedSet(
            "cifar10",
            "CIFAR-10",
            (_cifar.CIFAR10,),
            _cifar.read_cifar10,
            _DESCR,
        ),
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )

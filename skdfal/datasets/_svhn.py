"""The Street View House Numbers."""

import numpy as np

from skdfal._utils._validation import validate_params
from skdfal.datasets import _archive
from skdfal.datasets._base import COMMON_PARAMS, Arrays, check_split

_URL = "http://ufldl.stanford.edu/housenumbers/"
_ARCHIVES = tuple(
    _archive.Archive(file, f"{_URL}{file}", md5)
    for file, md5 in (
        ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
        ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
    )
)
_TRAIN_COUNTS = (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659)
_TEST_COUNTS = (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595)
_DESCR = """
SVHN: 99,289 digits cut out of photographs of house numbers, 32x32 pixels in colour, ten
classes of unequal size; neighbouring digits are part of the image.

Authors: Yuval Netzer, Tao Wang, Adam Coates, Alessandro Bissacco, Bo Wu, Andrew Y. Ng,
for non-commercial use.
Reference: Y. Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature
Learning", NIPS Workshop on Deep Learning and Unsupervised Feature Learning, 2011.
"""


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_svhn(*, data_home=None, download_if_missing=True, scaled=True):
    """Load the Street View House Numbers, digits in photographs [1]_.

    The images come from the first of these places that has them: the authors' files
    ``train_32x32.mat`` and ``test_32x32.mat`` in the folder named by the environment
    variable ``SKDFAL_DATA``, the cache, and a download of the files (246 MB). An
    interrupted download is continued. The md5 of the files is checked. The "extra"
    digits, which are easier, are left out, as in papers on active learning.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/svhn.npz`` (305 MB) below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (73257, 3, 32, 32) and (26032, 3, 32, 32)
            Images, with red, green and blue along the second axis.
        y_train, y_test : ndarray of int64, shape (73257,) and (26032,)
            Labels: the digits. The files have 10 for the digit 0; here it is 0.
        target_names : ndarray of shape (10,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the files by hand, or how
        to continue.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_mnist : Easier digits.

    References
    ----------
    .. [1] Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu and A. Y. Ng, "Reading
           Digits in Natural Images with Unsupervised Feature Learning", NIPS Workshop
           on Deep Learning and Unsupervised Feature Learning, 2011.
           http://ufldl.stanford.edu/housenumbers/

    Examples
    --------
    >>> from skdfal.datasets import fetch_svhn
    >>> svhn = fetch_svhn()  # doctest: +SKIP
    >>> svhn.X_test.shape  # doctest: +SKIP
    (26032, 3, 32, 32)
    """
    return _archive.fetch(
        _archive.ArchivedSet("svhn", "SVHN", _ARCHIVES, _read, _DESCR),
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )


def _read(*paths):
    """Return arrays and class names of the two files."""
    arrays = Arrays(*(array for path in paths for array in _read_mat(path)))
    check_split("SVHN", arrays, (3, 32, 32), _TRAIN_COUNTS, _TEST_COUNTS)
    return arrays, tuple("0123456789")


def _read_mat(path):
    """Return images and labels of a MATLAB file, X (32, 32, 3, n) and y (n, 1)."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=("X", "y"))
        X, y = found["X"], found["y"]
    except (MatReadError, ValueError, KeyError, TypeError, EOFError) as error:
        raise OSError(
            f"{path} is not a MATLAB file with X and y ({error!r}). Replace or remove "
            "it."
        ) from error
    return np.ascontiguousarray(X.transpose(3, 2, 0, 1)), y.ravel() % 10

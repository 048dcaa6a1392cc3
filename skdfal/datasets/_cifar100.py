"""CIFAR-100."""

from skdfal._utils._validation import validate_params
from skdfal.datasets import _archive, _cifar
from skdfal.datasets._base import COMMON_PARAMS

_DESCR = """
CIFAR-100: 60,000 colour photographs, 32x32 pixels, a hundred classes.

Authors: Alex Krizhevsky, Vinod Nair, Geoffrey Hinton, who state no licence and ask for
a citation of A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
technical report, University of Toronto, 2009.
"""


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_cifar100(*, data_home=None, download_if_missing=True, scaled=True):
    """Load CIFAR-100, small photographs of a hundred kinds of objects [1]_.

    The images come from the first of these places that has them: the authors' archive
    ``cifar-100-binary.tar.gz`` in the folder named by the environment variable
    ``SKDFAL_DATA``, the cache, and a download of the archive (169 MB). An interrupted
    download is continued. The md5 of the archive is checked, and no pickle is loaded.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/cifar100.npz`` (184 MB) below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (50000, 3, 32, 32) and (10000, 3, 32, 32)
            Images, with red, green and blue along the second axis.
        y_train, y_test : ndarray of int64, shape (50000,) and (10000,)
            The fine labels, as indices into ``target_names``.
        target_names : ndarray of shape (100,)
            Names of the classes.
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the archive by hand, or
        how to continue.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_cifar10 : Ten classes, in the same format.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
           technical report, University of Toronto, 2009.
           https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf

    Examples
    --------
    >>> from skdfal.datasets import fetch_cifar100
    >>> cifar100 = fetch_cifar100()  # doctest: +SKIP
    >>> cifar100.X_train.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    return _archive.fetch(
        _archive.ArchivedSet(
            "cifar100",
            "CIFAR-100",
            (_cifar.CIFAR100,),
            _cifar.read_cifar100,
            _DESCR,
        ),
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )

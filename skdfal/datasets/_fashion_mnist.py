"""Fashion-MNIST, and its subset of shoes and bags."""

import numpy as np
from sklearn.utils import Bunch

from skdfal._utils._validation import validate_params
from skdfal.datasets import _idx
from skdfal.datasets._base import COMMON_PARAMS, scaled_pixels

_FASHION_MNIST = _idx.IdxSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    sha256=(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    openml_id=40996,
    train_counts=(6000,) * 10,
    test_counts=(1000,) * 10,
    target_names=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    descr="""
Fashion-MNIST: 70,000 articles of Zalando, grey, 28x28 pixels, ten classes.

Licence: MIT, (c) 2017 Zalando SE.
Reference: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for
Benchmarking Machine Learning Algorithms", 2017, arXiv 1708.07747.
""",
)
# Label in Fashion-MNIST -> label in shoes vs bags.
_SHOE_BAG = {7: 0, 9: 0, 8: 1}


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_fashion_mnist(*, data_home=None, download_if_missing=True, scaled=True):
    """Load Fashion-MNIST, 70,000 images of clothing [1]_; download it if necessary.

    The images come from the first of these places that has them:

    - idx files in the subfolder ``fashion_mnist/`` of the folder named by the
      environment variable ``SKDFAL_DATA``, or in that folder itself; their sha256 is
      checked;
    - the cache;
    - a download from OpenML (data set 40996, some 30 MB compressed).

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/fashion_mnist.npz`` (55 MB) below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (60000, 1, 28, 28) and (10000, 1, 28, 28)
            Images, light on black.
        y_train, y_test : ndarray of int64, shape (60000,) and (10000,)
            Labels, as indices into ``target_names``.
        target_names : ndarray of shape (10,)
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
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_mnist : Digits in the same format.
    fetch_fashion_shoe_bag : Three of its classes, as shoes vs bags.

    References
    ----------
    .. [1] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for
           Benchmarking Machine Learning Algorithms", 2017.
           https://arxiv.org/abs/1708.07747

    Examples
    --------
    >>> from skdfal.datasets import fetch_fashion_mnist
    >>> fashion = fetch_fashion_mnist()  # doctest: +SKIP
    >>> fashion.X_test.shape  # doctest: +SKIP
    (10000, 1, 28, 28)
    """
    return _idx.fetch(
        _FASHION_MNIST,
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_fashion_shoe_bag(*, data_home=None, download_if_missing=True, scaled=True):
    """Load shoes and bags from Fashion-MNIST, as a substitute for Shoe-Bag.

    The DFAL paper uses the Shoe-Bag data set of [1]_: 184,792 training and 4,000 test
    images in colour, of 64x64 pixels. skdfal has no fetcher for it. This function
    returns the sneakers and ankle boots of Fashion-MNIST [2]_ as one class and its bags
    as the other. The task is the same, but the images are grey and smaller, and it is
    easier. Results are not comparable with those on Shoe-Bag.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache of Fashion-MNIST. If None, scikit-learn's
        ``get_data_home()``.
    download_if_missing : bool, default=True
        Whether to download Fashion-MNIST if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (18000, 1, 28, 28) and (3000, 1, 28, 28)
            Images, light on black.
        y_train, y_test : ndarray of int64, shape (18000,) and (3000,)
            Labels: 0 for a shoe (two thirds of the samples), 1 for a bag.
        target_names : ndarray of shape (2,)
            "shoe" and "bag".
        DESCR : str
            Authors, licence, and location of this copy.
        source : str
            Location of this copy.

    Raises
    ------
    ConnectionError
        If the download fails; the message says how to place the files by hand.
    OSError
        If a file is damaged, or is missing and ``download_if_missing=False``.

    See Also
    --------
    fetch_fashion_mnist : All ten classes.

    References
    ----------
    .. [1] M. Huijser and J. van Gemert, "Active Decision Boundary Annotation with Deep
           Generative Models", ICCV 2017. https://arxiv.org/abs/1703.06971
    .. [2] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for
           Benchmarking Machine Learning Algorithms", 2017.
           https://arxiv.org/abs/1708.07747

    Examples
    --------
    >>> from skdfal.datasets import fetch_fashion_shoe_bag
    >>> shoe_bag = fetch_fashion_shoe_bag()  # doctest: +SKIP
    >>> shoe_bag.target_names.tolist()  # doctest: +SKIP
    ['shoe', 'bag']
    """
    fashion = fetch_fashion_mnist(
        data_home=data_home, download_if_missing=download_if_missing, scaled=False
    )
    X_train, y_train = _shoes_and_bags(fashion.X_train, fashion.y_train, scaled)
    X_test, y_test = _shoes_and_bags(fashion.X_test, fashion.y_test, scaled)
    return Bunch(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        target_names=np.array(["shoe", "bag"]),
        DESCR="Shoes (sneaker, ankle boot) against bags, a stand-in for the Shoe-Bag "
        f"set of Huijser and van Gemert (2017), out of\n\n{fashion.DESCR}",
        source=fashion.source,
    )


def _shoes_and_bags(X, y, scaled):
    kept = np.isin(y, list(_SHOE_BAG))
    y = np.array([_SHOE_BAG[label] for label in y[kept].tolist()], dtype=np.int64)
    X = X[kept]
    return (scaled_pixels(X) if scaled else X), y

"""MNIST."""

from skdfal._utils._validation import validate_params
from skdfal.datasets import _idx
from skdfal.datasets._base import COMMON_PARAMS

_MNIST = _idx.IdxSet(
    name="mnist",
    title="MNIST",
    sha256=(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    openml_id=554,
    train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    target_names=tuple("0123456789"),
    descr="""
MNIST: 70,000 handwritten digits, grey, 28x28 pixels, ten classes.

Authors: Yann LeCun, Corinna Cortes. Commonly distributed under CC BY-SA 3.0.
Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied
to Document Recognition", Proceedings of the IEEE 86(11), 1998.
""",
)


@validate_params(COMMON_PARAMS, prefer_skip_nested_validation=True)
def fetch_mnist(*, data_home=None, download_if_missing=True, scaled=True):
    """Load MNIST, 70,000 handwritten digits [1]_, downloading it if necessary.

    The images come from the first of these places that has them:

    - idx files in the subfolder ``mnist/`` of the folder named by the environment
      variable ``SKDFAL_DATA``, or in that folder itself; their sha256 is checked;
    - the cache;
    - a download from OpenML (data set 554, 15 MB compressed).

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of the cache. If None, scikit-learn's ``get_data_home()``. The arrays
        are kept in ``skdfal/mnist.npz`` (55 MB) below it.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not on this machine.
    scaled : bool, default=True
        Whether to return float32 pixels in [0, 1] instead of uint8 in [0, 255].

    Returns
    -------
    data : Bunch
        Object with the attributes

        X_train, X_test : ndarray of shape (60000, 1, 28, 28) and (10000, 1, 28, 28)
            Images, white on black.
        y_train, y_test : ndarray of int64, shape (60000,) and (10000,)
            Labels: the digits.
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
    load_digits : Smaller images, bundled with scikit-learn.
    fetch_fashion_mnist : Clothes in the same format.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning
           Applied to Document Recognition", Proceedings of the IEEE 86(11), 1998.
           https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> from skdfal.datasets import fetch_mnist
    >>> mnist = fetch_mnist()  # doctest: +SKIP
    >>> mnist.X_train.shape, mnist.X_train.max()  # doctest: +SKIP
    ((60000, 1, 28, 28), 1.0)
    """
    return _idx.fetch(
        _MNIST,
        data_home=data_home,
        download_if_missing=download_if_missing,
        scaled=scaled,
    )

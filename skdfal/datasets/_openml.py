"""Download an image data set from OpenML, which stores images as rows of pixels."""

import numpy as np

from skdfal.datasets._base import Arrays, check_split, offline_error
from skdfal.datasets._download import OFFLINE


def from_openml(
    data_id, *, title, image_shape, train_counts, test_counts, data_home, how_to_place
):
    """Download, reshape and check a data set; its first rows are the training part.

    scikit-learn compares the md5 of the file with the one that OpenML states, and keeps
    the file in its own cache below data_home.
    """
    from sklearn.datasets import fetch_openml

    url = f"https://www.openml.org/d/{data_id}"
    try:
        raw = fetch_openml(
            data_id=data_id,
            data_home=data_home,
            as_frame=False,
            parser="pandas",
            # Pixels and labels are small numbers. With this dtype pandas needs an
            # eighth of the memory, and all its versions read labels in the same way.
            read_csv_kwargs={"dtype": "uint8"},
        )
    except OFFLINE as error:
        raise offline_error(title, url, error, how_to_place) from error
    except ValueError as error:
        raise OSError(
            f"The download from {url} is not {title}: {error} Try again, or else: "
            f"{how_to_place}"
        ) from error

    X = np.asarray(raw.data).astype(np.uint8)
    y = np.asarray(raw.target).astype(np.int64)
    n_train = sum(train_counts)
    if X.size == len(y) * np.prod(image_shape):
        X = X.reshape(-1, *image_shape)
    arrays = Arrays(X[:n_train], y[:n_train], X[n_train:], y[n_train:])
    check_split(title, arrays, image_shape, train_counts, test_counts)
    return arrays

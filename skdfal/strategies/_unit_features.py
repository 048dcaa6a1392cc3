"""Features scaled to unit length, for strategies that ignore their length."""

import numpy as np

from skdfal.adapter import features, labeled_samples


def unit_features(estimator, X, X_labeled, layer, batch_size):
    """Unit-length features of the pool and of the labelled samples; (n, D), (n_l, D).

    Zero vectors stay unchanged. The second array is empty without labelled samples.
    """
    Z = unit_length(features(estimator, X, layer=layer, batch_size=batch_size))
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is None:
        return Z, np.empty((0, Z.shape[1]), Z.dtype)
    labeled = features(estimator, X_labeled, layer=layer, batch_size=batch_size)
    return Z, unit_length(labeled)


def unit_length(Z):
    """Scale each row to length 1, in place; zero rows stay unchanged; (n, D)."""
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    Z /= np.where(length > 0, length, 1)
    return Z

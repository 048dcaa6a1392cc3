"""Directions of features, for strategies that leave their length out."""

import numpy as np

from skdfal.adapter import features, labeled_samples


def unit_features(estimator, X, X_labeled, layer, batch_size):
    """Features of unit length of a pool and of what is labelled; (n, D), (n_l, D).

    A vector of zeros stays as it is. Without labelled samples the second is empty.
    """
    Z = unit_length(features(estimator, X, layer=layer, batch_size=batch_size))
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is None:
        return Z, np.empty((0, Z.shape[1]), Z.dtype)
    labeled = features(estimator, X_labeled, layer=layer, batch_size=batch_size)
    return Z, unit_length(labeled)


def unit_length(Z):
    """Scale each row to length 1, in place; one of zeros stays as it is; (n, D)."""
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    Z /= np.where(length > 0, length, 1)
    return Z

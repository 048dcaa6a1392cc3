"""Directions of features, for strategies that look at the labelled samples as well."""

import numpy as np

from skdfal.adapter import features, labeled_samples


def unit_features(estimator, X, X_labeled, layer, batch_size):
    """Features of unit length of a pool and of what is labelled; (n, D), (n_l, D).

    A vector of zeros stays as it is. Without labelled samples the second is empty.
    """
    Z = _scaled(features(estimator, X, layer=layer, batch_size=batch_size))
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is None:
        return Z, np.empty((0, Z.shape[1]), Z.dtype)
    labeled = features(estimator, X_labeled, layer=layer, batch_size=batch_size)
    return Z, _scaled(labeled)


def _scaled(Z):
    length = np.sqrt(np.einsum("ij,ij->i", Z, Z))[:, None]
    Z /= np.where(length > 0, length, 1)
    return Z

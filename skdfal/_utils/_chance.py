"""The accuracy of a network that has learned nothing."""

import math

import numpy as np


def accuracy_of_guessing(y):
    """Return the accuracy of always predicting the most frequent label, and a bound.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    share, reached : float
        Share of the most frequent label, and this share plus two standard errors: up to
        that bound, an accuracy is not significantly better than guessing. The bound is
        NaN if even a perfect network would not exceed it, because there are too few
        samples or nearly all have one label.
    """
    if not len(y):
        return math.nan, math.nan
    _, counts = np.unique(y, return_counts=True)
    share = counts.max() / len(y)
    reached = share + 2 * math.sqrt(share * (1 - share) / len(y))
    return share, reached if reached < 1 else math.nan

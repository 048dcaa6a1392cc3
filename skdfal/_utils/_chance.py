"""What accuracy says that a net has learned nothing."""

import math

import numpy as np


def accuracy_of_guessing(y):
    """Return the accuracy of naming the commonest label, and what luck makes of it.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    share, reached : float
        Share of the commonest label, and the same with two standard errors of so many
        samples on top: an accuracy up to that is no better than guessing. The latter
        is NaN, of which nothing is smaller, where a perfect net would not reach it:
        such samples are too few, or too much alike, to tell.
    """
    if not len(y):
        return math.nan, math.nan
    _, counts = np.unique(y, return_counts=True)
    share = counts.max() / len(y)
    reached = share + 2 * math.sqrt(share * (1 - share) / len(y))
    return share, reached if reached < 1 else math.nan

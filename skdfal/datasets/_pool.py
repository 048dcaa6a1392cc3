"""Split a data set into initial samples, a pool and a test set."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._validation import COUNT_OR_ZERO, validate_params
from skdfal.datasets._imbalance import check_are_alike, check_labels


class PoolSplit(NamedTuple):
    """Three disjoint arrays of indices, each in random order.

    Parameters
    ----------
    initial : ndarray of shape (n_initial,)
        Samples labelled at the start.
    pool : ndarray of shape (n_pool,)
        Samples that queries choose from.
    test : ndarray of shape (n_test,)
        Samples kept for testing or validation.
    """

    initial: np.ndarray
    pool: np.ndarray
    test: np.ndarray


@validate_params(
    {
        "y": ["array-like"],
        "n_initial": [COUNT_OR_ZERO],
        "n_pool": [COUNT_OR_ZERO, None],
        "n_test": [COUNT_OR_ZERO],
        "stratified": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def split_pool(
    y, *, n_initial=10, n_pool=None, n_test=0, stratified=False, random_state=None
):
    """Draw the initial labelled samples, a pool and a test set.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of the full data set.
    n_initial : int, default=10
        Number of samples labelled at the start; 10 in the DFAL paper.
    n_pool : int or None, default=None
        Number of samples in the pool, in addition to the initial ones. If None, all
        that remain.
    n_test : int, default=0
        Number of samples held out for testing or validation; no query ever sees them.
    stratified : bool, default=False
        Whether the initial samples are spread evenly over the classes, so that class
        counts differ by at most one. Otherwise they are drawn uniformly, and may miss
        classes.
    random_state : int, RandomState instance or None, default=None
        Controls the split.

    Returns
    -------
    split : PoolSplit
        Named tuple of the index arrays ``initial``, ``pool`` and ``test``.

    Raises
    ------
    ValueError
        If more samples are requested than there are, or if ``stratified`` is true and
        ``y`` is not one label per sample.
    TypeError
        If ``stratified`` is true and ``y`` mixes strings and numbers.

    See Also
    --------
    sklearn.model_selection.train_test_split : Split arrays into two parts.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.datasets import split_pool
    >>> y = np.repeat(["cat", "face"], 50)
    >>> split = split_pool(y, n_initial=4, n_test=20, stratified=True, random_state=0)
    >>> len(split.initial), len(split.pool), len(split.test)
    (4, 76, 20)
    >>> sorted(y[split.initial].tolist())
    ['cat', 'cat', 'face', 'face']
    """
    if stratified:
        check_are_alike(y)
    y = np.asarray(y)
    n_asked = n_initial + n_test + (n_pool or 0)
    if n_asked > len(y):
        raise ValueError(
            f"n_initial={n_initial}, n_pool={n_pool} and n_test={n_test} should add up "
            f"to <= n_samples={len(y)}."
        )
    random_state = check_random_state(random_state)
    order = random_state.permutation(len(y))
    if stratified:
        check_labels(y)
        order = order[np.argsort(_turn_of(y[order]), kind="stable")]
    initial, rest = order[:n_initial], random_state.permutation(order[n_initial:])
    test, rest = rest[:n_test], rest[n_test:]
    return PoolSplit(initial, rest[:n_pool], test)


def _turn_of(y):
    """Return how many samples of its class precede each one: a b a a -> 0 0 1 2."""
    turn = np.empty(len(y), dtype=int)
    for label in np.unique(y):
        of_class = np.flatnonzero(y == label)
        turn[of_class] = np.arange(len(of_class))
    return turn

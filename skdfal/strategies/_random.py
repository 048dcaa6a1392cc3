"""RANDOM: the baseline that every strategy has to beat."""

from sklearn.utils import check_random_state

from skdfal._utils._validation import COUNT, validate_params
from skdfal.strategies._base import draw_candidates, register

__all__ = ["random_sampling"]


@register(
    "random",
    label="RANDOM",
    style=("#000000", "dashed", "s"),
    in_dfal_paper=True,
)
@validate_params(
    {"n_instances": [COUNT], "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def random_sampling(estimator, X, n_instances=1, *, random_state=None):
    """Draw samples uniformly, without replacement.

    Parameters
    ----------
    estimator : object
        Ignored; present for API consistency.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to draw from.
    n_instances : int, default=1
        Number of samples to draw.
    random_state : int, RandomState instance or None, default=None
        Controls the random draw.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``.

    Raises
    ------
    ValueError
        If the pool is empty or smaller than ``n_instances``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal import random_sampling
    >>> random_sampling(None, np.zeros((100, 1, 28, 28)), 3, random_state=0)
    array([26, 86,  2])
    """
    _, pool = draw_candidates(X, n_instances)
    return check_random_state(random_state).permutation(len(pool))[:n_instances]

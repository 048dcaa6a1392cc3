"""From scores to indices, and from a query function to a modAL query strategy."""

import functools
import sys

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state

from skdfal._utils._validation import _num_samples


def top_k(score, n_instances):
    """Return the indices of the ``n_instances`` largest scores, largest first.

    Equal scores keep the order of the pool. A NaN is a bug of the score: it raises.
    """
    if np.isnan(score).any():
        raise ValueError(f"{np.isnan(score).sum()} of {len(score)} scores are NaN.")
    return np.argsort(-score, kind="stable")[:n_instances]


def draw_candidates(X, n_instances, n_candidates=None, random_state=None):
    """Return the indices to score: the paper's S_k, or the whole pool.

    Raises
    ------
    ValueError
        If more is asked for than there is.
    """
    n_samples = pool_size(X)
    if n_candidates is not None and n_candidates > n_samples:
        raise ValueError(f"{n_candidates=} should be <= {n_samples=}.")
    if n_instances > n_samples:
        raise ValueError(f"{n_instances=} should be <= {n_samples=}.")
    if n_candidates is None:
        return np.arange(n_samples)
    if n_instances > n_candidates:
        raise ValueError(f"{n_instances=} should be <= {n_candidates=}.")
    rng = check_random_state(random_state)
    return rng.choice(n_samples, n_candidates, replace=False)


def pool_size(X):
    """Return the number of samples of ``X``; raise where there are none."""
    n_samples = _num_samples(X)
    if not n_samples:
        raise ValueError("The pool is empty: X has 0 samples, at least 1 is required.")
    return n_samples


def take(X, indices):
    """Return the rows of an array, tensor or data frame; all of them uncopied."""
    if len(indices) == _num_samples(X) and (np.diff(indices) == 1).all():
        return X
    if hasattr(X, "iloc") or isinstance(X, list):
        return _safe_indexing(X, indices)
    return X[indices]


def query_strategy(function):
    """Make a query function fit for ``modAL``'s learners of every version.

    modAL 0.4.1 wants a bare array of indices: a tuple is taken for indices and
    instances. modAL 0.4.2 wants ``(indices, metrics)``: given a bare array it runs the
    strategy twice, and splits an array of two indices in half. Whoever calls the
    function directly always gets the array.
    """

    @functools.wraps(function)
    def strategy(estimator, X, *args, **kwargs):
        indices = function(estimator, X, *args, **kwargs)
        return (indices, None) if _is_asked_for_metrics(estimator) else indices

    return strategy


def _is_asked_for_metrics(learner):
    """Whether ``learner.query`` is on the stack and has a ``return_metrics``."""
    query = getattr(type(learner), "query", None)
    code = getattr(query, "__code__", None)
    if code is None or "return_metrics" not in code.co_varnames[: code.co_argcount + 1]:
        return False
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False

"""Uncertainty sampling: entropy (the paper's "uncertainty"), confidence, margin."""

import numpy as np
from scipy.special import entr

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.adapter import map_proba
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = [
    "entropy_sampling",
    "entropy_score",
    "least_confidence_sampling",
    "least_confidence_score",
    "margin_sampling",
    "margin_score",
    "uncertainty_sampling",
]


def _entropy(proba):
    """H(p) = -Σ_c p_c log p_c in nats, with 0 log 0 = 0; (n, C) -> (n,)."""
    return entr(proba).sum(axis=1)


def _least_confidence(proba):
    """Return 1 - max_c p_c; (n, C) -> (n,)."""
    return 1 - proba.max(axis=1)


def _negative_margin(proba):
    """Return p_(2) - p_(1), second largest minus largest; (n, C) -> (n,)."""
    if proba.shape[1] < 2:  # a classifier that has only seen one class: p_(2) = 0
        return -proba[:, 0]
    second, first = np.sort(proba, axis=1)[:, -2:].T
    return second - first


@validate_params(SCORE_PARAMETERS, prefer_skip_nested_validation=True)
def entropy_score(estimator, X, *, batch_size=None):
    """Score samples by the entropy of the prediction [1]_.

    The "uncertainty" baseline of the DFAL paper. It takes all classes into account.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, a modAL learner or committee wrapping
        these, or any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Entropy in nats, in [0, log n_classes]. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``X`` is empty, contains NaN or infinity, or has a shape that the estimator
        cannot take.

    References
    ----------
    .. [1] C. E. Shannon, "A mathematical theory of communication", Bell System
       Technical Journal 27, 1948, doi:10.1002/j.1538-7305.1948.tb01338.x.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import entropy_score
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> int(entropy_score(clf, [[-2.0], [0.0], [1.0]]).argmax())
    1
    """
    return np.concatenate(list(map_proba(_entropy, estimator, X, batch_size)))


@register(
    "entropy",
    label="entropy",
    needs="probabilities",
    score=entropy_score,
    style=("#56B4E9", "solid", "X"),
    paper="Shannon 1948",
)
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def entropy_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`entropy_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`entropy_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`entropy_score` raises.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import entropy_sampling
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> entropy_sampling(clf, [[-2.0], [0.0], [1.0]], n_instances=2)
    array([1, 2])
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = map_proba(_entropy, estimator, candidates, batch_size)
    return S_k[top_k(score, n_instances)]


# The DFAL paper's "uncertainty" is entropy over the whole pool.
uncertainty_sampling = register(
    "uncertainty",
    label="uncertainty",
    needs="probabilities",
    score=entropy_score,
    style=("#56B4E9", "solid", "X"),
    paper="Shannon 1948",
    in_dfal_paper=True,
)(entropy_sampling)


@validate_params(SCORE_PARAMETERS, prefer_skip_nested_validation=True)
def least_confidence_score(estimator, X, *, batch_size=None):
    """Score samples by one minus the highest probability [1]_.

    It takes only the most likely class into account.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, a modAL learner or committee wrapping
        these, or any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        One minus the highest probability, in [0, 1 - 1 / n_classes]. Larger is queried
        first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``X`` is empty, contains NaN or infinity, or has a shape that the estimator
        cannot take.

    References
    ----------
    .. [1] D. D. Lewis, W. A. Gale, "A sequential algorithm for training text
       classifiers", SIGIR 1994, arXiv:cmp-lg/9407020.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import least_confidence_score
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> int(least_confidence_score(clf, [[-2.0], [0.0], [1.0]]).argmax())
    1
    """
    return np.concatenate(list(map_proba(_least_confidence, estimator, X, batch_size)))


@register(
    "least_confidence",
    label="least confidence",
    needs="probabilities",
    score=least_confidence_score,
    style=("#882255", "dotted", "<"),
    paper="Lewis & Gale 1994",
)
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def least_confidence_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`least_confidence_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`least_confidence_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`least_confidence_score` raises.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import least_confidence_sampling
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> least_confidence_sampling(clf, [[-2.0], [0.0], [1.0]], n_instances=2)
    array([1, 2])
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = map_proba(_least_confidence, estimator, candidates, batch_size)
    return S_k[top_k(score, n_instances)]


@validate_params(SCORE_PARAMETERS, prefer_skip_nested_validation=True)
def margin_score(estimator, X, *, batch_size=None):
    """Score samples by the gap between the two most likely classes [1]_.

    This is a margin in probability, smallest at one half for two classes, even if a
    binary net decides at another ``threshold``. For a margin in input space, which
    follows the threshold, see :func:`deepfool_margin_score`.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, a modAL learner or committee wrapping
        these, or any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Second highest minus highest probability, in [-1, 0]. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``X`` is empty, contains NaN or infinity, or has a shape that the estimator
        cannot take.

    References
    ----------
    .. [1] T. Scheffer, C. Decomain, S. Wrobel, "Active hidden Markov models for
       information extraction", IDA 2001, doi:10.1007/3-540-44816-0_31.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import margin_score
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> int(margin_score(clf, [[-2.0], [0.0], [1.0]]).argmax())
    1
    """
    return np.concatenate(list(map_proba(_negative_margin, estimator, X, batch_size)))


@register(
    "margin",
    label="margin",
    needs="probabilities",
    score=margin_score,
    style=("#999933", "dashed", ">"),
    paper="Scheffer et al. 2001",
)
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def margin_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`margin_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`margin_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`margin_score` raises.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import margin_sampling
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> margin_sampling(clf, [[-2.0], [0.0], [1.0]], n_instances=2)
    array([1, 2])
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = map_proba(_negative_margin, estimator, candidates, batch_size)
    return S_k[top_k(score, n_instances)]

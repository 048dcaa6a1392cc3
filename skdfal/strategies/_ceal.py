"""CEAL: ask for what the net doubts, believe it where it is sure."""

from numbers import Real

import numpy as np

from skdfal._adapter import class_labels, predict_proba
from skdfal._selection import draw_candidates, query_strategy, take, top_k
from skdfal._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    Interval,
    validate_params,
)
from skdfal.strategies._uncertainty import _entropy, entropy_score


@query_strategy
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def ceal_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=512,
    random_state=None,
):
    """Query the samples whose prediction has the highest entropy: CEAL [1]_.

    The query of CEAL is that of :func:`entropy_sampling`. What makes the method are
    the pseudo-labels of the opposite end, see :func:`ceal_pseudo_labels`; the strategy
    "ceal" of :class:`ActiveLearningClassifier` has both.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, a modAL learner or committee around
        them, or any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int, default=None
        Score this many samples, drawn at random. None scores the whole pool, as the
        papers do.
    batch_size : int, default=512
        Samples in one forward pass.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or ``X`` is
        empty, not finite, or of a shape that the estimator cannot take.

    References
    ----------
    .. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning
       for Deep Image Classification", IEEE TCSVT 27(12), 2017, arXiv:1701.03551.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import ceal_sampling
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> ceal_sampling(clf, [[-2.0], [0.0], [1.0]], n_instances=2)
    array([1, 2])
    """
    S_k = draw_candidates(X, n_instances, n_candidates, random_state)
    score = entropy_score(estimator, take(X, S_k), batch_size=batch_size)
    return S_k[top_k(score, n_instances)]


@validate_params(
    SCORE_PARAMETERS | {"threshold": [Interval(Real, 0, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def ceal_pseudo_labels(estimator, X, *, threshold=0.05, batch_size=512):
    """Label the samples of which the estimator is sure by its own prediction [1]_.

    Such labels cost nothing. They are for one training: recompute them with the next
    estimator, and leave the samples in the pool.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`ceal_sampling`.
    X : array-like of shape (n_samples, ...)
        Unlabelled samples.
    threshold : float >= 0, default=0.05
        A sample is labelled if the entropy of its prediction, in nats, is strictly
        less; the paper's δ. The DFAL paper took 0.05 for MNIST, 0.19 for Shoe-Bag
        and 0.08 for Quick-Draw.
    batch_size : int, default=512
        Samples in one forward pass.

    Returns
    -------
    indices : ndarray of shape (n_sure,)
        Increasing indices into ``X``; there may be none.
    labels : ndarray of shape (n_sure,)
        The likeliest class of each, as ``predict`` names it: a class code where a net
        is at the end of the estimator, an entry of ``classes_`` elsewhere.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``X`` is empty, not finite, or of a shape that the estimator cannot take.

    See Also
    --------
    PseudoLabelAugmenter : The same for a training set with missing labels.

    References
    ----------
    .. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning
       for Deep Image Classification", IEEE TCSVT 27(12), 2017, arXiv:1701.03551.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import ceal_pseudo_labels
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], ["left", "right"])
    >>> ceal_pseudo_labels(clf, [[-9.0], [0.0], [9.0]])
    (array([0, 2]), array(['left', 'right'], dtype='<U5'))
    """
    proba = predict_proba(estimator, X, batch_size)
    labels = class_labels(estimator, proba.shape[1])
    indices = np.flatnonzero(_entropy(proba) < threshold)
    # A module may have more outputs than there are classes: those name no label.
    return indices, labels[proba[indices, : len(labels)].argmax(axis=1)]

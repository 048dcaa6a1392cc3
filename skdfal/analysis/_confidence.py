"""Confidence of networks, and how far two networks agree in it."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from skdfal._utils._validation import SCORE_PARAMETERS, Interval, validate_params
from skdfal.adapter import map_draws, predict_proba

_PARAMETERS = {
    "n_draws": [Interval(Integral, 2, None, closed="left"), None],
    "random_state": ["random_state"],
    **SCORE_PARAMETERS,
}


class ConfidenceAgreement(NamedTuple):
    """Confidences of two networks on the same samples.

    Attributes
    ----------
    confidence_a, confidence_b : ndarray of shape (n_samples,)
        Highest probability that each network gives to any class.
    correlation : float
        Spearman's rank correlation of the two, in [-1, 1]; NaN if the confidence of one
        network is the same for all samples.
    """

    confidence_a: np.ndarray
    confidence_b: np.ndarray
    correlation: float


@validate_params(_PARAMETERS, prefer_skip_nested_validation=True)
def confidence(estimator, X, *, n_draws=None, batch_size=512, random_state=None):
    """Return the highest class probability of each sample.

    The probabilities are those that the network predicts, or the mean over a committee
    drawn from it by dropout [1]_. The mean is also low where each draw is certain, but
    the draws predict different classes.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, a modAL learner or committee around
        them or, if ``n_draws`` is None, any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Samples, in the format that ``fit`` takes.
    n_draws : int >= 2 or None, default=None
        Size of the dropout committee. If None, dropout is off.
    batch_size : int, default=512
        Number of rows per forward pass, one row per sample and draw.
    random_state : int, RandomState instance or None, default=None
        Controls the dropout draws.

    Returns
    -------
    confidence : ndarray of shape (n_samples,)
        Highest class probability of each sample, in [1 / n_classes, 1].

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator has no probabilities; with ``n_draws``, if it has no torch
        network.
    ValueError
        If ``n_draws`` is given but the network has no dropout, or if ``X`` is empty,
        not finite, or of a shape that the network cannot take.

    See Also
    --------
    skdfal.bald_score : How much such draws disagree.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation: Representing
       Model Uncertainty in Deep Learning", ICML 2016, arXiv:1506.02142.

    Examples
    --------
    >>> import torch
    >>> from skdfal import make_classifier
    >>> from skdfal.analysis import confidence
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X = torch.rand(3, 1, 16, 16)
    >>> confidence(net, X).shape, confidence(net, X, n_draws=5).shape
    ((3,), (3,))
    """
    if n_draws is None:
        return predict_proba(estimator, X, batch_size).max(axis=1)
    settings = n_draws, batch_size, random_state, "confidence"
    return np.concatenate(list(map_draws(_of_mean, estimator, X, *settings)))


def _of_mean(proba):
    """max_c mean_t p_t; (n_draws, n, C) -> (n,)."""
    return proba.mean(axis=0).max(axis=1)


@validate_params(_PARAMETERS, prefer_skip_nested_validation=True)
def confidence_agreement(
    net_a, net_b, X, *, n_draws=None, batch_size=512, random_state=None
):
    """Compare the confidence of two networks on the same samples.

    This is the first figure of the DFAL paper's supplement [1]_. If networks of
    different architectures are unsure of the same samples, the samples queried by one
    should also help the other.

    Parameters
    ----------
    net_a, net_b : fitted estimator
        As for :func:`confidence`.
    X : array-like of shape (n_samples, ...)
        At least two samples, such as a test set.
    n_draws : int >= 2 or None, default=None
        Size of the dropout committee. If None, dropout is off.
    batch_size : int, default=512
        Number of rows per forward pass, one row per sample and draw.
    random_state : int, RandomState instance or None, default=None
        Controls the dropout draws of both networks.

    Returns
    -------
    result : ConfidenceAgreement
        A named tuple of ``confidence_a``, ``confidence_b`` and ``correlation``.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or :func:`confidence` raises it.

    See Also
    --------
    skdfal.plot.ConfidenceDisplay : Scatter plot of the confidences.
    region_agreement : Whether two networks have samples in the same regions.

    Notes
    -----
    Trained networks have a confidence near 1 on most samples. Therefore ranks are
    compared instead of values; samples of equal confidence share their mean rank.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841, supplement.

    Examples
    --------
    >>> import torch
    >>> from skdfal import make_classifier
    >>> from skdfal.analysis import confidence_agreement
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> result = confidence_agreement(net, net, torch.rand(5, 1, 16, 16))
    >>> round(result.correlation, 6)
    1.0
    """
    settings = {
        "n_draws": n_draws,
        "batch_size": batch_size,
        "random_state": random_state,
    }
    a, b = (confidence(net, X, **settings) for net in (net_a, net_b))
    if len(a) < 2:
        raise ValueError("X has one sample; ranks need at least two.")
    correlation = np.nan  # if one confidence is constant, it has no ranks
    if np.ptp(a) > 0 and np.ptp(b) > 0:
        correlation = float(spearmanr(a, b).statistic)
    return ConfidenceAgreement(a, b, correlation)

"""BALD: samples on which draws from a Bayesian net are confident but disagree."""

import numpy as np
from scipy.special import entr

from skdfal._utils._validation import (
    DRAW_PARAMETERS,
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.adapter import map_draws
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["bald_sampling", "bald_score"]

_ROUNDING = 1e-12  # of entropies in float64


def _mutual_information(proba):
    """H(mean_t p_t) - mean_t H(p_t); (n_draws, n, C) -> (n,)."""
    gain = entr(proba.mean(axis=0)).sum(axis=1) - entr(proba).sum(axis=2).mean(axis=0)
    gain[gain < _ROUNDING] = 0
    return gain.clip(max=np.log(proba.shape[2]))


@validate_params(
    SCORE_PARAMETERS | DRAW_PARAMETERS | {"random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def bald_score(estimator, X, *, n_draws=10, batch_size=None, random_state=None):
    r"""Score samples by how much their label would reveal about the weights [1]_, [2]_.

    Dropout stays active during several forward passes; each pass is the prediction of
    another net drawn from a posterior [3]_. The score is high where these nets
    contradict each other. It is low where all are uncertain in the same way, which is
    noise that no label removes.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net with dropout, a Pipeline ending in one, or a modAL learner or
        committee wrapping these. Committee members need no dropout: each member counts
        as one draw. If they have dropout, each is sampled ``n_draws`` times.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    n_draws : int >= 2, default=10
        Number of forward passes with dropout, the papers' T.
    batch_size : int or None, default=None
        Number of rows per forward pass, one row per sample and draw. If None, it is
        chosen from the memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the dropout draws. If None, each call uses new draws. With a seed, the
        score of a sample depends only on its row in ``X``, or in the pool of which
        ``X`` is a view. Neither ``batch_size`` nor the other samples influence it.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Mutual information in nats, in [0, log n_classes]; 0 where all draws agree.
        Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If the net has no dropout, or ``X`` is empty, contains NaN or infinity, or has a
        shape that the net cannot take.

    Notes
    -----
    With the probabilities p_t of draw t and the entropy H, the score is

    .. math:: H(\tfrac1T \sum_t p_t) - \tfrac1T \sum_t H(p_t).

    Only layers with dropout are in training mode: all ``nn.Dropout*``,
    ``nn.AlphaDropout``, ``nn.FeatureAlphaDropout``, and recurrent and attention layers
    with a dropout rate. Calls of ``functional.dropout`` inside a module are not
    detected.

    All draws of a batch go through the net together. The part before the first dropout
    layer is the same for all draws and runs only once; in this mode, rates are rounded
    to multiples of 1/65536. Samples are processed one by one, all draws of each
    together, if dropout is in recurrent or attention layers, or in layers whose input
    does not have the samples in its first dimension.

    References
    ----------
    .. [1] N. Houlsby, F. Huszár, Z. Ghahramani, M. Lengyel, "Bayesian Active Learning
       for Classification and Preference Learning", 2011, arXiv:1112.5745.
    .. [2] Y. Gal, R. Islam, Z. Ghahramani, "Deep Bayesian Active Learning with Image
       Data", ICML 2017, arXiv:1703.02910.
    .. [3] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation: Representing
       Model Uncertainty in Deep Learning", ICML 2016, arXiv:1506.02142.

    Examples
    --------
    >>> import torch
    >>> from skdfal import bald_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> bald_score(net, torch.rand(3, 1, 16, 16), random_state=0).shape
    (3,)
    """
    gains = _gains(estimator, X, n_draws, batch_size, random_state)
    return np.concatenate(list(gains))


def _gains(estimator, X, n_draws, batch_size, random_state):
    settings = n_draws, batch_size, random_state, "bald_score"
    return map_draws(_mutual_information, estimator, X, *settings)


@register(
    "bald",
    label="BALD",
    needs="dropout",
    score=bald_score,
    n_candidates=800,
    style=("#009E73", "dashdotdot", "D"),
    paper="Gal et al. 2017",
    in_dfal_paper=True,
)
@validate_params(QUERY_PARAMETERS | DRAW_PARAMETERS, prefer_skip_nested_validation=True)
def bald_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_draws=10,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`bald_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`bald_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_draws : int >= 2, default=10
        Number of forward passes with dropout, the papers' T.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored.
    batch_size : int or None, default=None
        Number of rows per forward pass, one row per sample and draw. If None, it is
        chosen from the memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates and the dropout draws, which use
        separate random numbers.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`bald_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import bald_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> bald_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    gains = _gains(estimator, candidates, n_draws, batch_size, random_state)
    return S_k[top_k(gains, n_instances)]

"""MC dropout: the entropy of the prediction averaged over dropout draws."""

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

__all__ = ["mc_dropout_sampling", "mc_dropout_score"]


def _entropy_of_mean(proba):
    """H(mean_t p_t); (n_draws, n, C) -> (n,)."""
    return entr(proba.mean(axis=0)).sum(axis=1)


@validate_params(
    SCORE_PARAMETERS | DRAW_PARAMETERS | {"random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def mc_dropout_score(estimator, X, *, n_draws=10, batch_size=None, random_state=None):
    r"""Score samples by the entropy of the mean over dropout draws [1]_, [2]_.

    Dropout stays active during several forward passes, and the predicted probabilities
    are averaged. The score is high where the draws contradict each other, and also
    where all of them are uncertain in the same way, which :func:`bald_score` ignores.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net with dropout, a Pipeline ending in one, or a modAL learner or
        committee wrapping these, as for :func:`bald_score`.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    n_draws : int >= 2, default=10
        Number of forward passes with dropout, the papers' T.
    batch_size : int or None, default=None
        Number of rows per forward pass, one row per sample and draw. If None, it is
        chosen from the memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the dropout draws, as for :func:`bald_score`. With a seed, the score of
        a sample depends only on its row and not on the other samples.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Entropy in nats, in [0, log n_classes]. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If the net has no dropout, or ``X`` is empty, contains NaN or infinity, or has a
        shape that the net cannot take.

    See Also
    --------
    bald_score : The part of this entropy that labels could remove.
    entropy_score : The same score for the net without dropout.

    Notes
    -----
    With the probabilities p_t of draw t and the entropy H, the score is

    .. math:: H(\tfrac1T \sum_t p_t).

    The TA-VAAL paper [3]_ uses it as a baseline on a ResNet18 with a dropout rate of
    0.3 after each convolution: ``make_classifier("resnet18", module__dropout=0.3)``.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation: Representing
       Model Uncertainty in Deep Learning", ICML 2016, arXiv:1506.02142.
    .. [2] Y. Gal, R. Islam, Z. Ghahramani, "Deep Bayesian Active Learning with Image
       Data", ICML 2017, arXiv:1703.02910.
    .. [3] K. Kim, D. Park, K. I. Kim, S. Y. Chun, "Task-Aware Variational Adversarial
       Active Learning", CVPR 2021, arXiv:2002.04709.

    Examples
    --------
    >>> import torch
    >>> from skdfal import mc_dropout_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> mc_dropout_score(net, torch.rand(3, 1, 16, 16), random_state=0).shape
    (3,)
    """
    settings = n_draws, batch_size, random_state, "mc_dropout_score"
    return np.concatenate(list(map_draws(_entropy_of_mean, estimator, X, *settings)))


@register(
    "mc_dropout",
    label="MC DROPOUT",
    needs="dropout",
    score=mc_dropout_score,
    n_candidates=10_000,
    style=("#999933", "dashed", "X"),
    paper="Gal & Ghahramani 2016",
)
@validate_params(QUERY_PARAMETERS | DRAW_PARAMETERS, prefer_skip_nested_validation=True)
def mc_dropout_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_draws=10,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`mc_dropout_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`mc_dropout_score`.
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
        :func:`mc_dropout_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import mc_dropout_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> mc_dropout_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = mc_dropout_score(
        estimator,
        candidates,
        n_draws=n_draws,
        batch_size=batch_size,
        random_state=random_state,
    )
    return S_k[top_k(score, n_instances)]

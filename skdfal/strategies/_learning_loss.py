"""Learning Loss: the samples for which the net itself predicts the largest loss."""

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.adapter import predicted_losses
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["learning_loss_sampling", "learning_loss_score"]


@validate_params(SCORE_PARAMETERS, prefer_skip_nested_validation=True)
def learning_loss_score(estimator, X, *, batch_size=None):
    r"""Score samples by the loss that the net predicts for them [1]_.

    A small head on feature maps of the net is trained together with the net. It learns
    which of two labelled samples has the larger loss. Afterwards it can rank unlabelled
    samples in the same way.

    Parameters
    ----------
    estimator : fitted estimator
        A net with a loss-prediction head, a Pipeline ending in one, or a modAL learner
        or committee wrapping these. Create such a net with ``make_classifier(...,
        loss_prediction="margin")``, or with "ranking" for the TA-VAAL version [2]_. The
        predictions of committee members are averaged.
    X : array-like of shape (n_samples, ...)
        Samples to score, in the format that ``fit`` takes.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Predicted loss. Only its order is meaningful, since the head is trained on
        nothing else; its scale is arbitrary. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If the net has no loss-prediction head, or ``X`` is empty, contains NaN or
        infinity, or has a shape that the net cannot take.

    See Also
    --------
    skdfal.nets.LossPredictionClassifier : Classifier with this head and its loss.
    ta_vaal_score : Combines the same head with the distance to labelled samples.

    Notes
    -----
    With the feature maps h_1, ..., h_4, averaged over all positions, the score is

    .. math:: \hat l(x) = w^\top [\mathrm{ReLU}(W_k h_k(x) + b_k)]_{k=1}^4 + b.

    References
    ----------
    .. [1] D. Yoo, I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019,
       arXiv:1905.03677.
    .. [2] K. Kim, D. Park, K. I. Kim, S. Y. Chun, "Task-Aware Variational Adversarial
       Active Learning", CVPR 2021, arXiv:2002.04709.

    Examples
    --------
    >>> import torch
    >>> from skdfal import learning_loss_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16, loss_prediction="ranking")
    >>> learning_loss_score(net.initialize(), torch.rand(3, 1, 16, 16)).shape
    (3,)
    """
    return predicted_losses(estimator, X, batch_size)


@register(
    "learning_loss",
    label="LEARNING LOSS",
    needs="loss prediction",
    score=learning_loss_score,
    n_candidates=10_000,
    style=("#332288", "solid", "p"),
    paper="Yoo & Kweon 2019",
    net_params={"loss_prediction": "margin"},
)
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def learning_loss_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`learning_loss_score`.

    The strategies "learning_loss" and "learning_loss_v2" both use this function, but
    with nets whose heads are trained differently: by pairs with a margin, and by their
    ranks.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`learning_loss_score`.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. The
        papers use 10,000, to avoid querying many similar samples. If None, the whole
        pool is scored.
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
        :func:`learning_loss_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import learning_loss_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16, loss_prediction="margin")
    >>> X = torch.rand(20, 1, 16, 16)
    >>> learning_loss_sampling(net.initialize(), X, n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = learning_loss_score(estimator, candidates, batch_size=batch_size)
    return S_k[top_k(score, n_instances)]


register(
    "learning_loss_v2",
    label="LEARNING LOSS v2",
    needs="loss prediction",
    score=learning_loss_score,
    n_candidates=10_000,
    style=("#332288", "dashed", "P"),
    paper="Kim et al. 2021",
    net_params={"loss_prediction": "ranking"},
)(learning_loss_sampling)

"""TA-VAAL: VAAL whose networks also know the rank of the predicted loss."""

import torch

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.adapter import predicted_losses
from skdfal.strategies._adversary import (
    TRAINING_PARAMETERS,
    both_kinds,
    train_vaal,
    unlabeled_log_odds,
)
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["ta_vaal_sampling", "ta_vaal_score"]


@validate_params(
    SCORE_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def ta_vaal_score(
    estimator,
    X,
    *,
    X_labeled=None,
    n_latent=32,
    width=0.125,
    max_epochs=10,
    lr=5e-4,
    beta=1.0,
    adversarial_weight=1.0,
    train_batch_size=128,
    batch_size=None,
    random_state=None,
):
    r"""Score samples by a VAAL discriminator that knows the predicted loss [1]_.

    VAAL queries samples that are unlike labelled ones, whether or not the classifier
    already knows them. Learning Loss queries samples that are hard for the classifier,
    whether or not many of them are alike. Here both count: the loss predicted by the
    head of the classifier is an input of decoder and discriminator.

    Parameters
    ----------
    estimator : fitted estimator
        A net with a loss-prediction head trained by ranking, as created by
        ``make_classifier(..., loss_prediction="ranking")``, a Pipeline ending in one,
        or a modAL learner or committee wrapping these.
    X : array-like of shape (n_samples, n_channels, height, width)
        Images to score, in the format that ``fit`` takes; at least 8x8 pixels.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself.
    n_latent, width, max_epochs, lr, beta, adversarial_weight, train_batch_size : number
        As for :func:`vaal_score`.
    batch_size : int or None, default=None
        Number of samples per forward pass when scoring. If None, it is chosen from the
        memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the training of both networks.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Log-odds that a sample is unlabelled, log((1 - D) / D), which is largest where D
        is smallest. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If the net has no loss-prediction head, or if :func:`vaal_score` raises.

    See Also
    --------
    vaal_score : The same score without the predicted loss.
    learning_loss_score : The predicted loss alone.

    Notes
    -----
    Let r be the predicted loss, which stays fixed during this training, and σ the
    logistic function. The decoder receives the code and σ(r); the discriminator
    receives the mean of the code and r. Everything else is as in VAAL.

    In the authors' code, the ranks of the first batch are random numbers, and the
    discriminator has three dense layers instead of five. This implementation follows
    the paper.

    References
    ----------
    .. [1] K. Kim, D. Park, K. I. Kim, S. Y. Chun, "Task-Aware Variational Adversarial
       Active Learning", CVPR 2021, arXiv:2002.04709.

    Examples
    --------
    >>> import torch
    >>> from skdfal import ta_vaal_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16, loss_prediction="ranking")
    >>> X, X_labeled = torch.rand(9, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> ta_vaal_score(net.initialize(), X, X_labeled=X_labeled, max_epochs=1).shape
    (9,)
    """
    unlabeled, labeled = both_kinds(estimator, X, X_labeled, "ta_vaal_score")
    ranks = tuple(
        torch.as_tensor(
            predicted_losses(estimator, net.pool, batch_size),
            dtype=torch.get_default_dtype(),
            device=net.device,
        )
        for net in (labeled, unlabeled)
    )
    vaal = train_vaal(
        unlabeled,
        labeled,
        ranks,
        "TA-VAAL",
        n_latent=n_latent,
        width=width,
        max_epochs=max_epochs,
        lr=lr,
        beta=beta,
        adversarial_weight=adversarial_weight,
        train_batch_size=train_batch_size,
        random_state=random_state,
    )
    return unlabeled_log_odds(vaal, unlabeled, ranks[1], batch_size)


@register(
    "ta_vaal",
    label="TA-VAAL",
    needs="loss prediction",
    score=ta_vaal_score,
    n_candidates=10_000,
    style=("#117733", "dotted", "*"),
    paper="Kim et al. 2021",
    net_params={"loss_prediction": "ranking"},
    min_image_size=8,
)
@validate_params(
    QUERY_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def ta_vaal_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    n_latent=32,
    width=0.125,
    max_epochs=10,
    lr=5e-4,
    beta=1.0,
    adversarial_weight=1.0,
    train_batch_size=128,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`ta_vaal_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`ta_vaal_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself.
    n_latent, width, max_epochs, lr, beta, adversarial_weight, train_batch_size : number
        As for :func:`vaal_score`.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are trained on
        and scored. The paper uses 10,000. If None, the whole pool is used.
    batch_size : int or None, default=None
        Number of samples per forward pass when scoring. If None, it is chosen from the
        memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates and the training of both networks.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`ta_vaal_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import ta_vaal_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16, loss_prediction="ranking")
    >>> net = net.initialize()
    >>> X, X_labeled = torch.rand(20, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> ta_vaal_sampling(net, X, 5, X_labeled=X_labeled, max_epochs=1).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = ta_vaal_score(
        estimator,
        candidates,
        X_labeled=X_labeled,
        n_latent=n_latent,
        width=width,
        max_epochs=max_epochs,
        lr=lr,
        beta=beta,
        adversarial_weight=adversarial_weight,
        train_batch_size=train_batch_size,
        batch_size=batch_size,
        random_state=random_state,
    )
    return S_k[top_k(score, n_instances)]

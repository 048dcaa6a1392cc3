"""VAAL: the samples that a discriminator is surest have no label yet."""

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal.strategies._adversary import (
    TRAINING_PARAMETERS,
    both_kinds,
    train_vaal,
    unlabeled_log_odds,
)
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["vaal_sampling", "vaal_score"]


@validate_params(
    SCORE_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def vaal_score(
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
    r"""Score samples by how surely they are told from labelled ones [1]_.

    An autoencoder compresses labelled and unlabelled samples to a latent code, and a
    discriminator learns to tell by the code which is which, while the autoencoder
    learns to make that hard. What is told apart all the same is unlike anything
    labelled. The task's net takes no part, and its mistakes have no influence.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner or committee
        around them. Only its input space and its device are used.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to score, as for ``fit``, pictures of at least 8x8.
    X_labeled : array-like of shape (n_labeled, n_channels, height, width), default=None
        Samples labelled already, of the kind of ``X``. None takes what a modAL
        learner was taught; the loop gives what was annotated.
    n_latent : int, default=32
        Numbers of the latent code; 32 in the papers, 28 for Fashion-MNIST.
    width : float, default=0.125
        Factor on the channels of the autoencoder, whose work goes with its square. 1 is
        the papers'.
    max_epochs : int, default=10
        Passes over ``X`` in training; 100 in the papers' code.
    lr : float, default=5e-4
        Learning rate of Adam, for both nets.
    beta : float, default=1.0
        Weight of the divergence of the code from a normal distribution, averaged over
        samples and numbers of the code.
    adversarial_weight : float, default=1.0
        Weight of what the discriminator knows in the autoencoder's loss, the papers' λ.
    train_batch_size : int, default=128
        Labelled samples, and unlabelled ones, in a step; no more than ``X`` has.
    batch_size : int or None, default=None
        Samples in one forward pass of the scoring. None chooses by the memory that a
        sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the training of both nets. None trains them otherwise each time.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Log-odds that a sample is unlabelled, log((1 - D) / D): the smallest D has the
        largest score. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If there are no labelled samples, or they are of another shape than ``X``; if
        ``X`` has no pictures, too small ones, is empty, not finite, or of a shape that
        the net cannot take.

    See Also
    --------
    ta_vaal_score : The same, with the predicted loss in both nets.
    core_set_sampling : What is far from labelled samples, without training.

    Notes
    -----
    With μ, σ² of the latent code, D the discriminator, L and U a batch of each kind, a
    step of the autoencoder and one of the discriminator minimise

    .. math::

        \sum_{L, U} \bigl(\mathrm{MSE} + \beta\, \mathrm{KL}\bigr)
        + \lambda \bigl(\mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 1)\bigr),
        \qquad
        \mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 0).

    Departures from the authors' code: the divergence is averaged, where it sums over
    samples and code (their β = 1 is ``n_latent * train_batch_size`` here, and the code
    then holds nothing); both kinds go through the autoencoder in one batch, and scores
    are of evaluation mode, so that batch normalization does not hide what differs, nor
    scores depend on batches. An epoch is a pass over ``X`` alone.

    Training looks at the samples in the net's input space, batch by batch: a pool
    beyond memory is read ``max_epochs`` times.

    References
    ----------
    .. [1] S. Sinha, S. Ebrahimi, T. Darrell, "Variational Adversarial Active Learning",
       ICCV 2019, arXiv:1904.00370.

    Examples
    --------
    >>> import torch
    >>> from skdfal import vaal_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X, X_labeled = torch.rand(9, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> vaal_score(net, X, X_labeled=X_labeled, max_epochs=1).shape
    (9,)
    """
    unlabeled, labeled = both_kinds(estimator, X, X_labeled, "vaal_score")
    vaal = train_vaal(
        unlabeled,
        labeled,
        (None, None),
        "VAAL",
        n_latent=n_latent,
        width=width,
        max_epochs=max_epochs,
        lr=lr,
        beta=beta,
        adversarial_weight=adversarial_weight,
        train_batch_size=train_batch_size,
        random_state=random_state,
    )
    return unlabeled_log_odds(vaal, unlabeled, batch_size=batch_size)


@register(
    "vaal",
    label="VAAL",
    needs="input",
    score=vaal_score,
    n_candidates=10_000,
    style=("#808080", "solid", "h"),
    paper="Sinha et al. 2019",
    min_image_size=8,
)
@validate_params(
    QUERY_PARAMETERS | TRAINING_PARAMETERS, prefer_skip_nested_validation=True
)
def vaal_sampling(
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
    """Query the samples with the largest :func:`vaal_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`vaal_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Samples labelled already. None takes what a modAL learner was taught; the loop
        gives what was annotated.
    n_latent, width, max_epochs, lr, beta, adversarial_weight, train_batch_size : number
        As for :func:`vaal_score`.
    n_candidates : int or None, default=None
        Train on, and score, this many samples, drawn at random; 10,000 in the TA-VAAL
        paper. None takes the whole pool.
    batch_size : int or None, default=None
        Samples in one forward pass of the scoring. None chooses by the memory that a
        sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates, and the training of both nets.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or where
        :func:`vaal_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import vaal_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X, X_labeled = torch.rand(20, 1, 16, 16), torch.rand(4, 1, 16, 16)
    >>> vaal_sampling(net, X, 5, X_labeled=X_labeled, max_epochs=1).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = vaal_score(
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

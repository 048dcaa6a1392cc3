"""VAAL: the samples that a discriminator is most certain are unlabelled."""

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
    r"""Score samples by how clearly they differ from labelled ones [1]_.

    An autoencoder compresses labelled and unlabelled samples to a latent code. A
    discriminator learns to tell the two kinds apart by their code, while the
    autoencoder learns to make this hard. Samples that are recognised nevertheless are
    unlike any labelled sample. The classifier itself plays no part, so its mistakes
    have no influence.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. Only its input space and its device are used.
    X : array-like of shape (n_samples, n_channels, height, width)
        Images to score, in the format that ``fit`` takes; at least 8x8 pixels.
    X_labeled : array-like of shape (n_labeled, n_channels, height, width), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself.
    n_latent : int, default=32
        Size of the latent code; 32 in the papers, 28 for Fashion-MNIST.
    width : float, default=0.125
        Factor on the number of channels of the autoencoder. Its cost grows with the
        square. The papers use 1.
    max_epochs : int, default=10
        Number of passes over ``X`` in training; 100 in the papers' code.
    lr : float, default=5e-4
        Learning rate of Adam for both networks.
    beta : float, default=1.0
        Weight of the divergence of the code from a normal distribution, averaged over
        samples and entries of the code.
    adversarial_weight : float, default=1.0
        Weight of the discriminator's verdict in the autoencoder's loss, the papers' λ.
    train_batch_size : int, default=128
        Number of labelled, and of unlabelled, samples per step; at most the size of
        ``X``.
    batch_size : int or None, default=None
        Number of samples per forward pass when scoring. If None, it is chosen from the
        memory that one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the training of both networks. If None, results differ from call to
        call.

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
        If there are no labelled samples, or their shape differs from that of ``X``. If
        ``X`` does not consist of images, or its images are too small. If ``X`` is
        empty, contains NaN or infinity, or has a shape that the net cannot take.

    See Also
    --------
    ta_vaal_score : The same score, with the predicted loss as an additional input.
    core_set_sampling : Samples far from labelled ones, without extra training.

    Notes
    -----
    Let μ, σ² describe the latent code, D be the discriminator, and L and U a batch of
    each kind. A step of the autoencoder and one of the discriminator minimise,
    respectively,

    .. math::

        \sum_{L, U} \bigl(\mathrm{MSE} + \beta\, \mathrm{KL}\bigr)
        + \lambda \bigl(\mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 1)\bigr),
        \qquad
        \mathrm{BCE}(D(\mu_L), 1) + \mathrm{BCE}(D(\mu_U), 0).

    Departures from the authors' code:

    - The divergence is averaged, while the authors' code sums over samples and code.
      Their β = 1 is ``n_latent * train_batch_size`` here, and the code then carries no
      information.
    - Both kinds go through the autoencoder in one batch, and scores are computed in
      evaluation mode. Otherwise batch normalization would hide the differences, and
      scores would depend on the batches.
    - An epoch is one pass over ``X`` only.

    Training reads the samples batch by batch in the net's input space. A pool that does
    not fit into memory is read ``max_epochs`` times.

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
        and scored. The TA-VAAL paper uses 10,000. If None, the whole pool is used.
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

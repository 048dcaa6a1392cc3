"""DFAL plus: typical samples while labels are few, then DFAL."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    COUNT,
    QUERY_PARAMETERS,
    Interval,
    validate_params,
)
from skdfal.adapter import labeled_samples, sample_values, torch_nets
from skdfal.augment import AdversarialAugmenter
from skdfal.pool import as_pool
from skdfal.strategies._base import draw_candidates, register

# Built on the query of DFAL, with TypiClust before it.
from skdfal.strategies._deepfool_margin import attack_parameters, smallest_margins
from skdfal.strategies._typical import typical_rows

__all__ = ["dfal_plus_sampling"]

_MAX_SAMPLES = 20_000  # among which typical ones are looked for
_N_COMPONENTS = 50  # principal ones, of their values
_N_NEIGHBORS, _MAX_CLUSTERS = 20, 500  # TypiClust's


def _typical(X, X_labeled, n_instances, random_state):
    """Return positions of typical samples, of clusters that have no label yet."""
    from sklearn.decomposition import PCA  # slow to import

    shape, of_labeled = X.sample_shape, as_pool(X_labeled).sample_shape
    if None not in (shape, of_labeled) and shape != of_labeled:
        raise ValueError(
            f"X_labeled has samples of shape {tuple(of_labeled)}, X of shape "
            f"{tuple(shape)}: give both as in fit."
        )
    S, samples = _draw_at_most(_MAX_SAMPLES, X, n_instances, random_state)
    instead = "Set labels_per_class=0, which asks for small margins at once"
    values = [sample_values(part, instead) for part in (samples, X_labeled)]
    Z = np.concatenate(values)
    Z = PCA(min(_N_COMPONENTS, *Z.shape), random_state=0).fit_transform(Z)
    Z, Z_labeled = Z[: len(S)], Z[len(S) :]
    rows = typical_rows(
        Z, Z_labeled, n_instances, _N_NEIGHBORS, _MAX_CLUSTERS, random_state
    )
    return S[rows]


def _draw_at_most(n_samples, X, n_instances, random_state):
    n_samples = max(n_samples, n_instances)
    drawn = n_samples if n_samples < len(X) else None
    return draw_candidates(X, n_instances, drawn, random_state)


@register(
    "dfal_plus",
    label="DFAL plus",
    needs="gradients",
    augmenter=AdversarialAugmenter,
    style=("#009E73", "solid", "P"),
    paper="ours",
)
@validate_params(
    ATTACK_PARAMETERS
    | QUERY_PARAMETERS
    | {
        "X_labeled": "no_validation",
        "labels_per_class": [Interval(Integral, 0, None, closed="left")],
        "n_margins": [COUNT],
    },
    prefer_skip_nested_validation=True,
)
def dfal_plus_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    labels_per_class=8,
    n_margins=800,
    p=2,
    n_candidates=None,
    max_iter=50,
    overshoot=0.02,
    n_top_classes=None,
    batch_size=None,
    random_state=None,
):
    r"""Query typical samples while labels are few, and small margins from then on.

    After ten labels a net knows too little to say what it does not know. Until there
    are ``labels_per_class`` times as many labels as classes this asks for a typical
    sample of each cluster of the values that has no label, for pictures of their
    pixels, as TypiClust [1]_ does of features; then for the samples nearest to the
    decision boundary, as DFAL [2]_.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Samples labelled already, of the kind of ``X``. None takes what a modAL
        learner was taught; :class:`ActiveLearningClassifier` gives what was annotated.
        Where there is neither, margins are asked for at once.
    labels_per_class : int >= 0, default=8
        How many labels there should be for each class, on average, before margins are
        asked for.
    n_margins : int, default=800
        Look for small margins among at most so many samples, drawn at random: the K
        of DFAL.
    p : float in [1, inf], default=2
        Norm of the margin.
    n_candidates : int or None, default=None
        Query among this many samples, drawn at random, both what is typical and what
        has a small margin. None, the whole pool, finds better clusters; ``n_margins``
        bounds the cost of margins.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far the iterates go beyond the boundary, relative to the perturbation.
    n_top_classes : int >= 2 or None, default=None
        Attack only towards the likeliest classes, the predicted one included. None
        takes all of up to 20 classes, and of more the ten likeliest.
    batch_size : int or None, default=None
        Samples under attack at a time. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines what is drawn, and how clusters start.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``: from the largest cluster without a label first,
        then smallest margin first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if samples are
        no arrays of finite numbers, or those of ``X_labeled`` of another shape, while
        typical ones are looked for, or where :func:`deepfool_margin_score` raises.

    Warns
    -----
    ConvergenceWarning
        If DeepFool did not converge on some of the samples it attacked.

    See Also
    --------
    typi_clust_sampling : Typical samples by features of the net, in all rounds.
    dfal : Small margins in all rounds.

    Notes
    -----
    Values of 20,000 samples at most, drawn at random, are clustered with the labelled
    ones by their first 50 principal components, into as many clusters as there are
    labels and samples to query. Pictures of more than 32 pixels a side are averaged in
    blocks first.

    References
    ----------
    .. [1] G. Hacohen, A. Dekel, D. Weinshall, "Active Learning on a Budget: Opposite
       Strategies Suit High and Low Budgets", ICML 2022, arXiv:2202.02794.
    .. [2] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> import torch
    >>> from skdfal import dfal_plus_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X, X_labeled = torch.rand(20, 1, 16, 16), torch.rand(10, 1, 16, 16)
    >>> dfal_plus_sampling(net, X, 5, X_labeled=X_labeled, random_state=0).shape
    (5,)
    """
    random_state = check_random_state(random_state)
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is not None:
        n_classes = torch_nets(estimator, candidates)[0].n_classes
        if len(as_pool(X_labeled)) < labels_per_class * n_classes:
            return S_k[_typical(candidates, X_labeled, n_instances, random_state)]
    S, samples = _draw_at_most(n_margins, candidates, n_instances, random_state)
    attack = attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size)
    nearest, _ = smallest_margins(estimator, samples, n_instances, attack)
    return S_k[S[nearest]]

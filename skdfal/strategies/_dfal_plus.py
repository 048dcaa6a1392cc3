"""DFAL plus: typical samples while labels are few, then DFAL."""

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    COUNT,
    COUNT_OR_ZERO,
    QUERY_PARAMETERS,
    validate_params,
)
from skdfal.adapter import labeled_samples, sample_values, torch_nets
from skdfal.augment import AdversarialAugmenter
from skdfal.pool import as_pool
from skdfal.strategies._base import draw_candidates, register

# Builds on the query of DFAL and puts TypiClust before it.
from skdfal.strategies._deepfool_margin import attack_parameters, smallest_margins
from skdfal.strategies._typical import typical_rows

__all__ = ["dfal_plus_sampling"]

_MAX_SAMPLES = 20_000  # among which typical samples are searched
_N_COMPONENTS = 50  # principal components of the values
_N_NEIGHBORS, _MAX_CLUSTERS = 20, 500  # as in TypiClust


def _typical(X, X_labeled, n_instances, random_state):
    """Return positions of typical samples of clusters that have no label yet."""
    from sklearn.decomposition import PCA  # slow to import

    shape, of_labeled = X.sample_shape, as_pool(X_labeled).sample_shape
    if None not in (shape, of_labeled) and shape != of_labeled:
        raise ValueError(
            f"X_labeled has samples of shape {tuple(of_labeled)}, X has samples of "
            f"shape {tuple(shape)}. Pass both as in fit."
        )
    S, samples = _draw_at_most(_MAX_SAMPLES, X, n_instances, random_state)
    instead = "Set labels_per_class=0, which queries by small margins from the start"
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
        "labels_per_class": [COUNT_OR_ZERO],
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

    A net trained on ten labels knows too little to tell what it does not know. While
    there are fewer than ``labels_per_class`` labels per class on average, this strategy
    clusters the values of the samples (pixels, for images). It queries a typical sample
    of each cluster without a label, as TypiClust [1]_ does with features. After that,
    it queries the samples nearest to the decision boundary, as DFAL [2]_ does.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself. Without labelled samples, the query is by margin from the start.
    labels_per_class : int >= 0, default=8
        Number of labels per class, on average, from which on samples are queried by
        margin.
    n_margins : int, default=800
        Maximum number of samples, drawn at random, among which small margins are
        searched: the K of DFAL.
    p : float in [1, inf], default=2
        Order of the lp norm in which the margin is measured.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these can be queried,
        both for typicality and for small margins. If None, the whole pool is
        considered, which gives better clusters; ``n_margins`` bounds the cost of
        computing margins.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far the iterates go past the decision boundary, relative to the
        perturbation.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates, of the samples searched for small
        margins or typicality among them, and the clustering.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``. While labels are few, the largest cluster without a
        label comes first; afterwards, the smallest margin comes first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`deepfool_margin_score` raises. While typical samples are queried: if
        samples are not arrays of finite numbers, or those of ``X_labeled`` have another
        shape.

    Warns
    -----
    ConvergenceWarning
        If DeepFool did not converge for some of the samples it attacked.

    See Also
    --------
    typi_clust_sampling : Typical samples by features of the net, in all rounds.
    dfal : Smallest margins, in all rounds.

    Notes
    -----
    At most 20,000 samples, drawn at random, are clustered together with the labelled
    ones by the first 50 principal components of their values. The number of clusters is
    the number of labelled samples plus the number of samples to query. Images of more
    than 32 pixels per side are first averaged in blocks.

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

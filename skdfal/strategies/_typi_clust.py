"""TypiClust: the most typical sample of each cluster that has no label yet."""

from sklearn.utils import check_random_state
from torch import nn

from skdfal._utils._validation import COUNT, QUERY_PARAMETERS, validate_params
from skdfal.strategies._base import draw_candidates, register
from skdfal.strategies._typical import typical_rows
from skdfal.strategies._unit_features import unit_features

__all__ = ["typi_clust_sampling"]


@register(
    "typi_clust",
    label="TypiClust",
    needs="features",
    style=("#AA4499", "dashed", "*"),
    paper="Hacohen et al. 2022",
)
@validate_params(
    QUERY_PARAMETERS
    | {
        "X_labeled": "no_validation",
        "layer": [str, nn.Module, None],
        "n_neighbors": [COUNT],
        "max_clusters": [COUNT],
    },
    prefer_skip_nested_validation=True,
)
def typi_clust_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    layer=None,
    n_neighbors=20,
    max_clusters=500,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    r"""Query the most typical sample of each cluster without a label [1]_.

    Made for the first few labels: no prediction is looked at, and what is asked for is
    ordinary rather than doubtful. It is as good as the features are; with those of a
    net pretrained on other images it is a cold start.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner or committee
        around them (whose members' features stand side by side).
    X : array-like of shape (n_samples, ...)
        Pool to query from, as for ``fit``.
    n_instances : int, default=1
        Number of samples to query, the paper's B.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Samples labelled already, of the kind of ``X``. None takes what a modAL
        learner was taught; :class:`ActiveLearningClassifier` gives what was annotated.
    layer : str, nn.Module or None, default=None
        Features are what this layer gives out, flattened; a name is one of the
        module's ``named_modules``. None takes what goes into the last linear layer.
    n_neighbors : int, default=20
        Nearest samples of the same cluster by which one is typical, the paper's K; at
        most half of the cluster.
    max_clusters : int, default=500
        Clusters at most.
    n_candidates : int or None, default=None
        Cluster and query among this many samples, drawn at random. None takes the
        whole pool.
    batch_size : int or None, default=None
        Samples in one forward pass. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates and the clusters.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, from the largest cluster without a label first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if ``layer`` is
        not in the module, or if ``X`` or ``X_labeled`` is empty, not finite, or of a
        shape that the net cannot take.

    Notes
    -----
    Features z have unit length. Labelled and unlabelled samples are clustered together
    by k-means into as many clusters as there are labels and samples to query; beyond
    50 clusters by mini-batches, as in the authors' code. Clusters take turns, those
    with the fewest labels first, then the largest; of each the sample of the largest

    .. math:: \Big(\frac1K \sum_{j \in \mathrm{NN}_K(i)} \|z_i - z_j\|\Big)^{-1}

    is asked for, its neighbours being those of its cluster without a label. Clusters of
    five or fewer come only when all others are used up.

    References
    ----------
    .. [1] G. Hacohen, A. Dekel, D. Weinshall, "Active Learning on a Budget: Opposite
       Strategies Suit High and Low Budgets", ICML 2022, arXiv:2202.02794.

    Examples
    --------
    >>> import torch
    >>> from skdfal import make_classifier, typi_clust_sampling
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X = torch.rand(20, 1, 16, 16)
    >>> typi_clust_sampling(net, X, n_instances=5, random_state=0).shape
    (5,)
    """
    random_state = check_random_state(random_state)
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    Z, Z_labeled = unit_features(estimator, candidates, X_labeled, layer, batch_size)
    return S_k[
        typical_rows(Z, Z_labeled, n_instances, n_neighbors, max_clusters, random_state)
    ]

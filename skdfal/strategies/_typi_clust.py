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

    Designed for the first few labels: it ignores predictions and selects typical rather
    than uncertain samples. Its quality depends on that of the features. With features
    of a net pretrained on other images, it can be used as a cold start.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. The features of committee members are concatenated.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from, in the format that ``fit`` takes.
    n_instances : int, default=1
        Number of samples to query, the paper's B.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is used as features, given as a module or by its
        name in ``named_modules()``. If None, the input of the last linear layer is
        used.
    n_neighbors : int, default=20
        Number of nearest neighbours within the cluster that define typicality, the
        paper's K; at most half of the cluster is used.
    max_clusters : int, default=500
        Maximum number of clusters.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are clustered and
        can be queried. If None, the whole pool is considered.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates and the clustering.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, starting with the largest cluster without a label.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if the module
        has no such ``layer``, or if ``X`` or ``X_labeled`` is empty, contains NaN or
        infinity, or has a shape that the net cannot take.

    Notes
    -----
    Features z are scaled to unit length. Labelled and unlabelled samples are clustered
    together by k-means. The number of clusters is the number of labelled samples plus
    the number of samples to query; beyond 50 clusters, mini-batch k-means is used, as
    in the authors' code. The clusters take turns, those with the fewest labels first,
    then the largest. From each cluster, the query takes the sample with the largest
    typicality

    .. math:: \Big(\frac1K \sum_{j \in \mathrm{NN}_K(i)} \|z_i - z_j\|\Big)^{-1}

    where the neighbours are the unlabelled samples of the same cluster. Clusters of
    five or fewer samples come last, when all others are used up.

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

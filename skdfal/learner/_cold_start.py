"""Which samples to label before there is a network: a typical one of each cluster."""

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._validation import COUNT, validate_params
from skdfal._utils._warnings import few_distinct_rows
from skdfal.adapter import sample_values
from skdfal.pool import as_pool

_BYTES = 2**28  # 256 MiB, for the values to cluster
_INSTEAD = "Draw the first samples at random"
_FEW = 2_000_000  # samples times clusters; above it, k-means uses mini-batches


@validate_params(
    {
        "X": "no_validation",
        "n_samples": [COUNT],
        "max_samples": [COUNT],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def typical_samples(X, n_samples=10, *, max_samples=20_000, random_state=None):
    """Choose samples to label first: the most typical one of each cluster of the pool.

    Before the first training no strategy has anything to go by, and a random draw may
    contain three samples of one kind and none of another. This function clusters the
    values of the samples (of images, the pixels) and takes the sample nearest to the
    centre of each cluster. It follows the idea of TypiClust [1]_, but on features that
    need no training.

    Parameters
    ----------
    X : pool
        Pool of samples, as :func:`skdfal.pool.as_pool` takes it; arrays of one shape.
    n_samples : int, default=10
        Number of samples to choose, which is also the number of clusters.
    max_samples : int, default=20000
        Largest number of samples to cluster, drawn at random from the pool. Fewer are
        clustered if they would not fit into 256 MiB.
    random_state : int, RandomState instance or None, default=None
        Controls which samples are drawn and how the clusters are initialised.

    Returns
    -------
    indices : ndarray of shape (n_samples,)
        Distinct indices into ``X``, those of the largest clusters first.

    Raises
    ------
    ValueError
        If ``n_samples`` is larger than the pool, or the samples are not arrays of
        finite numbers of the same shape.

    See Also
    --------
    ActiveLearningClassifier : Begins with these samples if ``initial="cluster"``.

    Notes
    -----
    Images of more than 32 pixels a side are first averaged in blocks. The clusters are
    found by k-means, or by mini-batch k-means if there are many samples.

    References
    ----------
    .. [1] G. Hacohen, A. Dekel, D. Weinshall, "Active Learning on a Budget: Opposite
       Strategies Suit High and Low Budgets", ICML 2022, arXiv:2202.02794.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.learner import typical_samples
    >>> X = np.array([[0.0], [0.1], [0.2], [5.0], [9.0], [9.1], [9.2], [9.3], [9.4]])
    >>> typical_samples(X, 3, random_state=0)
    array([6, 1, 3])
    """
    pool = as_pool(X)
    if n_samples > len(pool):
        raise ValueError(
            f"{n_samples=} should be <= {len(pool)}, the size of the pool."
        )
    rng = check_random_state(random_state)
    one = sample_values(pool.view(np.array([0])), _INSTEAD)
    most = max(n_samples, min(max_samples, _BYTES // one.nbytes))
    drawn = rng.permutation(len(pool))[:most]
    drawn.sort()
    Z = sample_values(pool.view(drawn), _INSTEAD)
    return drawn[_nearest_to_middles(Z, n_samples, rng)]


def _nearest_to_middles(Z, n, rng):
    """Return the sample nearest to the mean of each cluster, largest cluster first."""
    from sklearn.cluster import KMeans, MiniBatchKMeans  # slow to import

    kind = KMeans if len(Z) * n <= _FEW else MiniBatchKMeans
    clusters = kind(n, n_init=3, random_state=rng.randint(2**31 - 1))
    with few_distinct_rows():
        clusters.fit(Z)
    label = clusters.labels_
    distance = np.linalg.norm(Z - clusters.cluster_centers_[label], axis=1)
    found = []
    for cluster in np.argsort(-np.bincount(label, minlength=n), kind="stable"):
        members = np.flatnonzero(label == cluster)
        if len(members):
            found.append(members[distance[members].argmin()])
    # If the pool contains the same sample many times, some clusters may be empty.
    rest = np.setdiff1d(np.arange(len(Z)), found)
    return np.concatenate([found, rng.permutation(rest)[: n - len(found)]]).astype(int)

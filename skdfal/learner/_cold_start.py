"""Which samples to label before there is a net: a typical one of each cluster."""

import numpy as np
from sklearn.utils import check_random_state

from skdfal._utils._validation import COUNT, validate_params
from skdfal._utils._warnings import few_distinct_rows
from skdfal.adapter import sample_values
from skdfal.pool import as_pool

_BYTES = 2**28  # of the values that are clustered, 256 MiB
_INSTEAD = "Draw the first samples at random"
_FEW = 2_000_000  # samples times clusters up to which all are looked at in each step


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

    Before the first training no strategy has anything to go by, and chance may draw
    three of one kind and none of another. This clusters the values of the samples, for
    pictures their pixels, and takes the sample nearest to the middle of each cluster.
    The idea is that of TypiClust [1]_, on features that need no training.

    Parameters
    ----------
    X : pool
        The samples, as :func:`skdfal.pool.as_pool` takes them; arrays of one shape.
    n_samples : int, default=10
        How many to choose, which is the number of clusters.
    max_samples : int, default=20000
        Cluster at most so many samples, drawn at random; fewer where they would not fit
        into 256 MiB.
    random_state : int, RandomState instance or None, default=None
        Determines what is drawn and how the clusters start.

    Returns
    -------
    indices : ndarray of shape (n_samples,)
        Distinct indices into ``X``, those of the largest clusters first.

    Raises
    ------
    ValueError
        If ``n_samples`` is larger than the pool, or the samples are no arrays of
        finite numbers of one shape.

    See Also
    --------
    ActiveLearningClassifier : Begins with them for ``initial="cluster"``.

    Notes
    -----
    Pictures of more than 32 pixels a side are averaged in blocks first. Clusters are
    those of k-means, of mini-batches where there are many.

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
    """Return for each of ``n`` clusters the sample nearest to its mean, large first."""
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
    # Where the same sample is in the pool many times, clusters may be without any.
    rest = np.setdiff1d(np.arange(len(Z)), found)
    return np.concatenate([found, rng.permutation(rest)[: n - len(found)]]).astype(int)

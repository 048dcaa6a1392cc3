"""Selection of typical samples: the centres of clusters that have no label yet."""

import numpy as np

from skdfal._utils._warnings import few_distinct_rows

# As in the authors' code: with more clusters, mini-batch k-means is used.
_MAX_CLUSTERS_OF_KMEANS = 50
_MINI_BATCH = 5_000
# Smaller clusters are queried last.
_MIN_CLUSTER_SIZE = 6


def _typicality(Z, n_neighbors):
    """Inverse mean distance to the nearest neighbours; (n, D) -> (n,)."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbors = min(n_neighbors, len(Z) // 2)
    if n_neighbors < 1:
        return np.ones(len(Z))
    neighbors = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(Z)
    distance, _ = neighbors.kneighbors()  # of each sample to others, not to itself
    return 1 / (distance.mean(axis=1) + 1e-5)


def _most_typical(Z, cluster, is_labeled, n_instances, n_neighbors):
    """Visit the clusters in turn: those with the fewest labels first, then the largest.

    Returns distinct rows of ``Z``. ``cluster`` and ``is_labeled`` have one entry per
    row.
    """
    n_members = np.bincount(cluster)
    n_labels = np.bincount(cluster[is_labeled], minlength=len(n_members))
    is_small = n_members < _MIN_CLUSTER_SIZE
    order = np.lexsort([-n_members, n_labels, is_small])
    n_proper = int((~is_small).sum()) or len(order)
    free, chosen = ~is_labeled, []
    while len(chosen) < n_instances:
        n_before = len(chosen)
        for c in order[:n_proper]:
            rows = np.flatnonzero(free & (cluster == c))
            if not len(rows) or len(chosen) == n_instances:
                continue
            u = rows[_typicality(Z[rows], n_neighbors).argmax()]
            free[u] = False
            chosen.append(int(u))
        if len(chosen) == n_before:  # only small clusters are left
            n_proper = len(order)
    return np.array(chosen)


def typical_rows(Z, Z_labeled, n_instances, n_neighbors, max_clusters, random_state):
    """Cluster all rows and return the most typical ones of ``Z``; distinct."""
    is_labeled = np.arange(len(Z) + len(Z_labeled)) >= len(Z)
    Z = np.concatenate([Z, Z_labeled])
    n_clusters = min(len(Z_labeled) + n_instances, max_clusters, len(Z))
    cluster = _clusters(Z, n_clusters, random_state)
    return _most_typical(Z, cluster, is_labeled, n_instances, n_neighbors)


def _clusters(Z, n_clusters, random_state):
    from sklearn.cluster import KMeans, MiniBatchKMeans

    seed = random_state.randint(2**31 - 1)
    if n_clusters <= _MAX_CLUSTERS_OF_KMEANS:
        k_means = KMeans(n_clusters, n_init=1, random_state=seed)
    else:
        k_means = MiniBatchKMeans(
            n_clusters, batch_size=_MINI_BATCH, n_init=1, random_state=seed
        )
    with few_distinct_rows():
        return k_means.fit_predict(Z)

"""The greedy cover of points stored in blocks, each processed where it lies."""

import numpy as np

from skdfal.cover._k_center import (
    N_FAR,
    Points,
    choose_among_far,
    distances,
    farthest_rows,
)

# Minimum number of rows that each block sends at a time.
_MIN_FAR = 4


def k_center_greedy_of_blocks(engine, blocks, n_centers, *, X_labeled=None):
    """Return the centers of :func:`k_center_greedy` for points in blocks [1]_.

    The points stay where they are. In each round, every block sends its farthest points
    and an upper bound on the distance of the others. Centers are chosen among the
    points sent, as long as no other point can be farther, and are sent back to the
    blocks.

    Parameters
    ----------
    engine : engine
        Engine that holds the blocks. Its ``apply(function, handles, *args,
        keep=False)`` yields the result of a function for each of them, in order.
    blocks : sequence of handles
        One handle per block; a block is a float32 or float64 array of shape (n,
        n_features).
    n_centers : int
        Number of points to select, at most the number of points.
    X_labeled : ndarray of shape (n_labeled, n_features), default=None
        Points that already serve as centers. If None or empty, the first center is the
        point nearest to the mean of all points.

    Returns
    -------
    centers : ndarray of shape (n_centers,)
        Positions in the concatenated blocks, in the order of selection.

    Raises
    ------
    ValueError
        If a point contains NaN or infinity.

    Notes
    -----
    The distances equal those of :func:`k_center_greedy` to the last digit, and so do
    the centers, including ties. The mean is summed block by block, so its last digit
    may differ.

    References
    ----------
    .. [1] T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance",
       Theoretical Computer Science 38, 1985,
       https://doi.org/10.1016/0304-3975(85)90224-5

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.cover import k_center_greedy_of_blocks
    >>> from skdfal.pool import InProcess
    >>> blocks = [np.array([[0.0], [1.0]]), np.array([[2.0], [9.0]])]
    >>> k_center_greedy_of_blocks(InProcess(), blocks, 2)
    array([2, 3])
    """
    X = [(block,) for block in blocks]
    n_rows = np.array(list(engine.apply(_n_finite, X)))
    starts = np.concatenate([[0], np.cumsum(n_rows)])
    parts = list(zip(blocks, starts[:-1].tolist(), strict=True))
    centers, points = [], X_labeled
    distance = [None] * len(parts)
    if points is None or not len(points):
        mean = sum(engine.apply(_sum, X)) / starts[-1]
        _, first, points = min(engine.apply(_nearest, parts, mean), key=lambda f: f[:2])
        centers = [first]
    while True:
        states = [(*part, d) for part, d in zip(parts, distance, strict=True)]
        distance = list(engine.apply(_lower, states, points, centers, keep=True))
        n_left = n_centers - len(centers)
        if not n_left:
            return np.array(centers, dtype=np.intp)
        n_far = max(_MIN_FAR, -(-max(N_FAR, 4 * n_left) // len(parts)))
        states = [(*part, d) for part, d in zip(parts, distance, strict=True)]
        found = list(engine.apply(_farthest, states, n_far))
        index, far, points, limits = zip(*found, strict=True)
        index, points = np.concatenate(index), np.concatenate(points)
        limit = max((limit for limit in limits if limit), default=None)
        chosen = choose_among_far(index, np.concatenate(far), points, limit, n_left)
        points = points[chosen]
        centers = centers + index[chosen].tolist()


# Functions applied to a block. They do not modify its points and distances.


def _n_finite(X):
    if not np.isfinite(X).all():
        raise ValueError("The features contain NaN or infinity.")
    return len(X)


def _sum(X):
    return X.sum(axis=0, dtype=np.float64)


def _nearest(X, start, mean):
    distance = distances(X, mean)
    u = int(distance.argmin())
    return float(distance[u]), start + u, X[[u]]


def _lower(X, start, distance, points, centers):
    """Return the distances to all centers, of which ``points`` are the new ones."""
    distance = np.full(len(X), np.inf) if distance is None else distance.copy()
    distance = Points(X).lower(distance, points)
    own = np.asarray(centers, dtype=np.intp) - start
    distance[own[(own >= 0) & (own < len(X))]] = -1  # not to be chosen twice
    return distance


def _farthest(X, start, distance, n_far):
    """Return the farthest rows and their indices, and how far the next one is."""
    far, limit = farthest_rows(distance, n_far)
    if limit is not None:
        limit = limit[0], limit[1] - start
    return far + start, distance[far], X[far], limit

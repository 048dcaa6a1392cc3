"""K-center covers of plain arrays: the radius, the greedy cover, the exact program.

The objective comes first (`cover_radius` and the distances it uses), followed by the
two searches that minimise it. `k_center_greedy` is within a factor of two of the
optimum, and linear in all sizes. `k_center_mip` bisects over the radius and asks a 0-1
program whether a radius is feasible.
"""

from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_array, gen_batches
from torch import Tensor

from skdfal._utils._torch import HALVES
from skdfal._utils._validation import COUNT, COUNT_OR_ZERO, Interval, validate_params
from skdfal.cover._program import Budget, solve_cover

# Maximum size of temporary arrays: 2 MiB of float64, which fits into caches.
_BLOCK = 2**18
# Number of farthest samples updated after each center; the others are updated less
# often.
N_FAR = 512
# Maximum number of distances in the program (400 MB); larger problems stay unproven.
_MAX_PAIRS = 50_000_000
# Number of points added to the program when its cover leaves some of the pool
# uncovered.
_N_NEW_ROWS = 8
# Deterministic seconds per coordinate of a distance, and per distance in a program;
# close to real seconds.
_SECONDS_PER_COORDINATE = 2e-9
_SECONDS_PER_PAIR = 5e-8
# Beyond this value, squares of differences overflow.
_LARGEST = 1e150


class KCenterResult(NamedTuple):
    """A cover of a pool by some of its own points.

    Parameters
    ----------
    centers : ndarray of shape (n_centers,)
        Indices into the pool, distinct, in farthest-first order.
    radius : float
        Distance from the worst covered sample to its nearest center or labelled point,
        ignoring the `n_outliers` worst samples.
    proven : bool
        Whether no other choice of centers has a smaller radius.
    greedy_radius : float
        Radius of the greedy centers, with the same number of outliers.
    lower_bound : float
        Lower bound on the radius of any choice of centers.
    n_outliers : int
        Number of samples that the radius ignores.
    n_solves : int
        Number of 0-1 programs solved.
    """

    centers: np.ndarray
    radius: float
    proven: bool
    greedy_radius: float
    lower_bound: float
    n_outliers: int
    n_solves: int


# The objective.


def distances(X, Y):
    """Euclidean distance from each row of X to Y, one point or one point per row of X.

    All reported or compared distances are computed here, from differences. They keep
    their precision however far the data lie from the origin, and d_ij == d_ji.
    """
    Y = np.broadcast_to(Y, X.shape)
    square = np.empty(len(X))
    for rows in gen_batches(len(X), max(1, _BLOCK // X.shape[1])):
        difference = np.subtract(X[rows], Y[rows], dtype=np.float64)
        square[rows] = np.einsum("ij,ij->i", difference, difference)
    return np.sqrt(square)


class Points:
    """Points to cover, in float32 or float64, with precomputed parts of distances."""

    def __init__(self, X):
        self.X = X
        self.mean = X.mean(axis=0, dtype=np.float64)
        self.square = np.empty(len(X))  # ||z||², z = x - mean
        for rows in gen_batches(len(X), max(1, _BLOCK // X.shape[1])):
            Z = self._centered(X[rows])
            self.square[rows] = np.einsum("ij,ij->i", Z, Z)

    def _centered(self, points):
        return np.subtract(points, self.mean, dtype=np.float64)

    def lower(self, distance, points):
        """Lower `distance`, in place, to the nearest of `points` where that is less.

        One matrix product screens all pairs. The few pairs that it cannot rule out,
        given its rounding error, are computed exactly by `distances`.
        """
        n_features = self.X.shape[1]
        Z_p = self._centered(points)
        square_p = np.einsum("ij,ij->i", Z_p, Z_p)
        rounding = 8 * (n_features + 4) * np.finfo(float).eps
        n_rows = max(1, _BLOCK // max(len(points), n_features))
        for rows in gen_batches(len(self.X), n_rows):
            slack = rounding * (self.square[rows] + square_p.max())
            screen = self._centered(self.X[rows]) @ (-2 * Z_p.T)  # (n_rows, n_points)
            screen += square_p  # d² - ||z||²
            bound = np.minimum(
                screen.min(axis=1), distance[rows] ** 2 - self.square[rows]
            )
            i, p = np.nonzero(screen <= (bound + slack)[:, np.newaxis])
            i += rows.start
            n_pairs = max(1, _BLOCK // n_features)
            for start in range(0, len(i), n_pairs):  # none if all are nearer already
                near = slice(start, start + n_pairs)
                exact = distances(self.X[i[near]], points[p[near]])
                np.minimum.at(distance, i[near], exact)
        return distance

    def distance_to(self, points):
        """Distance from each sample to the nearest of `points`; inf without any."""
        distance = np.full(len(self.X), np.inf)
        return self.lower(distance, points) if len(points) else distance


def _robust_radius(distance, n_outliers):
    """Return the largest distance, ignoring the `n_outliers` largest ones."""
    last = len(distance) - 1 - n_outliers
    return float(np.partition(distance, last)[last]) if last >= 0 else 0.0


@validate_params(
    {
        "X": ["array-like"],
        "centers": ["array-like"],
        "X_labeled": ["array-like", None],
        "n_outliers": [COUNT_OR_ZERO],
    },
    prefer_skip_nested_validation=True,
)
def cover_radius(X, centers, *, X_labeled=None, n_outliers=0):
    """Distance from the worst covered sample to its nearest center.

    This is the objective of CORE-SET [1]_: the smaller the radius, the better the
    centers and the labelled points represent the pool.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Pool to cover.
    centers : array-like of shape (n_centers,)
        Indices into `X`.
    X_labeled : array-like of shape (n_labeled, n_features), default=None
        Points that already serve as centers.
    n_outliers : int, default=0
        Number of samples that may stay uncovered; the farthest ones are ignored.

    Returns
    -------
    radius : float
        Euclidean distance, in the units of `X`; 0 if all samples may stay uncovered.

    Raises
    ------
    ValueError
        If an input contains NaN or infinity, if `X_labeled` and `X` differ in their
        number of features, if `centers` are not indices into `X`, or if there are
        neither centers nor labelled points.

    Notes
    -----
    With s the centers and the labelled points, the radius is

        max_i min_{j in s} d(i, j)

    over the samples i that are not ignored as outliers.

    References
    ----------
    .. [1] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks:
       A Core-Set Approach", ICLR 2018, https://arxiv.org/abs/1708.00489

    Examples
    --------
    >>> from skdfal import cover_radius
    >>> X = [[0.0], [1.0], [2.0], [9.0]]
    >>> cover_radius(X, [1])
    8.0
    >>> cover_radius(X, [1], n_outliers=1)
    1.0
    >>> cover_radius(X, [1], X_labeled=[[7.0]])
    2.0
    """
    X, X_labeled = _check_points(X, X_labeled)
    centers = _check_centers(centers, len(X))
    points = np.concatenate([X_labeled, X[centers]])
    if len(points) == 0:
        raise ValueError(
            "cover_radius got neither centers nor labelled points, so there is nothing "
            "to measure from. Pass indices in centers, or points in X_labeled."
        )
    return _robust_radius(Points(X).distance_to(points), n_outliers)


# The greedy cover.


@validate_params(
    {
        "X": ["array-like"],
        "n_centers": [COUNT],
        "X_labeled": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def k_center_greedy(X, n_centers, *, X_labeled=None):
    """Cover a pool by farthest-first traversal [1]_, [2]_.

    Each center is the sample farthest from the labelled points and all earlier centers.
    The radius is at most twice the smallest possible, and no polynomial algorithm
    guarantees better. Time is linear in `n_samples`, in `n_centers` and in the number
    of labelled points; memory is linear in `n_samples`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Pool to cover.
    n_centers : int
        Number of samples to select, at most `n_samples`.
    X_labeled : array-like of shape (n_labeled, n_features), default=None
        Points that already serve as centers. If None or empty, the first center is the
        sample nearest to the mean of `X`.

    Returns
    -------
    result : KCenterResult
        Named tuple with `centers` (ndarray of shape (n_centers,), distinct, in the
        order of selection), `radius`, `proven`, `greedy_radius` (here equal to the
        radius) and `lower_bound`, which is half of it. `proven` is true only for radius
        0, since the greedy cover does not know how close to the optimum it is.

    Raises
    ------
    ValueError
        If `n_centers` exceeds `n_samples`, if an input contains NaN or infinity, or if
        `X_labeled` and `X` differ in their number of features.

    See Also
    --------
    k_center_mip : The smallest radius, found with 0-1 programs.

    Notes
    -----
    Repeat `n_centers` times, where s are the labelled points and the centers so far:

        u = argmax_i min_{j in s} d(i, j),  s = s ∪ {u}

    Ties go to the lowest index. The bound holds for any first center.

    References
    ----------
    .. [1] T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance",
       Theoretical Computer Science 38, 1985,
       https://doi.org/10.1016/0304-3975(85)90224-5
    .. [2] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks:
       A Core-Set Approach", ICLR 2018, https://arxiv.org/abs/1708.00489

    Examples
    --------
    >>> from skdfal import k_center_greedy
    >>> result = k_center_greedy([[0.0], [1.0], [2.0], [9.0]], 2)
    >>> result.centers, result.radius
    (array([2, 3]), 2.0)
    """
    X, X_labeled = _check_points(X, X_labeled)
    _check_n_centers(n_centers, len(X))
    pool = Points(X)
    d0 = pool.distance_to(X_labeled)
    centers, distance = _farthest_first(pool, d0, n_centers)
    radius = _robust_radius(distance, 0)
    return KCenterResult(
        centers=np.array(centers),
        radius=radius,
        proven=radius == 0,
        greedy_radius=radius,
        lower_bound=radius / 2,
        n_outliers=0,
        n_solves=0,
    )


def _farthest_first(pool, distance, n_centers, centers=()):
    """Extend `centers` to `n_centers`; `distance` is the one to all chosen points."""
    # Centers are marked by -1, so that none is chosen twice when all points are
    # covered.
    distance, centers = distance.copy(), list(centers)
    distance[centers] = -1
    while len(centers) < n_centers:
        if np.isinf(distance[0]):  # no labelled point and no center yet
            chosen = [int(distances(pool.X, pool.mean).argmin())]
        else:
            chosen = _farthest_few(pool, distance, n_centers - len(centers))
        pool.lower(distance, pool.X[chosen])  # s = s ∪ {u}
        distance[chosen] = -1
        centers += chosen
    return centers, np.maximum(distance, 0)


def _farthest_few(pool, distance, n_centers):
    """Return the next centers, up to `n_centers`, that the farthest samples determine.

    Distances never grow. A sample that is still farther than the initial distance of
    all other samples is therefore the farthest of the pool; no other distance is
    needed.
    """
    far, limit = farthest_rows(distance, N_FAR)
    return far[
        choose_among_far(far, distance[far], pool.X[far], limit, n_centers)
    ].tolist()


def farthest_rows(distance, n_far):
    """Return the farthest rows, sorted, with distance and minus index of the next."""
    order = np.argsort(-distance, kind="stable")
    limit = [(float(distance[i]), -int(i)) for i in order[n_far:][:1]]
    return np.sort(order[:n_far]), limit[0] if limit else None


def choose_among_far(index, distance, X, limit, n_centers):
    """Choose centers among the farthest points, until another point may be farther.

    `index` contains their positions in the pool, ascending. `limit` is the distance and
    minus index of the farthest other point. Returns positions in `index`.
    """
    distance, chosen = distance.copy(), []
    while len(chosen) < n_centers:
        u = int(distance.argmax())  # u = argmax_i min_{j in s} d(i, j)
        if chosen and limit is not None and (distance[u], -index[u]) < limit:
            break
        np.minimum(distance, distances(X, X[u]), out=distance)
        distance[u] = -1
        chosen.append(u)
    return chosen


# The program.


@validate_params(
    {
        "X": ["array-like"],
        "n_centers": [COUNT],
        "X_labeled": ["array-like", None],
        "outlier_fraction": [Interval(Real, 0, 1, closed="both")],
        "time_limit": [Interval(Real, 0, None, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def k_center_mip(X, n_centers, *, X_labeled=None, outlier_fraction=1e-4, time_limit=60):
    """Cover a pool with the smallest radius, using 0-1 programs [1]_.

    The search starts from the greedy cover and bisects over the distances in the pool.
    Its result is never worse than greedy and usually proven optimal. It takes seconds
    where greedy takes milliseconds. Ctrl-C stops it at once.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Pool to cover.
    n_centers : int
        Number of samples to select, at most `n_samples`.
    X_labeled : array-like of shape (n_labeled, n_features), default=None
        Points that already serve as centers.
    outlier_fraction : float, default=1e-4
        Fraction of the pool, in [0, 1], that may stay uncovered; rounded down to a
        whole number of samples.
    time_limit : float, default=60
        Time limit for the search after greedy, in deterministic seconds. They count the
        work done, mostly as estimated by CP-SAT, so the result does not depend on the
        speed or load of the machine. One of them took 0.8 to 1.2 s on a core of a
        current server. If the limit is reached, the best cover so far is returned,
        marked as not proven.

    Returns
    -------
    result : KCenterResult
        Named tuple with `centers` (ndarray of shape (n_centers,), distinct, in
        farthest-first order), `radius`, `proven`, `greedy_radius`, `lower_bound`,
        `n_outliers` and `n_solves`.

    Raises
    ------
    ValueError
        If `n_centers` exceeds `n_samples`, if an input contains NaN or infinity, or if
        `X_labeled` and `X` differ in their number of features.

    See Also
    --------
    k_center_greedy : Within a factor of two, and much faster.
    cover_radius : The objective.

    Notes
    -----
    For a radius δ, with d0_i the distance to the labelled points, find a solution of

        u_j ∈ {0, 1} for j in the pool;  o_i ∈ {0, 1} for i with d0_i > δ
        Σ_j u_j ≤ b
        Σ_{j: d_ij ≤ δ} u_j + o_i ≥ 1    for each such i
        Σ_i o_i ≤ Ξ

    u_j : sample j is a center; o_i : sample i is an outlier; b : `n_centers`;
    Ξ : `n_outliers`, the floor of `outlier_fraction` times `n_samples`.

    The implementation departs from the paper as follows, without changing the optimum:

    - Constraints are first written for a few samples i, and added for others as covers
      leave them out. If the program is infeasible for a few samples, it is infeasible
      for all.
    - An objective is added, so that the linear relaxation has something to bound.
    - A cover of fewer than b centers is completed with the farthest samples.
    - The search starts from half the greedy radius after b + Ξ centers. This is valid
      since b + Ξ + 1 samples that are at least that radius apart cannot be covered by b
      balls of less than half of it.

    With one thread, a fixed seed and no clock, the same input gives the same result.

    References
    ----------
    .. [1] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks:
       A Core-Set Approach", ICLR 2018, https://arxiv.org/abs/1708.00489

    Examples
    --------
    >>> from skdfal import k_center_mip
    >>> X = [[0.0], [1.0], [2.0], [8.0], [9.0], [10.0], [99.0]]
    >>> result = k_center_mip(X, 2, outlier_fraction=0.15)
    >>> sorted(result.centers.tolist()), result.radius, result.proven
    ([1, 4], 1.0, True)
    """
    X, X_labeled = _check_points(X, X_labeled)
    _check_n_centers(n_centers, len(X))
    # Round first: 0.29 * 100 is 28.999... in floating point.
    n_outliers = int(np.floor(np.round(outlier_fraction * len(X), 9)))
    pool = Points(X)
    d0 = pool.distance_to(X_labeled)
    greedy, distance = _farthest_first(pool, d0, n_centers)
    greedy_radius = _robust_radius(distance, n_outliers)

    centers, radius, lower, n_solves = _bisect(
        pool, d0, greedy, distance, n_outliers, Budget(time_limit)
    )
    if n_solves and radius < greedy_radius:
        order, _ = _farthest_first(Points(X[centers]), d0[centers], n_centers)
        centers = np.array(centers)[order]
    return KCenterResult(
        centers=np.array(centers),
        radius=radius,
        proven=lower >= radius,
        greedy_radius=greedy_radius,
        lower_bound=lower,
        n_outliers=n_outliers,
        n_solves=n_solves,
    )


def _bisect(pool, d0, centers, distance, n_outliers, budget):
    """Bisect over the distances; proven when the lower bound reaches the radius."""
    n_centers, n_solves = len(centers), 0
    upper = _robust_radius(distance, n_outliers)
    active, lower = _packing(pool, centers, distance, n_outliers, budget)
    d = np.empty((0, len(d0)))  # d_ij, i active
    while lower < upper and len(active) * len(d0) <= _MAX_PAIRS:
        budget.charge((len(active) - len(d)) * pool.X.size * _SECONDS_PER_COORDINATE)
        budget.charge(len(active) * len(d0) * _SECONDS_PER_PAIR)
        d = np.vstack([d, *(distances(pool.X, pool.X[i]) for i in active[len(d) :])])
        values = np.concatenate([d[(d >= lower) & (d < upper)], d0[active]])
        values = values[(values >= lower) & (values < upper)]
        if len(values) == 0:  # no candidate radius left in between
            lower = upper
            break
        middle = (len(values) - 1) // 2
        delta = np.partition(values, middle)[middle]
        within = d[d0[active] > delta] <= delta  # the others need no center
        feasible, found = solve_cover(within, n_centers, n_outliers, budget)
        n_solves += 1
        if feasible is None:  # out of time, so nothing is proven
            break
        if not feasible:  # drop all values <= δ
            lower = values[values > delta].min(initial=upper)
            continue
        found, distance = _fill(pool, d0, found, n_centers)
        radius = _robust_radius(distance, n_outliers)  # the true one, often < δ
        if radius < upper:
            centers, upper = found, radius
        if radius > delta:
            new = _left_out(pool, active, distance, delta)
            if not new:  # only if distances disagree in their last digit
                break
            active = active + new
    return centers, upper, min(float(lower), upper), n_solves


def _packing(pool, centers, distance, n_outliers, budget):
    """Return samples too far apart to share a ball, and the radius they rule out."""
    points = list(centers)
    if (len(points) + n_outliers) * len(distance) > _MAX_PAIRS:
        return points, 0.0
    while len(points) < min(len(centers) + n_outliers, len(distance)):
        if budget.left <= 0:
            return points, 0.0
        budget.charge(pool.X.size * _SECONDS_PER_COORDINATE)
        points, distance = _farthest_first(pool, distance, len(points) + 1, points)
    farthest = int(distance.argmax())
    if distance[farthest] == 0:  # fewer than b + Ξ + 1 distinct samples
        return points, 0.0
    # Slightly less than half, since computed distances may violate the triangle
    # inequality in their last digit.
    return [*points, farthest], (0.5 - 1e-9) * distance[farthest]


def _fill(pool, d0, centers, n_centers):
    """Complete a cover with the farthest samples; return it and the distances to it."""
    distance = d0.copy()
    if centers:
        pool.lower(distance, pool.X[centers])
    return _farthest_first(pool, distance, n_centers, centers)


def _left_out(pool, active, distance, delta):
    """Return some samples beyond δ, farthest first, no two within δ of each other."""
    distance = distance.copy()
    distance[active] = 0
    new = []
    while len(new) < _N_NEW_ROWS and distance.max() > delta:
        new.append(int(distance.argmax()))
        distance[distances(pool.X, pool.X[new[-1]]) <= delta] = 0
    return new


# Input.


def _check_points(X, X_labeled):
    """Validate the pool and the labelled points, (0, n_features) if there are none."""
    X = _check_finite(X, "X")
    if X_labeled is None or len(X_labeled) == 0:
        return X, np.empty((0, X.shape[1]))
    X_labeled = _check_finite(X_labeled, "X_labeled")
    if X_labeled.shape[1] != X.shape[1]:
        raise ValueError(
            f"X_labeled has {X_labeled.shape[1]} features, but X has {X.shape[1]}: "
            "both should come from the same layer or the same columns."
        )
    return X, X_labeled


def _check_finite(X, name):
    X = check_array(
        _as_array(X, name),
        dtype=[np.float64, np.float32],
        order="C",
        input_name=name,
    )
    if max(float(X.max()), -float(X.min())) > _LARGEST:
        raise ValueError(
            f"{name} holds a value beyond {_LARGEST:g}, whose square overflows. "
            "Scale the data down."
        )
    return X


def _as_array(X, name):
    """Convert a tensor of any device and precision to an array; keep anything else."""
    if np.ma.is_masked(X):
        raise ValueError(
            f"{name} is a masked array with {np.ma.count_masked(X)} masked values, and "
            "there is no distance to a missing value. Fill them in, or leave out their "
            "rows."
        )
    if not isinstance(X, Tensor):
        return X
    if X.is_meta or X.layout != torch.strided:
        raise ValueError(
            f"{name} should be a dense tensor with values, got one of layout "
            f"{X.layout} on device {X.device}."
        )
    # numpy has no bfloat16
    return (X.float() if X.dtype in HALVES else X).numpy(force=True)


def _check_n_centers(n_centers, n_samples):
    if n_centers > n_samples:
        raise ValueError(f"n_centers={n_centers} should be <= n_samples={n_samples}.")


def _check_centers(centers, n_samples):
    """Validate indices into the pool."""
    centers = np.asarray(centers)
    if centers.size == 0:
        return np.empty(0, dtype=np.intp)
    if centers.ndim != 1 or not np.issubdtype(centers.dtype, np.integer):
        raise ValueError(
            "centers should be a one-dimensional array of integer indices into X, got "
            f"shape {centers.shape} and dtype {centers.dtype}."
        )
    if centers.min() < 0 or centers.max() >= n_samples:
        raise ValueError(
            f"centers should lie in [0, n_samples={n_samples}), got values from "
            f"{centers.min()} to {centers.max()}."
        )
    return centers

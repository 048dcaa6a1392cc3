"""ProbCover: samples whose neighbourhoods contain as much of the pool as possible."""

from numbers import Real

import numpy as np
from sklearn.utils import check_random_state, gen_batches
from torch import nn

from skdfal._utils._validation import QUERY_PARAMETERS, Interval, validate_params
from skdfal._utils._warnings import few_distinct_rows
from skdfal.adapter import torch_nets
from skdfal.strategies._base import draw_candidates, register
from skdfal.strategies._unit_features import unit_features

__all__ = ["prob_cover_sampling"]

# Side length of the blocks in which pairs are processed: 16 MiB of float32.
_SIDE = 2_048
# Number of samples used to choose the radius by their nearest other-cluster sample.
_N_PROBED = 5_000


class _Pairs:
    """Squared distances of all pairs, computed block by block and never stored."""

    def __init__(self, Z):
        self.Z = Z
        self.square = np.einsum("ij,ij->i", Z, Z)

    def blocks(self, of=None):
        """Yield slices of rows: of all samples, or of the first ``of`` rows."""
        n = len(self.Z) if of is None else of
        return gen_batches(n, _SIDE) if n else ()

    def square_distance(self, rows, columns):
        """||z_i - z_j||² from one matrix product; (n_rows, n_columns)."""
        distance = self.Z[rows] @ (-2 * self.Z[columns].T)
        distance += self.square[rows, None]
        distance += self.square[columns]
        return distance

    def to_strangers(self, rows, cluster):
        """Squared distance of rows to the nearest sample of another cluster; (n,)."""
        nearest = np.full(len(rows), np.inf)
        for part in self.blocks(of=len(rows)):
            for columns in self.blocks():
                distance = self.square_distance(rows[part], columns)
                is_own = cluster[rows[part], None] == cluster[columns]
                distance[is_own] = np.inf
                np.minimum(nearest[part], distance.min(axis=1), out=nearest[part])
        return nearest


def _pure_radius(pairs, cluster, purity, random_state):
    """Squared largest δ for which a fraction ``purity`` of the balls is pure."""
    rows = np.arange(len(cluster))
    if len(rows) > _N_PROBED:
        rows = np.sort(random_state.choice(rows, _N_PROBED, replace=False))
    nearest = np.sort(pairs.to_strangers(rows, cluster))
    n_impure = int(np.floor(np.round((1 - purity) * len(rows), 9)))
    return nearest[min(n_impure, len(rows) - 1)]


class _Cover:
    """Balls of radius δ, with the number of uncovered samples that each would cover."""

    def __init__(self, pairs, square_delta):
        self.pairs, self.square_delta = pairs, square_delta
        self.is_open = np.ones(len(pairs.Z), dtype=bool)
        self.degree = np.zeros(len(pairs.Z))  # integers, stored as floats
        blocks = list(pairs.blocks())
        for i, rows in enumerate(blocks):  # each pair is visited once
            near = self._near(rows, rows)
            self.degree[rows] += near.sum(axis=1)
            for columns in blocks[i + 1 :]:
                near = self._near(rows, columns)
                self.degree[rows] += near.sum(axis=1)
                self.degree[columns] += near.sum(axis=0)

    def _near(self, rows, columns):
        """Whether each pair is closer than δ; 0 or 1 in float, ready to be summed."""
        near = self.pairs.square_distance(rows, columns) < self.square_delta
        return near.astype(np.float32)

    def add(self, centers):
        """Mark the balls around ``centers`` as covered."""
        covered = np.zeros_like(self.is_open)
        for part in self.pairs.blocks(of=len(centers)):
            for columns in self.pairs.blocks():
                near = self._near(centers[part], columns)
                covered[columns] |= near.any(axis=0)
        covered[centers] = True
        new = np.flatnonzero(covered & self.is_open)
        self.is_open[new] = False
        for part in self.pairs.blocks(of=len(new)):
            for columns in self.pairs.blocks():
                near = self._near(new[part], columns)
                self.degree[columns] -= near.sum(axis=0)


def _greedy(pairs, square_delta, n_instances, n_pool, random_state):
    """Repeatedly choose the ball that covers the most uncovered samples.

    Rows of ``pairs`` from ``n_pool`` on are labelled. Once the whole pool is covered,
    the remaining samples are drawn at random.
    """
    cover = _Cover(pairs, square_delta)
    is_free = np.arange(len(pairs.Z)) < n_pool
    cover.add(np.flatnonzero(~is_free))
    chosen = []
    while len(chosen) < n_instances and cover.is_open[:n_pool].any():
        u = int(np.where(is_free, cover.degree, -1).argmax())
        cover.add(np.array([u]))
        is_free[u] = False
        chosen.append(u)
    n_left = n_instances - len(chosen)
    rest = random_state.permutation(np.flatnonzero(is_free))[:n_left]
    return np.concatenate([np.array(chosen, dtype=np.int64), rest])


@register(
    "prob_cover",
    label="ProbCover",
    needs="features",
    style=("#44AA99", "dashdot", "8"),
    paper="Yehuda et al. 2022",
)
@validate_params(
    QUERY_PARAMETERS
    | {
        "X_labeled": "no_validation",
        "delta": [Interval(Real, 0, None, closed="neither"), None],
        "purity": [Interval(Real, 0, 1, closed="both")],
        "layer": [str, nn.Module, None],
    },
    prefer_skip_nested_validation=True,
)
def prob_cover_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    delta=None,
    purity=0.95,
    layer=None,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    r"""Query samples whose neighbourhoods contain as much of the pool as possible [1]_.

    Designed for the first few labels, like :func:`typi_clust_sampling`. CORE-SET covers
    the entire pool with the smallest possible balls; ProbCover covers as much as
    possible with balls of fixed size, so it does not query outliers.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. The features of committee members are concatenated.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from, in the format that ``fit`` takes.
    n_instances : int, default=1
        Number of samples to query, the paper's b.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Labelled samples, in the same format as ``X``. If None, the training samples of
        a modAL learner are used; :class:`ActiveLearningClassifier` passes the annotated
        samples itself.
    delta : float > 0, default=None
        Radius of the balls, measured between feature vectors of unit length. If None,
        the largest radius that satisfies ``purity`` is used.
    purity : float in [0, 1], default=0.95
        Fraction of balls that should lie within a single cluster, the paper's α. The
        clusters come from k-means, with as many clusters as classes. If there are more
        than 5,000 samples, 5,000 balls drawn at random are checked.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is used as features, given as a module or by its
        name in ``named_modules()``. If None, the input of the last linear layer is
        used.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are covered and
        can be queried. If None, the whole pool is considered.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates, the clustering, and the samples
        queried once the whole pool is covered.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, starting with the ball that covers the most
        samples.

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
    With features z of unit length, the method is a greedy solution, which reaches at
    least 1 - 1/e of the optimum for its size, of

    .. math:: \max_{|Q| = b} \Big| \bigcup_{x \in s \cup Q} B_\delta(x) \Big| , \quad
        B_\delta(x) = \{x' : \|z - z'\| < \delta\} ,

    where s are the labelled samples. The graph of the balls is never stored: each
    sample keeps the number of uncovered samples in its ball, and the neighbours of a
    sample are searched once, when it becomes covered. Memory is linear in the pool, and
    time is at most that of visiting all pairs twice.

    The paper tries several radii. Here δ is the largest radius that satisfies
    ``purity``, given by a quantile of the distances to the nearest sample of another
    cluster.

    References
    ----------
    .. [1] O. Yehuda, A. Dekel, G. Hacohen, D. Weinshall, "Active Learning Through a
       Covering Lens", NeurIPS 2022, arXiv:2205.11320.

    Examples
    --------
    >>> import torch
    >>> from skdfal import make_classifier, prob_cover_sampling
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X = torch.rand(20, 1, 16, 16)
    >>> prob_cover_sampling(net, X, n_instances=5, random_state=0).shape
    (5,)
    """
    random_state = check_random_state(random_state)
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    Z, Z_labeled = unit_features(estimator, candidates, X_labeled, layer, batch_size)
    pairs = _Pairs(np.concatenate([Z, Z_labeled]))
    if delta is None:
        n_classes = torch_nets(estimator, candidates)[0].n_classes
        cluster = _clusters(pairs.Z, n_classes, random_state)
        square_delta = _pure_radius(pairs, cluster, purity, random_state)
    else:
        square_delta = delta**2
    return S_k[_greedy(pairs, square_delta, n_instances, len(S_k), random_state)]


def _clusters(Z, n_classes, random_state):
    from sklearn.cluster import KMeans

    seed = random_state.randint(2**31 - 1)
    k_means = KMeans(min(n_classes, len(Z)), n_init=1, random_state=seed)
    with few_distinct_rows():
        return k_means.fit_predict(Z)

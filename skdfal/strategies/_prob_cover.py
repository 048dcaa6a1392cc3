"""ProbCover: the samples in whose neighbourhood most of the pool lies."""

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

# Samples a side of the squares in which pairs are looked at: 16 MiB of float32.
_SIDE = 2_048
# Samples whose nearest stranger is looked for to choose the radius.
_N_PROBED = 5_000


class _Pairs:
    """Squared distances of all pairs, a block at a time, of which none is kept."""

    def __init__(self, Z):
        self.Z = Z
        self.square = np.einsum("ij,ij->i", Z, Z)

    def blocks(self, of=None):
        """Yield slices of rows: of all samples, or of so many."""
        n = len(self.Z) if of is None else of
        return gen_batches(n, _SIDE) if n else ()

    def square_distance(self, rows, columns):
        """||z_i - z_j||² by one matrix product; (n_rows, n_columns)."""
        distance = self.Z[rows] @ (-2 * self.Z[columns].T)
        distance += self.square[rows, None]
        distance += self.square[columns]
        return distance

    def to_strangers(self, rows, cluster):
        """Squared distance of some samples to the nearest of another cluster; (n,)."""
        nearest = np.full(len(rows), np.inf)
        for part in self.blocks(of=len(rows)):
            for columns in self.blocks():
                distance = self.square_distance(rows[part], columns)
                is_own = cluster[rows[part], None] == cluster[columns]
                distance[is_own] = np.inf
                np.minimum(nearest[part], distance.min(axis=1), out=nearest[part])
        return nearest


def _pure_radius(pairs, cluster, purity, random_state):
    """Largest δ, squared, at which that part of the balls are of one cluster."""
    rows = np.arange(len(cluster))
    if len(rows) > _N_PROBED:
        rows = np.sort(random_state.choice(rows, _N_PROBED, replace=False))
    nearest = np.sort(pairs.to_strangers(rows, cluster))
    n_impure = int(np.floor(np.round((1 - purity) * len(rows), 9)))
    return nearest[min(n_impure, len(rows) - 1)]


class _Cover:
    """Balls of radius δ, and how many samples each would cover that are not yet."""

    def __init__(self, pairs, square_delta):
        self.pairs, self.square_delta = pairs, square_delta
        self.is_open = np.ones(len(pairs.Z), dtype=bool)
        self.degree = np.zeros(len(pairs.Z))  # whole numbers
        blocks = list(pairs.blocks())
        for i, rows in enumerate(blocks):  # each pair once
            near = self._near(rows, rows)
            self.degree[rows] += near.sum(axis=1)
            for columns in blocks[i + 1 :]:
                near = self._near(rows, columns)
                self.degree[rows] += near.sum(axis=1)
                self.degree[columns] += near.sum(axis=0)

    def _near(self, rows, columns):
        """Whether each pair is nearer than δ, as 0 or 1 that are summed at once."""
        near = self.pairs.square_distance(rows, columns) < self.square_delta
        return near.astype(np.float32)

    def add(self, centers):
        """Take the balls around ``centers`` as covered."""
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
    """Choose the ball with the most that no other covers, again and again.

    Rows of ``pairs`` from ``n_pool`` on are labelled. Once all is covered, the rest is
    drawn at random.
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
    r"""Query the samples whose neighbourhoods hold most of the pool [1]_.

    Made for the first few labels, as :func:`typi_clust_sampling` is. Where CORE-SET
    covers all of the pool by balls as small as can be, this covers as much as can be
    by balls of a given size, so that outliers are never asked for.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner or committee
        around them (whose members' features stand side by side).
    X : array-like of shape (n_samples, ...)
        Pool to query from, as for ``fit``.
    n_instances : int, default=1
        Number of samples to query, the paper's b.
    X_labeled : array-like of shape (n_labeled, ...), default=None
        Samples labelled already, of the kind of ``X``. None takes what a modAL
        learner was taught; :class:`ActiveLearningClassifier` gives what was annotated.
    delta : float > 0, default=None
        Radius of the balls, between vectors of unit length. None takes the largest
        with ``purity``.
    purity : float in [0, 1], default=0.95
        Part of the balls that should lie within one cluster, the paper's α; k-means
        makes as many clusters as there are classes. Of more than 5,000 samples, so
        many balls are looked at, drawn at random.
    layer : str, nn.Module or None, default=None
        Features are what this layer gives out, flattened; a name is one of the
        module's ``named_modules``. None takes what goes into the last linear layer.
    n_candidates : int or None, default=None
        Cover and query among this many samples, drawn at random. None takes the whole
        pool.
    batch_size : int or None, default=None
        Samples in one forward pass. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates, the clusters, and what is asked for once all is
        covered.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, the ball that covers most first.

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
    With features z of unit length, the greedy solution, which has at least 1 - 1/e of
    the best of its size, of

    .. math:: \max_{|Q| = b} \Big| \bigcup_{x \in s \cup Q} B_\delta(x) \Big| , \quad
        B_\delta(x) = \{x' : \|z - z'\| < \delta\} ,

    s being what is labelled. The graph of the balls is never kept: a sample has the
    number of those in its ball that are not covered yet, and each that becomes covered
    is looked for once. So memory is linear in the pool, and time at most that of
    twice all pairs.

    The paper tries some radii; here δ is the largest of all with ``purity``, the
    quantile of the distances to the nearest sample of another cluster.

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

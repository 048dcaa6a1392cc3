"""CORE-SET: the samples that, with the labelled ones, best cover the pool."""

from functools import partial
from numbers import Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    Interval,
    StrOptions,
    validate_params,
)
from skdfal._utils._warnings import warn_caller
from skdfal.adapter import hidden_features, labeled_samples, map_features
from skdfal.cover import k_center_greedy_of_blocks, k_center_mip
from skdfal.pool import engine_for
from skdfal.strategies._base import draw_candidates, register
from skdfal.strategies._unit_features import unit_length

__all__ = ["core_set_sampling"]

# Number of candidates up to which the integer program proves its cover in seconds. With
# 10 labelled samples and 100 to query: 10 s for 2,000 MNIST images, no proof for 3,000
# in 30 s.
_MAX_CANDIDATES_OF_MIP = 2_000


def _directions(features):
    """Return features scaled to unit length, in double precision; (n, d)."""
    return unit_length(features.astype(np.float64))


@register(
    "core_set",
    label="CORE-SET",
    needs="features",
    n_candidates=800,
    style=("#0072B2", "dashdot", "^"),
    paper="Sener & Savarese 2018",
    in_dfal_paper=True,
)
@validate_params(
    QUERY_PARAMETERS
    | {
        "X_labeled": "no_validation",
        "layer": [str, nn.Module, None],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "solver": [StrOptions({"auto", "mip", "greedy"})],
        "outlier_fraction": [Interval(Real, 0, 1, closed="both")],
        "time_limit": [Interval(Real, 0, None, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def core_set_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    X_labeled=None,
    layer=None,
    metric="euclidean",
    solver="auto",
    outlier_fraction=1e-4,
    time_limit=60,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    r"""Query samples so that every other sample is close to a labelled one [1]_.

    Distances are measured between features of the network; labels and predicted
    probabilities play no role. The query selects typical samples of regions of the pool
    without labels.

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
        samples itself. Without labelled samples, the first sample selected is the one
        nearest to the mean of all features.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is used as features, given as a module or by its
        name in ``named_modules()``. If None, the input of the last linear layer is
        used, that is, the activations of the last hidden layer.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance between features. "euclidean" compares them unchanged, as in the
        papers. "cosine" first scales each feature vector to unit length, so that only
        its direction counts. This helps when a net trained on few labels gives samples
        of the same class feature vectors of very different lengths.
    solver : {"auto", "mip", "greedy"}, default="auto"
        How the cover is computed. "mip" searches for the smallest cover with integer
        programs (:func:`k_center_mip`). "greedy" repeatedly takes the farthest sample
        (:func:`k_center_greedy`); its radius is at most twice the smallest. "auto" uses
        "mip" for up to 2,000 candidates, which takes seconds, and "greedy" for more.
    outlier_fraction : float in [0, 1], default=1e-4
        Fraction of the candidates that may stay uncovered, the paper's Ξ; only for
        "mip".
    time_limit : float, default=60
        Time limit for "mip" in deterministic seconds. They are about as long as real
        seconds, but make the result independent of the machine. See
        :func:`k_center_mip`.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are covered and
        can be queried. If None, the whole pool is considered.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, in farthest-first order with respect to the
        labelled samples.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if the module
        has no such ``layer``, or if ``X`` or ``X_labeled`` contains NaN or infinity, or
        has a shape that the net cannot take. If ``solver="mip"`` on more than 2,000
        samples of a pool beyond memory, and ``n_candidates`` is not given.

    Warns
    -----
    ConvergenceWarning
        If "mip" could not prove within ``time_limit`` that its cover is the smallest.
        The best cover found so far is returned.

    See Also
    --------
    cover_radius : The objective, for plain arrays.

    Notes
    -----
    Let s be the labelled samples and d the Euclidean distance between features, which
    are scaled to unit length for ``metric="cosine"`` (d² is then twice the cosine
    distance). Choose

    .. math:: \min_{|Q| = b} \max_i \min_{j \in s \cup Q} d(i, j),

    leaving aside a fraction Ξ of the candidates i.

    References
    ----------
    .. [1] O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks:
       A Core-Set Approach", ICLR 2018, arXiv:1708.00489.

    Examples
    --------
    >>> import torch
    >>> from skdfal import core_set_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> core_set_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    scale = _directions if metric == "cosine" else np.asarray
    X_labeled = labeled_samples(estimator, X_labeled)
    if X_labeled is not None:
        X_labeled = scale(hidden_features(estimator, X_labeled, batch_size, layer))
    if solver == "auto":
        solver = "mip" if len(S_k) <= _MAX_CANDIDATES_OF_MIP else "greedy"
    if solver == "greedy":
        blocks = partial(map_features, estimator, candidates, batch_size, layer)
        engine = engine_for(candidates)
        return S_k[_greedy_cover(engine, blocks, n_instances, X_labeled, metric)]
    if n_candidates is None and not candidates.is_in_memory:
        _check_fits_program(len(S_k))
    features = scale(hidden_features(estimator, candidates, batch_size, layer))
    cover = k_center_mip(
        features,
        n_instances,
        X_labeled=X_labeled,
        outlier_fraction=outlier_fraction,
        time_limit=time_limit,
    )
    if not cover.proven:
        warn_caller(
            f"Could not prove within {time_limit=} deterministic seconds that the "
            f"cover of radius {cover.radius:.4g} is the smallest: the smallest radius "
            f"is at least {cover.lower_bound:.4g}, that of the greedy cover is "
            f"{cover.greedy_radius:.4g}. Raise time_limit, lower n_candidates or "
            'outlier_fraction, or use solver="greedy".',
            ConvergenceWarning,
        )
    return S_k[cover.centers]


def _greedy_cover(engine, map_blocks, n_instances, X_labeled, metric):
    """Return the centers of the greedy cover; the features stay where they are."""
    blocks = list(map_blocks(keep=True, engine=engine))
    if metric == "cosine":
        blocks = [(block,) for block in blocks]
        blocks = list(engine.apply(_directions, blocks, keep=True))
    return k_center_greedy_of_blocks(engine, blocks, n_instances, X_labeled=X_labeled)


def _check_fits_program(n_samples):
    if n_samples > _MAX_CANDIDATES_OF_MIP:
        raise ValueError(
            f'solver="mip" on {n_samples} samples needs the distances between all of '
            "them, and the pool is not in memory. Set n_candidates, for example to "
            f'{_MAX_CANDIDATES_OF_MIP}, or use solver="greedy".'
        )

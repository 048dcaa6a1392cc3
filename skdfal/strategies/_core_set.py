"""CORE-SET: the samples that, with the labelled ones, cover the pool best."""

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

# Candidates for which the integer program proves its cover in seconds: with 10 labelled
# samples and 100 to query, 10 s for 2,000 MNIST images, and no proof for 3,000 in 30 s.
_MAX_CANDIDATES_OF_MIP = 2_000


def _directions(features):
    """Return features of unit length, exact enough to be compared; (n, d)."""
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
    r"""Query the samples that leave no other far from a labelled one [1]_.

    Distance is that of the features of the net. No label and no probability is looked
    at: it asks for what is typical of parts of the pool that nobody has labelled.

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
        Without any, the first sample found is the one nearest to the mean of all
        features.
    layer : str, nn.Module or None, default=None
        Features are what this layer gives out, flattened; a name is one of the
        module's ``named_modules``. None takes what goes into the last linear layer,
        the activations of the last hidden layer.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "euclidean" measures distances of features as they are, as the papers do.
        "cosine" scales each feature vector to unit length first, so that only its
        direction counts: of use where a net with few labels gives samples of one
        class vectors of very different length.
    solver : {"auto", "mip", "greedy"}, default="auto"
        "mip" searches the smallest cover by integer programs, :func:`k_center_mip`;
        "greedy" takes the farthest sample each time, :func:`k_center_greedy`, whose
        radius is at most twice the smallest. "auto" is "mip" for up to 2,000
        candidates, which it settles in seconds, and "greedy" for more.
    outlier_fraction : float in [0, 1], default=1e-4
        Part of the candidates that may stay uncovered, the paper's Ξ; for "mip".
    time_limit : float, default=60
        Deterministic seconds that "mip" may take, about as long as a clock's: the
        answer does not depend on the machine. See :func:`k_center_mip`.
    n_candidates : int or None, default=None
        Query among this many samples, drawn at random, and cover only them. None
        takes the whole pool.
    batch_size : int or None, default=None
        Samples in one forward pass. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, the farthest from what is labelled first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if ``layer`` is
        not in the module, or if ``X`` or ``X_labeled`` is not finite, or of a shape
        that the net cannot take. If ``solver="mip"`` on more than 2,000 samples of a
        pool beyond memory, and ``n_candidates`` is not given.

    Warns
    -----
    ConvergenceWarning
        If "mip" could not prove its cover the smallest within ``time_limit``; the
        best so far is returned.

    See Also
    --------
    cover_radius : The objective, on plain arrays.

    Notes
    -----
    With s the labelled samples and d the Euclidean distance of features, which are of
    unit length for ``metric="cosine"`` (d² is then twice the cosine distance), choose

    .. math:: \min_{|Q| = b} \max_i \min_{j \in s \cup Q} d(i, j),

    Ξ of the candidates i left aside.

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
            f"The cover of radius {cover.radius:.4g} is not proven the smallest within "
            f"{time_limit=} deterministic s: the smallest is at least "
            f"{cover.lower_bound:.4g}, greedy's is {cover.greedy_radius:.4g}. Raise "
            "time_limit, lower n_candidates or outlier_fraction, or use "
            'solver="greedy".',
            ConvergenceWarning,
        )
    return S_k[cover.centers]


def _greedy_cover(engine, map_blocks, n_instances, X_labeled, metric):
    """Return the centers of the greedy cover, of features that stay where they are."""
    blocks = list(map_blocks(keep=True, engine=engine))
    if metric == "cosine":
        blocks = [(block,) for block in blocks]
        blocks = list(engine.apply(_directions, blocks, keep=True))
    return k_center_greedy_of_blocks(engine, blocks, n_instances, X_labeled=X_labeled)


def _check_fits_program(n_samples):
    if n_samples > _MAX_CANDIDATES_OF_MIP:
        raise ValueError(
            f'solver="mip" on {n_samples} samples of a pool beyond memory needs the '
            "distances of all of them. Give n_candidates, such as "
            f'{_MAX_CANDIDATES_OF_MIP}, or use solver="greedy".'
        )

"""A batch-diverse DFAL: near the boundary, but not all in the same place of it."""

from numbers import Real

import numpy as np
from torch import nn

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    COUNT,
    QUERY_PARAMETERS,
    Interval,
    validate_params,
)
from skdfal.adapter import hidden_features
from skdfal.augment import AdversarialAugmenter
from skdfal.strategies._base import draw_candidates, register

# A variant of the margin query, so built on its search.
from skdfal.strategies._deepfool_margin import attack_parameters, smallest_margins

__all__ = ["dfal_diverse_sampling"]


class _Information:
    """F(S) = log det(I + δ L_S) / δ for L_ij = q_i q_j K(z_i, z_j); the objective.

    ``variance`` is what is left of each q_j² = L_jj once S is known; F gains
    log(1 + δ variance_j) / δ from j. For δ = 0 that is q_j² itself, whatever S.
    """

    def __init__(self, margin, features, diversity):
        self.q = np.exp(-margin / (2 * _mean_finite(margin)))  # q² = exp(-r / r̄)
        self.features = features
        self.scale = 2 * features.var(axis=0).sum() or 1.0  # mean of ||z_i - z_j||²
        self.diversity = diversity
        self.variance = self.q**2
        self.known = []  # one vector for each sample of S

    def column(self, j):
        """L_·j; (n,)."""
        square = ((self.features - self.features[j]) ** 2).sum(axis=1)
        return self.q * self.q[j] * np.exp(-square / self.scale)

    def add(self, j):
        """S = S ∪ {j}: condition all the others on sample j, seen with unit noise."""
        covariance = self.column(j)
        for u in self.known:
            covariance -= self.diversity * u[j] * u
        u = covariance / np.sqrt(1 + self.diversity * covariance[j])
        self.known.append(u)
        self.variance = np.maximum(self.variance - self.diversity * u**2, 0)


def _mean_finite(margin):
    finite = margin[np.isfinite(margin)]
    return (finite.mean() if len(finite) else 0) or 1.0


def _greedy(objective, n_instances):
    """Add what gains most, ``n_instances`` times: 1 - 1/e of the best S at least."""
    S = []
    while len(S) < n_instances:
        gain = objective.variance.copy()  # the gain is increasing in it
        gain[S] = -1
        S.append(int(gain.argmax()))
        objective.add(S[-1])
    return np.array(S)


@register(
    "dfal_diverse",
    label="DFAL diverse",
    needs="gradients",
    augmenter=AdversarialAugmenter,
    n_candidates=800,
    style=("#332288", "dotted", "p"),
    paper="ours",
)
@validate_params(
    ATTACK_PARAMETERS
    | QUERY_PARAMETERS
    | {
        "diversity": [Interval(Real, 0, np.inf, closed="left")],
        "shortlist": [COUNT],
        "layer": [str, nn.Module, None],
    },
    prefer_skip_nested_validation=True,
)
def dfal_diverse_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    diversity=10.0,
    shortlist=10,
    p=2,
    n_candidates=None,
    max_iter=50,
    overshoot=0.02,
    n_top_classes=None,
    layer=None,
    batch_size=None,
    random_state=None,
):
    r"""Query samples near the decision boundary that differ from each other.

    DFAL takes the smallest margins of a batch one by one, so that near-duplicates are
    all taken together. The DFAL paper [1]_ leaves a submodular choice open; this is
    one. With ``n_instances=1`` it is :func:`deepfool_margin_sampling`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    diversity : float >= 0, default=10.0
        Weight δ of difference against margin. A second copy of a sample counts as
        much as ``1 / (1 + diversity * q²)`` of the first, q² <= 1 being its
        closeness to the boundary; 0 is DFAL.
    shortlist : int, default=10
        Choose among the ``shortlist * n_instances`` smallest margins.
    p : float in [1, inf], default=2
        Norm of the margin.
    n_candidates : int or None, default=None
        Search among this many samples, drawn at random: the paper's K. None takes all.
    max_iter : int, default=50
        Upper bound on DeepFool steps.
    overshoot : float >= 0, default=0.02
        How far the iterates go beyond the boundary, relative to the perturbation.
    n_top_classes : int >= 2 or None, default=None
        Attack only towards the likeliest classes, the predicted one included. None
        takes all of up to 20 classes, and of more the ten likeliest.
    layer : str, nn.Module or None, default=None
        Features to differ in are what this layer gives out, flattened; a name is one
        of the module's ``named_modules``. None takes what goes into the last linear
        layer.
    batch_size : int or None, default=None
        Samples under attack at a time. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, the smallest margin first, then in the order in
        which the greedy search found them.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if ``layer`` is
        not in the module, or where :func:`deepfool_margin_score` raises.

    Warns
    -----
    ConvergenceWarning
        If DeepFool did not converge on some of the samples.

    Notes
    -----
    Let r_i be the margins of the shortlist, z_i its features, and

    .. math:: q_i^2 = e^{-r_i / \bar r}, \quad
        K_{ij} = e^{-\|z_i - z_j\|^2 / \overline{\|z - z'\|^2}}, \quad
        L_{ij} = q_i q_j K_{ij},

    bars being means over the shortlist: no unit of pixels or features is left. Think
    of what the net does not know as a Gaussian process on the features, with variance
    q_i² that is largest at the boundary. A batch S observed with noise of variance
    1/δ tells about it, up to a factor 2,

    .. math:: F(S) = \tfrac1δ \log\det(I + δ L_S).

    Since L is positive semi-definite, F is monotone (a further observation never takes
    information away) and submodular (it tells less the more is known), so that the
    greedy search has at least 1 - 1/e of the largest F of its size [2]_. A sample
    gains log(1 + δ v) / δ, v being its variance once S is known:
    without S that is q_i², so the smallest margin always comes first. For δ → 0 the
    gains are q_i² whatever S, which is DFAL; for δ → ∞ the search is for the largest
    determinant of L_S.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.
    .. [2] G. L. Nemhauser, L. A. Wolsey, M. L. Fisher, "An analysis of approximations
       for maximizing submodular set functions", Mathematical Programming 14, 1978,
       doi:10.1007/BF01588971.

    Examples
    --------
    >>> import torch
    >>> from skdfal import dfal_diverse_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> dfal_diverse_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    attack = attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size)
    n_near = min(shortlist * n_instances, len(candidates))
    near, margin = smallest_margins(estimator, candidates, n_near, attack)
    features = hidden_features(estimator, candidates.view(near), batch_size, layer)
    objective = _Information(margin, features, diversity)
    return S_k[near[_greedy(objective, n_instances)]]

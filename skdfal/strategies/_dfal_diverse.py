"""A diverse variant of DFAL: samples near the boundary, but in different places."""

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

# A variant of the margin query, built on its search.
from skdfal.strategies._deepfool_margin import attack_parameters, smallest_margins

__all__ = ["dfal_diverse_sampling"]


class _Information:
    """F(S) = log det(I + δ L_S) / δ for L_ij = q_i q_j K(z_i, z_j); the objective.

    ``variance`` is the part of each q_j² = L_jj that remains once S is known. Adding j
    to S increases F by log(1 + δ variance_j) / δ. For δ = 0 this is q_j², whatever S
    is.
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
        """S = S ∪ {j}: condition all others on sample j, observed with unit noise."""
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
    """Repeatedly add the sample of largest gain: F is >= 1 - 1/e of the optimum."""
    S = []
    while len(S) < n_instances:
        gain = objective.variance.copy()  # the gain increases with the variance
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

    DFAL takes the samples with the smallest margins one by one, so a batch may consist
    of near-duplicates. The DFAL paper [1]_ leaves a submodular selection open; this is
    one. With ``n_instances=1``, it equals :func:`deepfool_margin_sampling`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    diversity : float >= 0, default=10.0
        Weight δ of diversity relative to the margin. A second copy of a sample counts
        ``1 / (1 + diversity * q²)`` times as much as the first, where q² <= 1 is its
        closeness to the boundary. With 0, the strategy is DFAL.
    shortlist : int, default=10
        Size of the shortlist: the ``shortlist * n_instances`` smallest margins.
    p : float in [1, inf], default=2
        Order of the lp norm in which the margin is measured.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are searched.
        This is the paper's K. If None, the whole pool is searched.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample.
    overshoot : float >= 0, default=0.02
        How far the iterates go past the decision boundary, relative to the
        perturbation.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is used as features to measure differences, given
        as a module or by its name in ``named_modules()``. If None, the input of the
        last linear layer is used.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``: the smallest margin first, then in the order of the
        greedy search.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if the module
        has no such ``layer``, or if :func:`deepfool_margin_score` raises.

    Warns
    -----
    ConvergenceWarning
        If DeepFool did not converge for some of the samples.

    Notes
    -----
    Let r_i be the margins of the shortlist, z_i its features, and

    .. math:: q_i^2 = e^{-r_i / \bar r}, \quad
        K_{ij} = e^{-\|z_i - z_j\|^2 / \overline{\|z - z'\|^2}}, \quad
        L_{ij} = q_i q_j K_{ij},

    where bars are means over the shortlist, so the units of pixels and features cancel.
    Model what the net does not know as a Gaussian process on the features, with
    variance q_i², which is largest at the boundary. Observing a batch S with noise of
    variance 1/δ yields, up to a factor of 2, the information

    .. math:: F(S) = \tfrac1δ \log\det(I + δ L_S).

    Since L is positive semi-definite, F is monotone (another observation never removes
    information) and submodular (it adds less the more is known). The greedy search
    therefore reaches at least 1 - 1/e of the largest F for its size [2]_.

    A sample gains log(1 + δ v) / δ, where v is its variance once S is known. For empty
    S this variance is q_i², so the smallest margin always comes first. For δ → 0 the
    gains are q_i² whatever S is, which is DFAL. For δ → ∞ the search maximises the
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

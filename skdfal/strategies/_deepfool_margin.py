"""DFAL's query: the samples that DeepFool moves over the boundary with least effort."""

from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdfal._utils._validation import (
    ATTACK_PARAMETERS,
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    validate_params,
)
from skdfal._utils._warnings import warn_caller
from skdfal.adapter import torch_nets
from skdfal.adversarial import affine_margins, deepfool
from skdfal.augment import AdversarialAugmenter
from skdfal.strategies._base import draw_candidates, register, top_k
from skdfal.strategies._pruned_search import pruned_search

__all__ = ["deepfool_margin_sampling", "deepfool_margin_score", "dfal"]

# Number of batches per attacked block, whose perturbations are kept in memory. Finished
# samples are replaced by waiting ones, so only the last batch of a block is partly
# empty.
_BATCHES = 16


@validate_params(
    ATTACK_PARAMETERS | SCORE_PARAMETERS, prefer_skip_nested_validation=True
)
def deepfool_margin_score(
    estimator,
    X,
    *,
    p=2,
    max_iter=50,
    overshoot=0.02,
    n_top_classes=None,
    batch_size=None,
):
    r"""Score samples by their distance to the decision boundary [1]_.

    The distance is the length of a DeepFool perturbation, an upper bound that is close
    in practice. As a margin in input space, it does not depend on how the net scales
    its confidence, which is unreliable when labels are few.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. In a Pipeline, the attack runs in the input space of the net. A committee
        is attacked as a single classifier with the mean of its members' probabilities.
        If the members transform X differently, their margins are averaged instead. For
        a binary net, the boundary is where ``predict`` changes, at its ``threshold``.
    X : array-like of shape (n_samples, n_channels, height, width)
        Samples to score: a numpy array or a torch tensor, scaled as for ``fit``.
    p : float in [1, inf], default=2
        Order of the lp norm in which the margin is measured.
    max_iter : int, default=50
        Maximum number of DeepFool steps per sample; most samples stop much earlier.
    overshoot : float >= 0, default=0.02
        How far the iterates go past the decision boundary, relative to the
        perturbation.
    n_top_classes : int >= 2 or None, default=None
        Number of most likely classes that the attack considers, including the predicted
        one. If None, it considers all classes when there are at most 20, and the ten
        most likely ones otherwise.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Minus the p-norm of the perturbation, in input units; -inf if DeepFool does not
        converge. Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``X`` is empty, contains NaN or infinity, or has a shape that the net cannot
        take, or if a parameter is out of its range.

    Warns
    -----
    ConvergenceWarning
        If some samples kept their class for ``max_iter`` steps; the warning says how
        many.

    See Also
    --------
    deepfool : The attack itself, on a module and a tensor.

    Notes
    -----
    The score is :math:`-\|\sum_i r_i\|_p`, with the steps r_i of :func:`deepfool`. For
    a single ``Linear`` module, alone or in a ``Sequential`` with only ``Flatten``,
    ``Identity``, dropout and a final softmax besides, one step is exact. Its length
    then comes from the closed form, at the cost of a forward pass, and
    ``n_top_classes=None`` means all classes, however many there are.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> import torch
    >>> from skdfal import deepfool_margin_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> deepfool_margin_score(net, torch.rand(3, 1, 16, 16)).shape
    (3,)
    """
    attack = attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size)
    return _scores(torch_nets(estimator, X), attack)


def _scores(nets, attack):
    """Minus the margins, averaged over nets with different input spaces; (n,)."""
    score = -np.mean([_margins(net.for_attack(), attack) for net in nets], axis=0)
    _warn_of_unconverged(np.isinf(score).sum(), len(score), attack["max_iter"])
    return score


@register(
    "dfal",
    label="DFAL",
    needs="gradients",
    score=deepfool_margin_score,
    augmenter=AdversarialAugmenter,
    n_candidates=800,
    style=("#D55E00", "solid", "o"),
    paper="Ducoffe & Precioso 2018",
    in_dfal_paper=True,
)
@validate_params(
    ATTACK_PARAMETERS | QUERY_PARAMETERS | {"prune": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def dfal(
    estimator,
    X,
    n_instances=1,
    *,
    p=2,
    n_candidates=None,
    max_iter=50,
    overshoot=0.02,
    n_top_classes=None,
    prune=True,
    batch_size=None,
    random_state=None,
):
    """Query the samples nearest to the decision boundary, as DFAL does [1]_.

    The query equals :func:`deepfool_margin_sampling`. When used as the strategy of
    :class:`ActiveLearningClassifier` or :class:`LabelingSession`, by name or as this
    function, it also enables the other half of the method: the adversarial twin of each
    annotated sample joins the training set. A twin is the sample plus a small
    perturbation that changes its predicted class. With modAL, create the twins with
    :class:`AdversarialAugmenter`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query, the paper's n_query.
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
    prune : bool, default=True
        Whether to attack the most promising candidates first and stop early. If False,
        every candidate is attacked.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, smallest margin first.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        If :func:`deepfool_margin_sampling` raises.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> import torch
    >>> from skdfal import dfal
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> dfal(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    return deepfool_margin_sampling(
        estimator,
        X,
        n_instances,
        p=p,
        n_candidates=n_candidates,
        max_iter=max_iter,
        overshoot=overshoot,
        n_top_classes=n_top_classes,
        prune=prune,
        batch_size=batch_size,
        random_state=random_state,
    )


@register(
    "deepfool_margin",
    label="DeepFool margin",
    needs="gradients",
    score=deepfool_margin_score,
    n_candidates=800,
    style=("#D55E00", "dotted", "d"),
    paper="Ducoffe & Precioso 2018",
)
@validate_params(
    ATTACK_PARAMETERS | QUERY_PARAMETERS | {"prune": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def deepfool_margin_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    p=2,
    n_candidates=None,
    max_iter=50,
    overshoot=0.02,
    n_top_classes=None,
    prune=True,
    batch_size=None,
    random_state=None,
):
    r"""Query the samples nearest to the decision boundary [1]_.

    This is only the query of DFAL. :func:`dfal` selects the same samples, but as the
    strategy of a loop it also adds their adversarial twins to the training set.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : array-like of shape (n_samples, n_channels, height, width)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query, the paper's n_query.
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
    prune : bool, default=True
        Whether to attack the most promising candidates first and stop early. This is
        many times as fast as attacking every candidate, which False does, and nearly
        always gives the same answer; see Notes.
    batch_size : int or None, default=None
        Number of samples attacked at once. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, smallest margin first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or if
        :func:`deepfool_margin_score` raises.

    Warns
    -----
    ConvergenceWarning
        If DeepFool did not converge for some of the samples it attacked.

    Notes
    -----
    One forward pass ranks the candidates by a proxy of their margin,

    .. math:: \pi(x) = \min_k (f_{k_0} - f_k) / \|W_{k_0} - W_k\|_2,

    where W are the weights of the last linear layer (without such a layer, the proxy is
    the plain gap). Blocks of candidates are attacked in this order. A sample is dropped
    once its perturbation is longer than the n-th smallest margin found so far. The
    search ends when 0.7 :math:`\rho\,\pi(x)` exceeds this margin, where ρ is the
    smallest ratio of margin to proxy seen so far.

    The search can miss a sample whose ratio is less than 0.7 of every ratio seen
    before, or whose perturbation grows beyond the n-th smallest margin and then shrinks
    again. Committees whose members transform ``X`` differently are attacked in full.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> import torch
    >>> from skdfal import deepfool_margin_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> deepfool_margin_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    attack = attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size)
    nearest, _ = smallest_margins(estimator, candidates, n_instances, attack, prune)
    return S_k[nearest]  # the smallest ||r_i||_p first


def smallest_margins(estimator, X, n, attack, prune=True):
    """Return the positions of the ``n`` smallest margins and these margins.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`deepfool_margin_score`.
    X : pool
        Samples.
    n : int
        Number of margins.
    attack : dict
        Parameters of :func:`deepfool`.
    prune : bool, default=True
        Whether to attack the most promising candidates first and stop early.

    Returns
    -------
    nearest : ndarray of shape (n,)
        Positions in ``X``, smallest margin first.
    margin : ndarray of shape (n,)
        Margins at these positions; infinite if DeepFool does not converge.
    """
    nets = torch_nets(estimator, X)
    is_affine = nets[0].module.affine_form() is not None  # all margins in one pass
    if prune and len(nets) == 1 and not is_affine:
        net = nets[0].for_attack()
        found = pruned_search(net, n, _sized(net, attack))
        _warn_of_unconverged(found.n_unconverged, found.n_attacked, attack["max_iter"])
        return found.indices, found.margin
    score = _scores(nets, attack)
    nearest = top_k(score, n)
    return nearest, -score[nearest]


def _margins(net, attack):
    """||Σ r_i||_p of every sample, +inf if DeepFool does not converge; (n,)."""
    attack = _sized(net, attack)
    work = partial(_margins_of_block, attack)
    return np.concatenate(list(net.map_blocks(work, attack["batch_size"], _BATCHES)))


def _margins_of_block(attack, net):
    form, norms = net.module.affine_form(), []
    for x in net.batches(_BATCHES * attack["batch_size"]):
        if form is not None:
            norm = affine_margins(form, x, attack["p"], attack["n_top_classes"])
        else:
            norm = deepfool(net.module, x, **attack).norm
        norms.append(norm.cpu().double().numpy())
    norm = np.concatenate(norms)
    if np.isinf(norm).any():
        net.logits()  # raises if the reason is NaN
    return norm


def attack_parameters(p, max_iter, overshoot, n_top_classes, batch_size):
    """Collect the parameters of :func:`deepfool`."""
    return {
        "p": p,
        "max_iter": max_iter,
        "overshoot": overshoot,
        "n_top_classes": n_top_classes,
        "batch_size": batch_size,
    }


def _sized(net, attack):
    """Return the attack with a definite number of samples to attack at once."""
    return attack | {"batch_size": net.batch_size(attack["batch_size"], True)}


def _warn_of_unconverged(n_unconverged, n_samples, max_iter):
    if n_unconverged:
        warn_caller(
            f"DeepFool did not change the class of {n_unconverged} of {n_samples} "
            f"samples within {max_iter} steps. Their margin is taken as infinite. If "
            "there are many of them, the net is hardly trained, or predicts one class "
            "with certainty everywhere.",
            ConvergenceWarning,
        )

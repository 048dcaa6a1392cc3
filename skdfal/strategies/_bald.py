"""BALD: where the draws of a Bayesian net are sure of themselves but disagree."""

from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch
from scipy.special import entr
from sklearn.utils import check_random_state
from torch import nn

from skdfal._utils._torch import evaluation_mode
from skdfal._utils._validation import (
    QUERY_PARAMETERS,
    SCORE_PARAMETERS,
    Interval,
    validate_params,
)
from skdfal.adapter import member_nets
from skdfal.strategies._base import draw_candidates, register, top_k

__all__ = ["bald_sampling", "bald_score"]

_DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_ROUNDING = 1e-12  # of entropies in float64

_DRAWS = {"n_draws": [Interval(Integral, 2, None, closed="left")]}


def _mutual_information(proba):
    """H(mean_t p_t) - mean_t H(p_t); (n_draws, n, C) -> (n,)."""
    gain = entr(proba.mean(axis=0)).sum(axis=1) - entr(proba).sum(axis=2).mean(axis=0)
    gain[gain < _ROUNDING] = 0
    return gain.clip(max=np.log(proba.shape[2]))


@validate_params(
    SCORE_PARAMETERS | _DRAWS | {"random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def bald_score(estimator, X, *, n_draws=10, batch_size=None, random_state=None):
    r"""Score samples by what their label would tell about the weights [1]_, [2]_.

    Dropout stays on for several forward passes, each the answer of another net drawn
    from a posterior [3]_. High where these nets contradict each other; low where all
    are unsure in the same way, which is noise that no label takes away.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net with dropout, a Pipeline that ends in one, or a modAL learner or
        committee around them. The members of a Committee need no dropout: each is a
        draw; where they have it, each is drawn from ``n_draws`` times.
    X : array-like of shape (n_samples, ...)
        Pool to score, as for ``fit``.
    n_draws : int >= 2, default=10
        Forward passes with dropout, the papers' T.
    batch_size : int or None, default=None
        Rows in one forward pass, one row for each sample and draw. None chooses by the
        memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the draws. None draws them afresh. The same seed gives the same
        scores for the same ``batch_size``.

    Returns
    -------
    score : ndarray of shape (n_samples,)
        Mutual information in nats, in [0, log n_classes]; 0 where all draws agree.
        Larger is queried first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If the net has no dropout, or ``X`` is empty, not finite, or of a shape that
        the net cannot take.

    Notes
    -----
    With p_t the probabilities of draw t and H the entropy,

    .. math:: H(\tfrac1T \sum_t p_t) - \tfrac1T \sum_t H(p_t).

    Only layers that drop are in training mode: all ``nn.Dropout*``,
    ``nn.AlphaDropout``, ``nn.FeatureAlphaDropout``, and recurrent and attention layers
    with a dropout rate. A module that calls ``functional.dropout`` by itself is not
    seen to drop. All draws of a batch go through the net together, and what comes
    before the first dropout, the same for all of them, goes through once. The rates
    of ``nn.Dropout`` are rounded to multiples of 1/65536.

    References
    ----------
    .. [1] N. Houlsby, F. Huszár, Z. Ghahramani, M. Lengyel, "Bayesian Active Learning
       for Classification and Preference Learning", 2011, arXiv:1112.5745.
    .. [2] Y. Gal, R. Islam, Z. Ghahramani, "Deep Bayesian Active Learning with Image
       Data", ICML 2017, arXiv:1703.02910.
    .. [3] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation: Representing
       Model Uncertainty in Deep Learning", ICML 2016, arXiv:1506.02142.

    Examples
    --------
    >>> import torch
    >>> from skdfal import bald_score
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> bald_score(net, torch.rand(3, 1, 16, 16), random_state=0).shape
    (3,)
    """
    draws = dropout_draws(estimator, X, n_draws, batch_size, random_state, "bald_score")
    return np.concatenate([_mutual_information(proba) for proba in draws])


@register(
    "bald",
    label="BALD",
    needs="dropout",
    score=bald_score,
    n_candidates=800,
    style=("#009E73", "dashdotdot", "D"),
    paper="Gal et al. 2017",
    in_dfal_paper=True,
)
@validate_params(QUERY_PARAMETERS | _DRAWS, prefer_skip_nested_validation=True)
def bald_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_draws=10,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples with the largest :func:`bald_score`.

    Parameters
    ----------
    estimator : fitted estimator
        As for :func:`bald_score`.
    X : array-like of shape (n_samples, ...)
        Pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_draws : int >= 2, default=10
        Forward passes with dropout, the papers' T.
    n_candidates : int, default=None
        Score this many samples, drawn at random. None scores the whole pool.
    batch_size : int or None, default=None
        Rows in one forward pass, one row for each sample and draw. None chooses by the
        memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates and the draws.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or where
        :func:`bald_score` raises.

    Examples
    --------
    >>> import torch
    >>> from skdfal import bald_sampling
    >>> from skdfal.nets import make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> bald_sampling(net, torch.rand(20, 1, 16, 16), n_instances=5).shape
    (5,)
    """
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    score = bald_score(
        estimator,
        candidates,
        n_draws=n_draws,
        batch_size=batch_size,
        random_state=random_state,
    )
    return S_k[top_k(score, n_instances)]


def dropout_draws(estimator, X, n_draws, batch_size, random_state, caller):
    """Yield the probabilities of all draws, (n_draws, n, C), a batch at a time.

    Each member of a Committee is drawn from ``n_draws`` times, or once where none of
    them has dropout. ``caller`` is named if there is nothing to draw from.
    """
    nets = member_nets(estimator, X)
    if len(nets) == 1 and not _dropout_layers(nets[0].module):
        raise ValueError(
            f"{caller} needs dropout, but {nets[0].name} has no dropout layer, so "
            "all draws would agree. Add one, or pass a Committee."
        )
    any_drops = any(_dropout_layers(net.module) for net in nets)
    n_draws = n_draws if any_drops else 1
    runs_once = [_prefix_runs_once(net) for net in nets]
    n_rows = max(1, nets[0].batch_size(batch_size) // n_draws)
    with _seeded(nets[0].device, random_state):
        for batches in zip(*(net.batches(n_rows) for net in nets), strict=True):
            proba = [
                _draw(net.module, x, n_draws, once)
                for net, x, once in zip(nets, batches, runs_once, strict=True)
            ]
            yield np.concatenate(proba)


def _dropout_layers(module):
    """List the layers that drop something in training mode."""
    return [layer for layer in module.modules() if _drops(layer)]


def _drops(layer):
    if isinstance(layer, _DROPOUTS):
        return layer.p > 0
    if isinstance(layer, nn.RNNBase):
        return layer.dropout > 0 and layer.num_layers > 1  # between its layers
    return isinstance(layer, nn.MultiheadAttention) and layer.dropout > 0


def _draw(module, x, n_draws, runs_once):
    """Return the probabilities of all draws, float64 of shape (n_draws, n, C)."""
    layers = _dropout_layers(module)
    with _dropping(module, layers), torch.no_grad():
        if not layers:
            logits = module(x).expand(n_draws, -1, -1)
        elif runs_once:
            logits = _forward_repeated(module, layers, x, n_draws)
        else:
            logits = module(_repeat(x, n_draws))
        proba = logits.double().softmax(-1)
        return proba.reshape(n_draws, len(x), -1).cpu().numpy()


def _repeat(x, n_draws):
    return x.repeat(n_draws, *[1] * (x.ndim - 1))


def _forward_repeated(module, layers, x, n_draws):
    """Run ``x``, the batch repeated only where it meets the first of ``layers``."""
    hooks = []

    def repeat(_, args):
        for hook in hooks:  # once
            hook.remove()
        return tuple(_repeat(arg, n_draws) for arg in args)

    hooks += [layer.register_forward_pre_hook(repeat) for layer in layers]
    try:
        return module(x)
    finally:
        for hook in hooks:
            hook.remove()


def _prefix_runs_once(net):
    """Whether repeating late does what repeating early does, tried without dropping.

    It does not where a skip connection passes by the first dropout layer.
    """
    layers, x = _dropout_layers(net.module), net.batch(np.arange(min(2, len(net))))
    with evaluation_mode(net.module), torch.no_grad():
        try:
            late = _forward_repeated(net.module, layers, x, 3)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError):
            return False
        early = _repeat(net.module(x), 3)
    return late.shape == early.shape and torch.allclose(late, early, rtol=1e-4)


@contextmanager
def _dropping(module, layers):
    """Evaluation mode, but for ``layers``."""
    plain = [a for a in layers if type(a) is nn.Dropout and not a.inplace and a.p < 1]
    others = [layer for layer in layers if layer not in plain]
    has_fastpath = torch.backends.mha.get_fastpath_enabled()
    with evaluation_mode(module):
        # The fused kernels of transformer layers look at the layer's own mode only.
        torch.backends.mha.set_fastpath_enabled(False)
        hooks = [layer.register_forward_hook(_drop) for layer in plain]
        for layer in others:
            layer.training = True
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for layer in others:
                layer.training = False
            torch.backends.mha.set_fastpath_enabled(has_fastpath)


def _drop(layer, _, x):
    """Drop by 16 random bits a unit, where torch spends more than a convolution."""
    bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
    bits = bits.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
    first_kept = min(round(2**16 * layer.p) - 2**15, 2**15 - 1)
    return torch.where(bits >= first_kept, x / (1 - layer.p), 0)


@contextmanager
def _seeded(device, random_state):
    """Seed the generator that dropout draws from, and put it back afterwards."""
    if random_state is None:  # not from numpy's global generator: leave no trace
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    else:
        seed = check_random_state(random_state).randint(2**31 - 1)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield

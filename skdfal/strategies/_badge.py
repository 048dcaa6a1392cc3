"""BADGE: a batch of large and diverse gradients, chosen by k-means++ seeding."""

import numpy as np
from sklearn.utils import check_random_state
from torch import nn

from skdfal._utils._validation import QUERY_PARAMETERS, validate_params
from skdfal.adapter import features, predict_proba
from skdfal.strategies._base import draw_candidates, register

__all__ = ["badge_sampling"]


class _Gradients:
    """Gradients g = a ⊗ h of the last layer, a = p - e_ŷ, never written out.

    ``proba`` is (n, C), ``H`` is (n, D); <a ⊗ h, a' ⊗ h'> = <a, a'> <h, h'>.
    """

    def __init__(self, proba, H):
        self.a = proba.copy()
        self.a[np.arange(len(proba)), proba.argmax(axis=1)] -= 1
        self.H = H
        squares = [np.einsum("ij,ij->i", v, v, dtype=float) for v in (self.a, H)]
        self.square = squares[0] * squares[1]  # ||g||²

    def square_distance(self, i):
        """||g_j - g_i||² of each j; (n,)."""
        inner = (self.a @ self.a[i]) * (self.H @ self.H[i])
        size = self.square + self.square[i]
        distance = size - 2 * inner
        # For identical samples, the difference is only rounding.
        return np.where(distance > size * np.finfo(self.H.dtype).eps, distance, 0)


def _seeds(gradients, n_seeds, random_state):
    """Draw as k-means++ does, proportionally to the squared distance to earlier draws.

    The largest gradient comes first. Duplicates come last, with equal probability.
    """
    chosen = [int(gradients.square.argmax())]
    nearest = gradients.square_distance(chosen[0])  # D²
    while len(chosen) < n_seeds:
        nearest[chosen] = 0
        weight = nearest
        if not weight.any():
            weight = np.ones(len(nearest))
            weight[chosen] = 0
        u = random_state.choice(len(nearest), p=weight / weight.sum())
        chosen.append(int(u))
        np.minimum(nearest, gradients.square_distance(u), out=nearest)
    return np.array(chosen)


@register(
    "badge",
    label="BADGE",
    needs="features",
    style=("#117733", "solid", "h"),
    paper="Ash et al. 2020",
)
@validate_params(
    QUERY_PARAMETERS | {"layer": [str, nn.Module, None]},
    prefer_skip_nested_validation=True,
)
def badge_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    layer=None,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    r"""Query samples whose gradients are large and differ from each other [1]_.

    The gradient is that of the loss with respect to the last layer, with the predicted
    class as the label. It is large where the net is uncertain, and its direction
    differs between samples in which the net sees different things.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, or a modAL learner or committee wrapping
        these. The probabilities of committee members are averaged and their features
        concatenated.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from, in the format that ``fit`` takes.
    n_instances : int, default=1
        Number of samples to query, the paper's B.
    layer : str, nn.Module or None, default=None
        Layer whose flattened output is the h below, given as a module or by its name in
        ``named_modules()``. If None, the input of the last linear layer is used.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these can be queried.
        If None, the whole pool is considered.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates and the sampling among them.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``: the largest gradient first, then in the order
        drawn.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator contains no torch net.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if the module
        has no such ``layer``, or if ``X`` is empty, contains NaN or infinity, or has a
        shape that the net cannot take.

    Notes
    -----
    With the probabilities p, the predicted class ŷ and the input h of the last layer,

    .. math:: g = (p - e_{\hat y}) \otimes h, \qquad
        P(u) \propto \min_{c \in Q} \|g_u - g_c\|^2 .

    The sample with the largest g comes first, as in the authors' code. Gradients are
    never written out: with a = p - e_ŷ, :math:`\langle g, g' \rangle = \langle a, a'
    \rangle \langle h, h' \rangle`, so a draw costs C + D products per sample instead of
    C D.

    References
    ----------
    .. [1] J. T. Ash, C. Zhang, A. Krishnamurthy, J. Langford, A. Agarwal, "Deep Batch
       Active Learning by Diverse, Uncertain Gradient Lower Bounds", ICLR 2020,
       arXiv:1906.03671.

    Examples
    --------
    >>> import torch
    >>> from skdfal import badge_sampling, make_classifier
    >>> net = make_classifier("lenet5", image_size=16).initialize()
    >>> X = torch.rand(20, 1, 16, 16)
    >>> badge_sampling(net, X, n_instances=5, random_state=0).shape
    (5,)
    """
    random_state = check_random_state(random_state)
    S_k, candidates = draw_candidates(X, n_instances, n_candidates, random_state)
    H = features(estimator, candidates, layer=layer, batch_size=batch_size)
    proba = predict_proba(estimator, candidates, batch_size)
    return S_k[_seeds(_Gradients(proba, H), n_instances, random_state)]

"""BADGE: a batch of large and different gradients, by the seeding of k-means++."""

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
        # What is left where two are the same is rounding.
        return np.where(distance > size * np.finfo(self.H.dtype).eps, distance, 0)


def _seeds(gradients, n_seeds, random_state):
    """Draw as k-means++ does, in proportion to the squared distance to what is drawn.

    The first is the longest gradient. Copies come last, each as likely.
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

    The gradient is that of the loss in the last layer, were the sample of the class
    that the net predicts: long where the net is unsure, and of another direction where
    it sees something else.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline that ends in one, or a modAL learner or committee
        around them (the mean of its members' probabilities, and their features side
        by side).
    X : array-like of shape (n_samples, ...)
        Pool to query from, as for ``fit``.
    n_instances : int, default=1
        Number of samples to query, the paper's B.
    layer : str, nn.Module or None, default=None
        Whose output is the h below, flattened; a name is one of the module's
        ``named_modules``. None takes what goes into the last linear layer.
    n_candidates : int or None, default=None
        Query among this many samples, drawn at random. None takes the whole pool.
    batch_size : int or None, default=None
        Samples in one forward pass. None chooses by the memory that a sample needs.
    random_state : int, RandomState instance or None, default=None
        Determines the candidates, and what is drawn among them.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, the longest gradient first, then as drawn.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no torch net in the estimator.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, if ``layer`` is
        not in the module, or if ``X`` is empty, not finite, or of a shape that the net
        cannot take.

    Notes
    -----
    With probabilities p, the predicted class ŷ and h, what goes into the last layer,

    .. math:: g = (p - e_{\hat y}) \otimes h, \qquad
        P(u) \propto \min_{c \in Q} \|g_u - g_c\|^2 .

    The first is the longest g, as in the authors' code. Gradients are never written
    out: with a = p - e_ŷ, :math:`\langle g, g' \rangle = \langle a, a' \rangle
    \langle h, h' \rangle`, so that a draw costs C + D products a sample rather than
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

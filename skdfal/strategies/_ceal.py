"""CEAL: query the most uncertain samples, pseudo-label the most certain ones."""

from skdfal._utils._validation import QUERY_PARAMETERS, validate_params
from skdfal.augment import PseudoLabelAugmenter
from skdfal.strategies._base import register
from skdfal.strategies._uncertainty import entropy_sampling

__all__ = ["ceal_sampling"]


@register(
    "ceal",
    label="CEAL",
    needs="probabilities",
    augmenter=PseudoLabelAugmenter,
    n_candidates=300,
    style=("#CC79A7", "dashed", "v"),
    paper="Wang et al. 2017",
    in_dfal_paper=True,
)
@validate_params(QUERY_PARAMETERS, prefer_skip_nested_validation=True)
def ceal_sampling(
    estimator,
    X,
    n_instances=1,
    *,
    n_candidates=None,
    batch_size=None,
    random_state=None,
):
    """Query the samples whose prediction has the highest entropy: CEAL [1]_.

    The query equals :func:`entropy_sampling`. What distinguishes CEAL are the
    pseudo-labels for the most certain samples, see :func:`ceal_pseudo_labels`. The
    strategy "ceal" of :class:`ActiveLearningClassifier` combines both.

    Parameters
    ----------
    estimator : fitted estimator
        A skorch net, a Pipeline ending in one, a modAL learner or committee wrapping
        these, or any classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Unlabelled pool to query from.
    n_instances : int, default=1
        Number of samples to query.
    n_candidates : int or None, default=None
        Number of candidates drawn at random from the pool; only these are scored. If
        None, the whole pool is scored, as CEAL's authors do; the pseudo-label counts in
        the DFAL paper refer to candidates.
    batch_size : int or None, default=None
        Number of samples per forward pass. If None, it is chosen from the memory that
        one sample needs.
    random_state : int, RandomState instance or None, default=None
        Controls the random choice of candidates.

    Returns
    -------
    indices : ndarray of shape (n_instances,)
        Distinct indices into ``X``, best first.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``n_instances`` or ``n_candidates`` is larger than the pool, or ``X`` is
        empty, contains NaN or infinity, or has a shape that the estimator cannot take.

    References
    ----------
    .. [1] K. Wang, D. Zhang, Y. Li, R. Zhang, L. Lin, "Cost-Effective Active Learning
       for Deep Image Classification", IEEE TCSVT 27(12), 2017, arXiv:1701.03551.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal import ceal_sampling
    >>> clf = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> ceal_sampling(clf, [[-2.0], [0.0], [1.0]], n_instances=2)
    array([1, 2])
    """
    return entropy_sampling(
        estimator,
        X,
        n_instances,
        n_candidates=n_candidates,
        batch_size=batch_size,
        random_state=random_state,
    )

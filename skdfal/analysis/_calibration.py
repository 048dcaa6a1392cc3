"""Whether a network is right as often as it says."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skdfal._utils._validation import COUNT, validate_params

_SUM_TOLERANCE = 1e-3  # probabilities in float16 or printed with four digits


@validate_params(
    {
        "y_true": ["array-like"],
        "proba": ["array-like"],
        "n_bins": [COUNT],
        "classes": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def calibration_error(y_true, proba, n_bins=15, *, classes=None):
    r"""Compute the expected calibration error of the predicted class [1]_, [2]_.

    How far the highest probability of a sample is, on average, from the share of
    samples that are right among those with a like probability. 0 where a network is
    right as often as it says. It tells nothing about the other classes'
    probabilities, and nothing about accuracy.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    proba : array-like of shape (n_samples, n_classes)
        Predicted probabilities, as of ``predict_proba``.
    n_bins : int, default=15
        Number of bins of equal width into which [0, 1] is cut.
    classes : array-like of shape (n_classes,), default=None
        Label of each column of ``proba``, as an estimator's ``classes_``. None is
        0, ..., n_classes - 1.

    Returns
    -------
    error : float
        In [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, rows of ``proba`` are no probabilities, or a label is
        not in ``classes``.

    Notes
    -----
    With B_m the samples whose highest probability is in ((m - 1)/M, m/M], M =
    ``n_bins``,

    .. math::
        \sum_{m=1}^{M} \frac{|B_m|}{n}
        \left| \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \right|,

    acc the share of right predictions and conf the mean highest probability. Few
    samples in a bin make the error larger than it is; compare at equal ``n_samples``
    and ``n_bins``.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated
       Probabilities Using Bayesian Binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, arXiv:1706.04599.

    Examples
    --------
    Two samples predicted with 0.75, one of them right: off by a quarter.

    >>> from skdfal.analysis import calibration_error
    >>> calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]])
    0.25
    """
    y_true = column_or_1d(y_true)
    proba = check_array(proba, dtype=np.float64, input_name="proba")
    check_consistent_length(y_true, proba)
    if (proba < 0).any() or (abs(proba.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
        raise ValueError(
            "Each row of proba should be non-negative and sum to 1. For logits take "
            "their softmax first."
        )
    classes = np.arange(proba.shape[1]) if classes is None else np.asarray(classes)
    if classes.shape != (proba.shape[1],):
        raise ValueError(
            f"classes has shape {classes.shape}; expected a label for each of the "
            f"{proba.shape[1]} columns of proba."
        )
    unknown = np.setdiff1d(y_true, classes)
    if len(unknown):
        raise ValueError(
            f"y_true holds {unknown[0]!r}, which is not among the classes {classes}."
        )
    right = classes[proba.argmax(axis=1)] == y_true
    top = proba.max(axis=1)
    bins = np.clip(np.ceil(top * n_bins).astype(int) - 1, 0, n_bins - 1)
    # |B_m| (acc - conf) is a sum over the bin, so no bin is divided by its size.
    gap = np.bincount(bins, right - top, minlength=n_bins)
    return float(np.abs(gap).sum() / len(top))

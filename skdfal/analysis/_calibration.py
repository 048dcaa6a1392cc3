"""Calibration: whether a network is right as often as its probabilities say."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skdfal._utils._validation import COUNT, validate_params

_SUM_TOLERANCE = 1e-3  # allows float16, and probabilities rounded to four digits


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

    This is the average gap between the highest probability of a sample and the accuracy
    among samples with a similar probability. It is 0 if a network is right as often as
    its probabilities say. It says nothing about accuracy, or about the probabilities of
    the other classes.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    proba : array-like of shape (n_samples, n_classes)
        Predicted probabilities, as returned by ``predict_proba``.
    n_bins : int, default=15
        Number of bins of equal width into which [0, 1] is divided.
    classes : array-like of shape (n_classes,), default=None
        Label of each column of ``proba``, such as an estimator's ``classes_``. If None,
        0, ..., n_classes - 1.

    Returns
    -------
    error : float
        Calibration error in [0, 1].

    Raises
    ------
    ValueError
        If shapes do not match, rows of ``proba`` are not probabilities, or a label is
        not in ``classes``.

    Notes
    -----
    Let B_m be the samples whose highest probability is in ((m - 1)/M, m/M], where M is
    ``n_bins``. The error is

    .. math::
        \sum_{m=1}^{M} \frac{|B_m|}{n}
        \left| \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \right|,

    where acc is the proportion of correct predictions and conf the mean highest
    probability. Bins with few samples inflate the error, so compare networks at equal
    ``n_samples`` and ``n_bins``.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated
       Probabilities Using Bayesian Binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017, arXiv:1706.04599.

    Examples
    --------
    Two samples are predicted with probability 0.75, and one of them is right. The
    error is a quarter.

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
    # |B_m| (acc - conf) is a sum over the bin, so no division by its size is needed.
    gap = np.bincount(bins, right - top, minlength=n_bins)
    return float(np.abs(gap).sum() / len(top))

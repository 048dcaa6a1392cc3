"""How good the net is by now: accuracy on what was held out, with an interval."""

import math
from statistics import NormalDist


def wilson_interval(n_right, n, confidence=0.95):
    """Return Wilson's score interval of a share [1]_.

    Unlike the usual "± 2 standard errors" it is sound for few samples and near 0 and
    1, which is where a person who labels is.

    Parameters
    ----------
    n_right : int
        How many of the samples are right.
    n : int
        Number of samples, drawn at random.
    confidence : float, default=0.95
        How often, of many such intervals, the true share lies within.

    Returns
    -------
    low, high : float
        In [0, 1]; all of it where there are no samples.

    Notes
    -----
    With p = n_right / n and z the quantile of the normal distribution::

        (p + z² / 2n ± z √(p (1 - p) / n + z² / 4n²)) / (1 + z² / n)

    References
    ----------
    .. [1] E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
       Inference", JASA 22, 1927, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> from skdfal.label import wilson_interval
    >>> "{:.2f} {:.2f}".format(*wilson_interval(9, 10))
    '0.60 0.98'
    """
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = n_right / n
    center = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    # 0 and 1 to the last bit, where they are so in the formula.
    low = (center - half) / scale if n_right else 0.0
    high = (center + half) / scale if n_right < n else 1.0
    return low, high


def accuracy(labels, predictions, names):
    """Return how often predictions are right, with an interval.

    Parameters
    ----------
    labels, predictions : dict of str to str
        Class by picture.
    names : iterable of str
        Which pictures to look at; those without a label or prediction do not count.

    Returns
    -------
    estimate : dict
        "n" pictures, "right" of them; "accuracy" (None of none), "low" and "high".

    Examples
    --------
    >>> from skdfal.label._estimate import accuracy
    >>> accuracy({"a": "cat"}, {"a": "cat", "b": "dog"}, ["a", "b"])["right"]
    1
    """
    known = [name for name in names if name in labels and name in predictions]
    right = sum(labels[name] == predictions[name] for name in known)
    low, high = wilson_interval(right, len(known))
    return {
        "n": len(known),
        "right": right,
        "accuracy": right / len(known) if known else None,
        "low": low,
        "high": high,
    }

"""Test whether a difference between two strategies is real."""

from numbers import Real
from typing import NamedTuple

import numpy as np
from scipy.stats import permutation_test, ttest_1samp

from skdfal._utils._validation import Interval, StrOptions, validate_params
from skdfal.analysis._area import area, covered_range
from skdfal.analysis._curves import of_strategy, overlap, read_curves, score_at
from skdfal.analysis._reach import paired_trials

_DIGITS = 12  # digits of score differences that are not rounding errors
_ROUNDING = 10.0**-_DIGITS
_MAX_EXACT_TRIALS = 14  # up to 2^14 sign flips are enumerated, beyond it sampled


class PairedDifference(NamedTuple):
    """Difference between a strategy and a baseline, paired by trial.

    Attributes
    ----------
    difference : float
        Mean difference over trials, in the unit of the score; positive if the strategy
        is better.
    low, high : float
        Confidence interval of the mean, by Student's t.
    confidence : float
        Level of the interval.
    p_value_t : float
        Two-sided p-value of the paired t-test, which assumes that the differences are
        approximately normal.
    p_value_sign_flip : float
        Two-sided p-value of the sign-flip permutation test. It assumes only that, if
        the strategies are equally good, a difference is as likely to be positive as
        negative of the same size. Never below 2 / 2^n_trials.
    n_trials : int
        Number of pairs.
    trials : list
        Names of the trials, as in the records.
    differences : ndarray of shape (n_trials,)
        Score of the strategy minus that of the baseline, in each trial.
    annotations : float or "area"
        Number of annotations at which scores were compared, or "area".
    """

    difference: float
    low: float
    high: float
    confidence: float
    p_value_t: float
    p_value_sign_flip: float
    n_trials: int
    trials: list
    differences: np.ndarray
    annotations: object


@validate_params(
    {
        "strategy": [str],
        "baseline": [str],
        "annotations": [Real, StrOptions({"area"}), None],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def paired_difference(
    records,
    strategy,
    baseline="random",
    *,
    annotations=None,
    confidence=0.95,
    random_state=0,
):
    r"""Compare two strategies by trial, with a confidence interval and two p-values.

    Trials with the same name share data, initial samples and weights, so the difference
    within a pair varies less by chance than either score. Trials that only one of the
    strategies has are left out.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        One row per round, with the keys "strategy", "trial", "annotations" and "score".
    strategy, baseline : str
        Names of the two strategies. A positive difference favours the first.
    annotations : float, "area" or None, default=None
        Number of annotations at which scores are compared, interpolated linearly
        between rounds. "area" compares the areas under the curves, over the range that
        all pairs cover. If None, the last number that all pairs have.
    confidence : float in (0, 1), default=0.95
        Level of the interval.
    random_state : int, RandomState instance or None, default=0
        Controls the sign flips for more than 14 trials, when they are drawn at random
        instead of enumerated.

    Returns
    -------
    result : PairedDifference
        A named tuple of ``difference``, ``low``, ``high``, ``confidence``,
        ``p_value_t``, ``p_value_sign_flip``, ``n_trials``, ``trials``,
        ``differences`` and ``annotations``.

    Raises
    ------
    TypeError
        If ``records`` is not a table.
    ValueError
        If a strategy is not in ``records``, there are fewer than two pairs, or not all
        pairs cover the number of annotations.

    Notes
    -----
    Let :math:`\bar d` be the mean of the n differences, s their standard deviation, and
    t the quantile of Student's distribution with n - 1 degrees of freedom. The interval
    is :math:`\bar d \pm t s / \sqrt n`. It agrees with ``p_value_t`` on what is
    significant.

    The permutation test [1]_ counts, among all :math:`2^n` ways to flip the signs of
    the differences, those with a mean at least as far from 0. With five trials its
    smallest p-value is 0.0625, when all five differences have the same sign, so 0.05 is
    out of reach.

    Seven strategies at four numbers of annotations make many comparisons: choose one
    number, or the area, beforehand. If all differences are the same, the interval has
    no length, and ``p_value_t`` is 0, or 1 if they are all zero.

    References
    ----------
    .. [1] R. A. Fisher, "The Design of Experiments", Oliver and Boyd, 1935, section 21.

    Examples
    --------
    >>> from skdfal.analysis import paired_difference
    >>> scores = {"dfal": [0.80, 0.84, 0.82], "random": [0.70, 0.72, 0.75]}
    >>> records = [
    ...     {"strategy": name, "trial": trial, "annotations": 100, "score": score}
    ...     for name in scores
    ...     for trial, score in enumerate(scores[name])
    ... ]
    >>> result = paired_difference(records, "dfal", "random")
    >>> round(result.difference, 4), round(result.low, 4), round(result.high, 4)
    (0.0967, 0.0342, 0.1592)
    >>> result.p_value_sign_flip  # 2 of 8 flips
    0.25
    """
    curves = read_curves(records)
    a = of_strategy(curves, strategy, "strategy")
    b = of_strategy(curves, baseline, "baseline")
    trials = paired_trials(a, b, strategy, baseline)
    if len(trials) < 2:
        raise ValueError(
            f"{strategy!r} and {baseline!r} have one trial in common, {trials[0]!r}: "
            "at least two are needed to tell a difference from chance. Run more trials."
        )
    pairs = [(a[trial], b[trial]) for trial in trials]
    curves = [curve for pair in pairs for curve in pair]
    annotations, value = measure(curves, annotations, "pairs of trials")
    differences = np.array([value(one) - value(other) for one, other in pairs])
    low, high, p_value_t = t_test(differences, confidence)
    return PairedDifference(
        difference=float(differences.mean()),
        low=low,
        high=high,
        confidence=confidence,
        p_value_t=p_value_t,
        p_value_sign_flip=_sign_flip_test(differences, random_state),
        n_trials=len(trials),
        trials=trials,
        differences=differences,
        annotations=annotations,
    )


def measure(curves, annotations, whose):
    """Return the kind of comparison, and the function that measures a curve."""
    if annotations == "area":
        start, stop = covered_range(curves)
        return annotations, lambda curve: area(curve, start, stop)
    first, last = overlap(curves)
    mark = last if annotations is None else annotations
    if not first <= mark <= last:
        raise ValueError(
            f"annotations={mark:g} is not covered by all {whose}, which have "
            f"{first:g} to {last:g} in common."
        )
    return float(mark), lambda curve: float(score_at(curve, mark))


def t_test(differences, confidence):
    """Return the confidence interval of the mean, and the p-value of its being 0."""
    mean = float(differences.mean())
    if np.ptp(differences) < _ROUNDING:  # no variance: t is infinite or 0 / 0
        return mean, mean, float(abs(mean) < _ROUNDING)
    test = ttest_1samp(differences, 0)  # on differences, this is the paired test
    low, high = test.confidence_interval(confidence)
    return float(low), float(high), float(test.pvalue)


def _sign_flip_test(differences, random_state):
    test = permutation_test(
        (differences,),
        _rounded_mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**_MAX_EXACT_TRIALS,
        random_state=random_state,
    )
    return float(test.pvalue)


def _rounded_mean(differences, axis):
    """Return rounded means, so that ties between flips are recognised."""
    return np.round(np.mean(differences, axis=axis), _DIGITS)

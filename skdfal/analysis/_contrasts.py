"""Several paired comparisons at once, corrected for their number."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np

from skdfal._utils._validation import Interval, StrOptions, validate_params
from skdfal.analysis._curves import read_curves
from skdfal.analysis._difference import measure, t_test


class Contrast(NamedTuple):
    """One comparison of several, in the unit of the score.

    Attributes
    ----------
    name : str
        Name of the comparison.
    difference : float
        Mean over trials of the weighted sum of scores.
    low, high : float
        Confidence interval by Student's t. All intervals of the set hold simultaneously
        with the requested probability.
    p_value : float
        Two-sided p-value of the paired t-test, corrected for the number of comparisons.
    n_trials : int
        Number of trials that all strategies of the comparison share.
    """

    name: str
    difference: float
    low: float
    high: float
    p_value: float
    n_trials: int


@validate_params(
    {
        "annotations": [Real, StrOptions({"area"})],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def paired_contrasts(records, contrasts, *, annotations="area", confidence=0.95):
    r"""Compare groups of strategies by trial, corrected for multiple comparisons.

    A contrast is a weighted sum of strategies whose weights add up to zero, such as the
    mean of those with twins minus the mean of those without. It is computed within each
    trial, whose strategies share data, initial samples and weights.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        One row per round, with the keys "strategy", "trial", "annotations" and "score".
    contrasts : dict of str to dict of str to float
        The weights of the strategies in each contrast, by the name of the contrast.
    annotations : float or "area", default="area"
        Number of annotations at which scores are compared, or "area" for the areas
        under the curves, over the range that the trials of all contrasts cover.
    confidence : float in (0, 1), default=0.95
        Probability that all intervals hold simultaneously.

    Returns
    -------
    results : list of Contrast
        One named tuple per contrast, in the given order, with the fields ``name``,
        ``difference``, ``low``, ``high``, ``p_value`` and ``n_trials``.

    Raises
    ------
    ValueError
        If there are no contrasts, weights are not finite numbers or do not add up to
        zero, a strategy is not in the records, or the strategies of a contrast share
        fewer than two trials.

    See Also
    --------
    paired_difference : Compare two strategies.

    Notes
    -----
    With m contrasts, each interval has the level :math:`1 - (1 - c) / m` (Bonferroni).
    Then all intervals hold simultaneously with probability at least c, whatever
    strategies the contrasts share. The p-values are corrected by Holm [1]_: they are
    sorted, the i-th smallest is multiplied by m - i + 1, and none may be smaller than
    the one before. Both methods control the probability of any false discovery. Holm's
    method is less strict: an interval may contain 0 although the p-value is below
    1 - c.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure",
       Scandinavian Journal of Statistics 6, 1979, https://www.jstor.org/stable/4615733.

    Examples
    --------
    >>> from skdfal.analysis import paired_contrasts
    >>> scores = {"dfal": [0.80, 0.84, 0.82], "random": [0.70, 0.72, 0.75]}
    >>> records = [
    ...     {"strategy": name, "trial": trial, "annotations": 100, "score": score}
    ...     for name in scores
    ...     for trial, score in enumerate(scores[name])
    ... ]
    >>> gain = {"DFAL's gain": {"dfal": 1, "random": -1}}
    >>> round(paired_contrasts(records, gain, annotations=100)[0].difference, 4)
    0.0967
    """
    curves = read_curves(records)
    if not isinstance(contrasts, Mapping) or not contrasts:
        raise ValueError(
            f"contrasts={contrasts!r} should be a dict of names to weights, with at "
            "least one entry."
        )
    trials = {
        name: _trials(curves, name, weights) for name, weights in contrasts.items()
    }
    every = [
        curves[strategy][trial]
        for name, weights in contrasts.items()
        for strategy in weights
        for trial in trials[name]
    ]
    _, value = measure(every, annotations, "trials of the contrasts")
    level = 1 - (1 - confidence) / len(contrasts)
    found = []
    for name, weights in contrasts.items():
        values = np.array(
            [
                sum(w * value(curves[s][trial]) for s, w in weights.items())
                for trial in trials[name]
            ]
        )
        found.append((name, float(values.mean()), *t_test(values, level), len(values)))
    corrected = _holm([p_value for *_, p_value, _ in found])
    return [
        Contrast(name, mean, low, high, p_value, n_trials)
        for (name, mean, low, high, _, n_trials), p_value in zip(
            found, corrected, strict=True
        )
    ]


def _trials(curves, name, weights):
    """Return the trials that all strategies of a contrast share."""
    are_numbers = isinstance(weights, Mapping) and all(
        isinstance(weight, Real) and math.isfinite(weight)
        for weight in weights.values()
    )
    if not weights or not are_numbers:
        raise ValueError(
            f"{name!r} has weights={weights!r}; they should be a dict of strategies "
            "to finite numbers."
        )
    unknown = [strategy for strategy in weights if strategy not in curves]
    if unknown:
        raise ValueError(
            f"{name!r} has {unknown[0]!r}, which is not among the strategies of the "
            f"records: {', '.join(curves)}."
        )
    if abs(sum(weights.values())) > 1e-9:
        raise ValueError(
            f"{name!r} has weights that add up to {sum(weights.values()):g}; they "
            "should add up to 0."
        )
    first, *others = (curves[s] for s in weights)
    trials = [trial for trial in first if all(trial in other for other in others)]
    if len(trials) < 2:
        raise ValueError(
            f"The strategies of {name!r} have {len(trials)} trials in common: at least "
            "two are needed. Run more trials."
        )
    return trials


def _holm(p_values):
    """Return p-values corrected by Holm's method, none above 1."""
    corrected, largest = np.empty(len(p_values)), 0.0
    for i, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - i) * p_values[place]))
        corrected[place] = largest
    return corrected.tolist()

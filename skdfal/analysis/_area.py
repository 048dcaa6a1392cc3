"""Area under the learning curve: one number for a whole curve."""

from numbers import Real

import numpy as np
from scipy.integrate import trapezoid

from skdfal._utils._records import mean_and_std
from skdfal._utils._validation import validate_params
from skdfal.analysis._curves import (
    PerTrial,
    overlap,
    read_curves,
    score_at,
)


@validate_params(
    {"start": [Real, None], "stop": [Real, None]}, prefer_skip_nested_validation=True
)
def area_under_curve(records, *, start=None, stop=None):
    r"""Compute the area under each learning curve, divided by its range.

    This is the mean score over the annotation budget, in the unit of the score: the
    score to expect if you stop at a moment that is unknown beforehand. It compares
    strategies over all rounds, so that no number of annotations has to be singled out.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        One row per round, with the keys "strategy", "trial", "annotations" and "score".
    start, stop : float, default=None
        The range of annotations. If None, the largest range that all trials of all
        strategies cover, so that their areas can be compared.

    Returns
    -------
    result : PerTrial
        ``trials`` has one row per trial: "strategy", "trial", "start", "stop" and
        "area". ``summary`` has one row per strategy, largest area first: "strategy",
        "n_trials", "area_mean" and "area_std".

    Raises
    ------
    TypeError
        If ``records`` is not a table.
    ValueError
        If ``records`` is empty or lacks a value, or the range is empty or not covered
        by all trials.

    See Also
    --------
    paired_difference : Compare two strategies, by area if you like.

    Notes
    -----
    Let a be the number of annotations and s(a) the score, interpolated linearly between
    rounds. The result is

    .. math:: \frac{1}{a_1 - a_0} \int_{a_0}^{a_1} s(a) \, da,

    computed by the trapezoidal rule, which is exact for straight lines.

    Examples
    --------
    >>> from skdfal.analysis import area_under_curve
    >>> records = [
    ...     {"strategy": "dfal", "trial": 0, "annotations": n, "score": score}
    ...     for n, score in [(10, 0.5), (20, 0.75), (30, 1.0)]
    ... ]
    >>> area_under_curve(records).summary[0]["area_mean"]
    0.75
    """
    curves = read_curves(records)
    every = [curve for of_trial in curves.values() for curve in of_trial.values()]
    start, stop = covered_range(every, start, stop)
    trials, summary = [], []
    for strategy, of_trial in curves.items():
        areas = [area(curve, start, stop) for curve in of_trial.values()]
        trials += [
            {
                "strategy": strategy,
                "trial": trial,
                "start": start,
                "stop": stop,
                "area": value,
            }
            for trial, value in zip(of_trial, areas, strict=True)
        ]
        mean, std = mean_and_std(areas)
        summary.append(
            {
                "strategy": strategy,
                "n_trials": len(areas),
                "area_mean": mean,
                "area_std": std,
            }
        )
    summary.sort(key=lambda row: -row["area_mean"])
    return PerTrial(trials, summary)


def area(curve, start, stop):
    """Return the mean of one curve over a range that it covers."""
    inside = (curve.annotations > start) & (curve.annotations < stop)
    marks = np.concatenate([[start], curve.annotations[inside], [stop]])
    return float(trapezoid(score_at(curve, marks), marks) / (stop - start))


def covered_range(curves, start=None, stop=None):
    """Return the requested range, or the largest that all curves cover."""
    first, last = overlap(curves)
    start = float(first if start is None else start)
    stop = float(last if stop is None else stop)
    if not first <= start < stop <= last:
        raise ValueError(
            f"The range {start:g} to {stop:g} should not be empty, and should be "
            f"within {first:g} to {last:g}, the annotations that all trials cover."
        )
    return start, stop

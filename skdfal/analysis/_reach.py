"""Number of labels that a strategy needs for a score: the DFAL paper's Table 2."""

import math
import statistics
from numbers import Real

import numpy as np

from skdfal._utils._records import mean_and_std
from skdfal._utils._validation import Interval, validate_params
from skdfal.analysis._curves import (
    PerTrial,
    mean_curve,
    of_strategy,
    overlap,
    reach,
    read_curves,
    score_at,
)


@validate_params(
    {
        "target": [Interval(Real, None, None, closed="neither")],
        "interpolate": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def annotations_to_reach(records, target, *, interpolate=False):
    """Count the annotations that each strategy needs to reach a score.

    This is the DFAL paper's Table 2 [1]_, where the target is the accuracy of the same
    network trained on the full training set. The first round at or above the target
    counts, even if a later round falls below it again.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        One row per round, with the keys "strategy", "trial", "annotations", "score"
        and, if training samples are to be counted, "labeled_data". Other keys are
        ignored.
    target : float
        Score to reach, in the unit of the records.
    interpolate : bool, default=False
        Whether the target may be reached between two rounds, by linear interpolation.

    Returns
    -------
    result : PerTrial
        ``trials`` has one row per trial: "strategy", "trial", "reached", and the
        numbers "annotations" and "labeled_data" when the target was reached, or in the
        last round if it never was.

        ``summary`` has one row per strategy: "strategy", "n_trials" and "n_reached";
        means and standard deviations over trials ("annotations_mean",
        "annotations_std", "labeled_data_mean", "labeled_data_std"); the median
        "annotations_median", infinite unless more than half of the trials reached the
        target; and the numbers at which the mean curve of all trials reaches it,
        "annotations_of_mean_curve" and "labeled_data_of_mean_curve", NaN if it does
        not.

    Raises
    ------
    TypeError
        If ``records`` is not a table.
    ValueError
        If ``records`` is empty or lacks a value, or if ``target`` looks like a
        percentage while the scores are fractions.

    See Also
    --------
    annotations_saved : Annotations saved compared with a baseline.

    Notes
    -----
    If n_reached < n_trials, the means are lower bounds, because a trial that never
    reached the target counts with its last round. The paper does the same in its rows
    marked "no". All counts in its Table 2 are multiples of ten, its n_query; means of
    five counts would seldom be. So compare the paper with the mean curve.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> from skdfal.analysis import annotations_to_reach
    >>> records = [
    ...     {"strategy": "dfal", "trial": 0, "annotations": n, "score": score}
    ...     for n, score in [(10, 0.4), (20, 0.6), (30, 0.8)]
    ... ]
    >>> annotations_to_reach(records, 0.7).trials[0]["annotations"]
    30.0
    >>> annotations_to_reach(records, 0.7, interpolate=True).trials[0]["annotations"]
    25.0
    >>> annotations_to_reach(records, 0.9).summary[0]["n_reached"]
    0
    """
    curves = read_curves(records)
    _check_unit(target, curves)
    trials, summary = [], []
    for strategy, of_trial in curves.items():
        rows = []
        for trial, curve in of_trial.items():
            found = reach(curve, target, interpolate)
            last = (float(curve.annotations[-1]), float(curve.labeled_data[-1]))
            annotations, labeled_data = found or last
            rows.append(
                {
                    "strategy": strategy,
                    "trial": trial,
                    "reached": found is not None,
                    "annotations": annotations,
                    "labeled_data": labeled_data,
                }
            )
        trials += rows
        summary.append(_summed_up(strategy, rows, of_trial, target, interpolate))
    return PerTrial(trials, summary)


def _summed_up(strategy, rows, of_trial, target, interpolate):
    mean, std = mean_and_std([row["annotations"] for row in rows])
    labeled_mean, labeled_std = mean_and_std([row["labeled_data"] for row in rows])
    curve = mean_curve(list(of_trial.values()))
    found = None if curve is None else reach(curve, target, interpolate)
    of_mean, labeled_of_mean = found or (math.nan, math.nan)
    return {
        "strategy": strategy,
        "n_trials": len(rows),
        "n_reached": sum(row["reached"] for row in rows),
        "annotations_mean": mean,
        "annotations_std": std,
        "annotations_median": statistics.median(
            [row["annotations"] if row["reached"] else math.inf for row in rows]
        ),
        "annotations_of_mean_curve": of_mean,
        "labeled_data_mean": labeled_mean,
        "labeled_data_std": labeled_std,
        "labeled_data_of_mean_curve": labeled_of_mean,
    }


@validate_params(
    {"baseline": [str], "at": [Real, "array-like", None]},
    prefer_skip_nested_validation=True,
)
def annotations_saved(records, baseline="random", *, at=None):
    """Count the annotations that a strategy saves compared with a baseline.

    The comparison is at equal score. The target is the baseline's best score up to a
    given number of annotations. The number of annotations at which the strategy first
    reaches the target is compared with the baseline's. Trials are paired by name.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        One row per round, with the keys "strategy", "trial", "annotations" and "score".
    baseline : str, default="random"
        Name of the strategy to compare with.
    at : float or array-like of float, default=None
        Numbers of annotations of the baseline at which to compare. If None, the last
        one that all compared trials of the baseline have.

    Returns
    -------
    result : PerTrial
        ``trials`` has one row per strategy, trial and entry of ``at``: "strategy",
        "trial", "at", the target "score", the numbers "baseline_annotations" and
        "annotations" needed for it, "reached", and "saved", the difference of the two
        numbers. If the strategy never reached the target, "annotations" is that of its
        last round.

        ``summary`` has one row per strategy and entry of ``at``: "strategy", "at",
        "n_trials", "n_reached"; "saved_mean", "saved_std" and "saved_median", in
        annotations, where the median is -inf unless more than half of the trials
        reached the target; and "saved_fraction", the mean saving divided by the mean
        number that the baseline needed, NaN if that is 0.

    Raises
    ------
    TypeError
        If ``records`` is not a table.
    ValueError
        If the baseline is not in ``records`` or is the only strategy there, if a
        strategy has no trial in common with it, or if ``at`` is outside its rounds.

    See Also
    --------
    annotations_to_reach : Annotations needed for a given score.
    paired_difference : Whether a difference of scores is real.

    Notes
    -----
    Both numbers are interpolated linearly between rounds. If n_reached < n_trials, the
    mean and the fraction are upper bounds of the saving. No number can be below that of
    the first round, which also limits the savings at small values of ``at``.

    Examples
    --------
    >>> from skdfal.analysis import annotations_saved
    >>> scores = {"dfal": [0.4, 0.8, 0.9], "random": [0.4, 0.6, 0.8]}
    >>> records = [
    ...     {"strategy": name, "trial": 0, "annotations": n, "score": score}
    ...     for name in scores
    ...     for n, score in zip([10, 20, 30], scores[name])
    ... ]
    >>> annotations_saved(records).summary[0]["saved_mean"]  # 0.8 with 20, not 30
    10.0
    """
    curves = read_curves(records)
    of_baseline = of_strategy(curves, baseline, "baseline")
    others = {name: curves[name] for name in curves if name != baseline}
    if not others:
        raise ValueError(
            f"records has no strategy to compare with the baseline {baseline!r}."
        )
    trials, summary = [], []
    for strategy, of_trial in others.items():
        common = paired_trials(of_trial, of_baseline, strategy, baseline)
        pairs = {t: (of_trial[t], of_baseline[t]) for t in common}
        for mark in _marks(at, [of_baseline[t] for t in common], baseline):
            rows = [
                {
                    "strategy": strategy,
                    "trial": trial,
                    "at": mark,
                    **_saved(*pair, mark),
                }
                for trial, pair in pairs.items()
            ]
            trials += rows
            mean, std = mean_and_std([row["saved"] for row in rows])
            spent = np.mean([row["baseline_annotations"] for row in rows])
            summary.append(
                {
                    "strategy": strategy,
                    "at": mark,
                    "n_trials": len(rows),
                    "n_reached": sum(row["reached"] for row in rows),
                    "saved_mean": mean,
                    "saved_std": std,
                    "saved_median": statistics.median(
                        [row["saved"] if row["reached"] else -math.inf for row in rows]
                    ),
                    "saved_fraction": float(mean / spent) if spent else math.nan,
                }
            )
    return PerTrial(trials, summary)


def paired_trials(of_strategy, of_baseline, strategy, baseline):
    """Return the trials that both have, in the order of the strategy's trials."""
    common = [trial for trial in of_strategy if trial in of_baseline]
    if not common:
        raise ValueError(
            f"{strategy!r} has the trials {[*of_strategy]}, {baseline!r} has "
            f"{[*of_baseline]}: they have none in common to compare."
        )
    return common


def _saved(curve, baseline, mark):
    """Compare one pair of curves at the baseline's best score up to ``mark``."""
    until = baseline.score[baseline.annotations <= mark]
    target = float(max(until.max(), score_at(baseline, mark)))
    spent, _ = reach(baseline, target, interpolate=True)
    found = reach(curve, target, interpolate=True)
    annotations = found[0] if found else float(curve.annotations[-1])
    return {
        "score": target,
        "baseline_annotations": spent,
        "annotations": annotations,
        "reached": found is not None,
        "saved": spent - annotations,
    }


def _marks(at, baseline_curves, baseline):
    first, last = overlap(baseline_curves)
    if at is None:
        return [float(last)]
    marks = np.atleast_1d(np.asarray(at, dtype=float))
    if marks.ndim != 1 or not ((marks >= first) & (marks <= last)).all():
        raise ValueError(
            f"{at=} should be numbers of annotations in [{first:g}, {last:g}], which "
            f"all compared trials of {baseline!r} have."
        )
    return marks.tolist()


def _check_unit(target, curves):
    scores = [c.score for of_trial in curves.values() for c in of_trial.values()]
    low, high = np.min(np.concatenate(scores)), np.max(np.concatenate(scores))
    if target > 1 and low >= 0 and high <= 1:
        raise ValueError(
            f"{target=} cannot be reached: the scores are fractions, at most "
            f"{high:.4g}. Divide a target in percent by 100."
        )

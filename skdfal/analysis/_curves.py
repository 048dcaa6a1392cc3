"""Read the learning curves of trials from tidy records."""

from typing import NamedTuple

import numpy as np

from skdfal._utils._records import read_number, read_rows, read_value

_ROUNDING = 1e-12  # tolerance: a score of 0.9904 reaches the target 99.04 / 100


class Curve(NamedTuple):
    """The rounds of one trial, sorted; each array has shape (n_rounds,)."""

    annotations: np.ndarray
    labeled_data: np.ndarray  # NaN where the records do not have it
    score: np.ndarray


class PerTrial(NamedTuple):
    """Rows of an analysis; either list can be passed to ``pandas.DataFrame``.

    Attributes
    ----------
    trials : list of dict
        One row per strategy and trial.
    summary : list of dict
        One row per strategy, summarising its trials.
    """

    trials: list
    summary: list


def read_curves(records):
    """Return the curves of all trials as {strategy: {trial: Curve}}."""
    found = {}
    for i, row in enumerate(read_rows(records)):
        strategy = str(read_value(row, "strategy", i))
        trial = read_value(row, "trial", i)
        labeled_data = row.get("labeled_data")
        if labeled_data is None or labeled_data != labeled_data:  # not counted
            labeled_data = np.nan
        else:
            labeled_data = read_number(row, "labeled_data", i)
        found.setdefault(strategy, {}).setdefault(trial, []).append(
            (
                read_number(row, "annotations", i),
                labeled_data,
                read_number(row, "score", i),
            )
        )
    if not found:
        raise ValueError("records is empty; it should have one row per round.")
    return {
        strategy: {
            trial: _curve(rows, f"strategy {strategy!r}, trial {trial!r}")
            for trial, rows in trials.items()
        }
        for strategy, trials in found.items()
    }


def _curve(rows, where):
    curve = Curve(*np.transpose(sorted(rows)))
    x = curve.annotations
    twice = x[1:][x[1:] == x[:-1]]
    if len(twice):
        raise ValueError(
            f"{where} has two rows at annotations={twice[0]:g}. Does the table hold "
            "several experiments? Choose one data set and net."
        )
    return curve


def of_strategy(curves, strategy, name):
    """Return the trials of a strategy, or raise an error that lists the strategies."""
    if strategy not in curves:
        raise ValueError(
            f"{name}={strategy!r} is not in records, which has {[*curves]}."
        )
    return curves[strategy]


def overlap(curves):
    """Return the range of annotations that all the given curves cover, or raise."""
    start, stop = _overlap(curves)
    if start > stop:
        raise ValueError(
            "The annotations of the trials do not overlap: one begins at "
            f"{start:g}, but another has already ended at {stop:g}."
        )
    return start, stop


def _overlap(curves):
    start = max(curve.annotations[0] for curve in curves)
    stop = min(curve.annotations[-1] for curve in curves)
    return start, stop


def score_at(curve, annotations):
    """Return the score at a mark, interpolated linearly between rounds."""
    return np.interp(annotations, curve.annotations, curve.score)


def mean_curve(curves):
    """Return the mean curve over trials in their common range, or None."""
    start, stop = _overlap(curves)
    marks = np.unique(np.concatenate([curve.annotations for curve in curves]))
    marks = marks[(marks >= start) & (marks <= stop)]
    if not len(marks):
        return None
    labeled_data = [np.interp(marks, c.annotations, c.labeled_data) for c in curves]
    scores = [score_at(curve, marks) for curve in curves]
    return Curve(marks, np.mean(labeled_data, axis=0), np.mean(scores, axis=0))


def reach(curve, target, interpolate):
    """Return (annotations, labelled data) at the first score >= target, or None."""
    reached = np.flatnonzero(curve.score >= target - _ROUNDING)
    if not len(reached):
        return None
    position = i = reached[0]
    if interpolate and i > 0:
        low, high = curve.score[i - 1 : i + 1]
        position = i - 1 + min(1.0, (target - low) / (high - low))
    rounds = np.arange(len(curve.score))
    return (
        float(np.interp(position, rounds, curve.annotations)),
        float(np.interp(position, rounds, curve.labeled_data)),
    )

"""Learning curves as data: the trials of a strategy, and their mean and spread."""

from typing import NamedTuple

import numpy as np

from skdfal._utils._records import mean_and_std


class Curve(NamedTuple):
    """Score of one strategy at each annotation mark, summarised over its trials.

    Parameters
    ----------
    annotations : ndarray of shape (n_marks,)
        The marks, increasing.
    mean : ndarray of shape (n_marks,)
        Mean score of the trials that cover the mark.
    std : ndarray of shape (n_marks,)
        Standard deviation between trials, with n_trials - 1 in the denominator; NaN
        if there is only one trial.
    sem : ndarray of shape (n_marks,)
        Standard error of the mean, std / √n_trials.
    min, max : ndarray of shape (n_marks,)
        Score of the worst and of the best trial.
    n_trials : ndarray of shape (n_marks,)
        Number of trials that cover the mark.
    """

    annotations: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    sem: np.ndarray
    min: np.ndarray
    max: np.ndarray
    n_trials: np.ndarray


def sorted_trial(x, y, x_name, y_name, where):
    """Return the rounds of one trial as two arrays, sorted by ``x``, or raise."""
    x, y = _float_array(x, x_name, where), _float_array(y, y_name, where)
    if len(x) != len(y):
        raise ValueError(
            f"{where} has {len(x)} {x_name} and {len(y)} {y_name}; expected equal "
            "numbers."
        )
    order = np.argsort(x)
    x, y = x[order], y[order]
    twice = x[1:][x[1:] == x[:-1]]
    if len(twice):
        raise ValueError(
            f"{where} has two rows at {x_name}={twice[0]:g}. If the table holds "
            "several runs, choose one (data set, net), or give each its own trial."
        )
    return x, y


def curve_over_trials(trials, *, interpolate, min_trials):
    """Return the curve over the marks that enough trials cover, or None.

    Parameters
    ----------
    trials : list of (ndarray, ndarray)
        Annotations and scores of each trial, as :func:`sorted_trial` returns them.
    interpolate : bool
        Whether a trial is interpolated linearly between its rounds.
    min_trials : int
        Number of trials that must cover a mark.

    Returns
    -------
    curve : Curve or None
        None if there is no such mark.
    """
    marks = np.unique(np.concatenate([x for x, _ in trials]))
    values = np.full((len(trials), len(marks)), np.nan)  # NaN: the trial does not count
    for value, (x, y) in zip(values, trials, strict=True):
        if interpolate:
            value[:] = np.interp(marks, x, y, left=np.nan, right=np.nan)
        else:
            value[np.searchsorted(marks, x)] = y
    keep = np.isfinite(values).sum(axis=0) >= min_trials
    return _curve(marks[keep], values[:, keep]) if keep.any() else None


def _curve(marks, values):
    """Summarise `values` of shape (n_trials, n_marks), NaN where not measured."""
    measured = [column[np.isfinite(column)] for column in values.T]
    n_trials = np.array([len(column) for column in measured])
    mean, std = np.transpose([mean_and_std(column) for column in measured])
    return Curve(
        annotations=marks,
        mean=mean,
        std=std,
        sem=std / np.sqrt(n_trials),
        min=np.array([column.min() for column in measured]),
        max=np.array([column.max() for column in measured]),
        n_trials=n_trials,
    )


def _float_array(values, name, where):
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"{where}: {name} should be numbers, got {values!r}."
        ) from None
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(
            f"{where}: {name} should have shape (n_rounds,) with n_rounds >= 1, got "
            f"shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: {name} contains NaN or infinity.")
    return array

"""Is a difference between strategies real? Areas under the curve, paired by trial."""

from skdfal._utils._records import (
    in_points,
    range_in_points,
    read_number,
    read_rows,
    read_value,
)
from skdfal.analysis import paired_contrasts
from skdfal.experiment._table import text_table

MIN_TRIALS = 5  # with fewer there are no intervals and no p-values


def difference_table(records, baseline=None, *, tablefmt="simple"):
    """Return a table of the differences between strategies and a baseline.

    Strategies are compared by the area under the learning curve, that is, the mean
    score over all rounds, so that no number of annotations has to be singled out.
    Trials with the same number share data, initial samples and weights, and are
    compared in pairs.

    Parameters
    ----------
    records : iterable of dict or pandas DataFrame
        Rows returned by :func:`run_experiment`.
    baseline : str, default=None
        Strategy to compare with. If None, "random", or the strategy of the first row if
        "random" is missing.
    tablefmt : str, default="simple"
        A table format of tabulate, such as "github" for Markdown.

    Returns
    -------
    table : str
        A caption, and one line per strategy that has at least two trials in common with
        the baseline, largest difference first. It gives the difference in points of
        area and the number of trials. With five trials or more it adds the 95 %
        interval, simultaneous for all strategies (Bonferroni), and the p-value of the
        paired t-test, corrected by Holm. Empty if there is no such strategy, or only
        one round, which has no area.

    Raises
    ------
    ValueError
        If the baseline is not among the strategies.

    See Also
    --------
    skdfal.analysis.paired_contrasts : The same as numbers, for any contrasts.

    Examples
    --------
    >>> from skdfal.experiment import difference_table
    >>> scores = {"dfal": [0.80, 0.84, 0.82], "random": [0.70, 0.72, 0.75]}
    >>> records = [
    ...     {"strategy": name, "trial": trial, "annotations": n, "score": score}
    ...     for name in scores
    ...     for trial, score in enumerate(scores[name])
    ...     for n in (10, 20)
    ... ]
    >>> print(difference_table(records, tablefmt="plain"))
    Area under the curve minus that of random, in points, paired by trial.
    Intervals and p-values need at least 5 trials.
    <BLANKLINE>
    strategy      points    trials
    dfal            +9.7         3
    """
    records = list(read_rows(records))
    trials, marks = {}, set()
    for i, row in enumerate(records):
        strategy = str(read_value(row, "strategy", i))
        trials.setdefault(strategy, set()).add(read_value(row, "trial", i))
        marks.add(read_number(row, "annotations", i))
    if baseline is None:
        baseline = "random" if "random" in trials else next(iter(trials), None)
    elif baseline not in trials:
        raise ValueError(
            f"baseline={baseline!r} is not among the strategies of the records: "
            f"{', '.join(trials)}."
        )
    shared = {
        name: len(own & trials[baseline])
        for name, own in trials.items()
        if name != baseline
    }
    of_few = [name for name, n_trials in shared.items() if 2 <= n_trials < MIN_TRIALS]
    of_enough = [name for name, n_trials in shared.items() if n_trials >= MIN_TRIALS]
    if not of_few + of_enough or len(marks) < 2:
        return ""
    found = _less(records, of_enough, baseline) + _less(records, of_few, baseline)
    found.sort(key=lambda one: -one.difference)
    lines = [
        [one.name, in_points(one.difference), *_chance(one), one.n_trials]
        for one in found
    ]
    headers = ["strategy", "points", "95 % interval", "p", "trials"]
    if not of_enough:
        headers, *lines = (line[:2] + line[4:] for line in [headers, *lines])
    table = text_table(headers, lines, tablefmt)
    return f"{_caption(baseline, of_enough, of_few)}\n\n{table}"


def _less(records, names, baseline):
    """Return each strategy minus the baseline, corrected for their number."""
    if not names:
        return []
    return paired_contrasts(records, {name: {name: 1, baseline: -1} for name in names})


def _chance(one):
    """Return interval and p-value as text; there must be enough trials."""
    if one.n_trials < MIN_TRIALS:
        return "", ""
    return range_in_points(one.low, one.high), p_text(one.p_value)


def _caption(baseline, of_enough, of_few):
    """Return the caption: what the table shows, and what needs more trials."""
    says = [
        f"Area under the curve minus that of {baseline}, in points, paired by trial."
    ]
    if of_enough:
        says.append(
            "Intervals are simultaneous 95 % intervals (Bonferroni); p-values are from "
            "paired t-tests, corrected by Holm."
        )
    if of_few:
        says.append(f"Intervals and p-values need at least {MIN_TRIALS} trials.")
    return "\n".join(says)


def p_text(p_value):
    """Return a p-value with three digits, or "< 0.001" if they are all zero."""
    return "< 0.001" if p_value < 0.0005 else f"{p_value:.3f}"

"""Accuracies at annotation marks: mean and standard deviation over trials."""

import math
from collections import defaultdict
from typing import NamedTuple

from skdfal._utils._chance import accuracy_of_guessing
from skdfal._utils._records import (
    mean_and_std,
    percent,
    read_number,
    read_rows,
    read_value,
)


class Summary(NamedTuple):
    """Score of a strategy at a mark; ``std`` is None if there is only one trial."""

    mean: float
    std: float | None
    n_trials: int


def summarize(records, marks):
    """Return mean and standard deviation over trials.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations.

    Returns
    -------
    summaries : dict of str to dict of int to Summary
        A summary for each strategy and each mark that its trials have. The standard
        deviation has n_trials - 1 in the denominator.

    Examples
    --------
    >>> from skdfal.experiment import summarize
    >>> records = [
    ...     {"strategy": "dfal", "annotations": 10, "score": 0.25},
    ...     {"strategy": "dfal", "annotations": 10, "score": 0.75},
    ... ]
    >>> summarize(records, [10])["dfal"][10].mean
    0.5
    """
    scores, seen = defaultdict(lambda: defaultdict(list)), set()
    for i, row in enumerate(read_rows(records)):
        strategy = read_value(row, "strategy", i)
        annotations = read_number(row, "annotations", i)
        place = (strategy, row.get("trial"), annotations)
        if "trial" in row and place in seen:
            raise ValueError(
                f"Row {i} is the second one of {strategy}, trial {row['trial']}, with "
                f"{annotations:g} annotations. Are the rows from several experiments?"
            )
        seen.add(place)
        scores[strategy][annotations].append(read_number(row, "score", i))
    return {
        strategy: {mark: summary_of(at[mark]) for mark in marks if mark in at}
        for strategy, at in scores.items()
    }


def summarize_all(records, marks):
    """Return the result of :func:`summarize`, or raise if a strategy lacks a mark."""
    summaries = summarize(records, marks)
    if not summaries or not len(marks):
        raise ValueError("A table needs records of at least one strategy and one mark.")
    for name, found in summaries.items():
        absent = [mark for mark in marks if mark not in found]
        if absent:
            raise ValueError(
                f"{name} has no row with {', '.join(map(str, absent))} annotations."
            )
    return summaries


def summary_of(values):
    """Return the summary of one value per trial."""
    mean, std = mean_and_std(values)
    return Summary(mean, None if math.isnan(std) else std, len(values))


def accuracy_table(records, marks, *, tablefmt="simple"):
    """Return a table of accuracies in percent, sorted by those at the last mark.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations, one column for each.
    tablefmt : str, default="simple"
        A table format of tabulate, such as "github" for Markdown.

    Returns
    -------
    table : str
        One line per strategy, the best one first.

    Examples
    --------
    >>> from skdfal.experiment import accuracy_table
    >>> records = [{"strategy": "dfal", "annotations": 10, "score": 0.5}]
    >>> print(accuracy_table(records, [10], tablefmt="plain"))
    strategy      10    trials
    dfal        50.0         1
    """
    summaries = summarize_all(records, marks)
    ranked = sorted(
        summaries,
        key=lambda name: [-summaries[name][m].mean for m in reversed(marks)],
    )
    lines = [
        [
            name,
            *(in_percent(summaries[name][mark]) for mark in marks),
            _n_trials(summaries[name][mark] for mark in marks),
        ]
        for name in ranked
    ]
    return text_table(["strategy", *map(str, marks), "trials"], lines, tablefmt)


def _n_trials(summaries):
    """Return the number of trials as text, such as "5", or "3-5" if marks differ."""
    counts = [summary.n_trials for summary in summaries]
    fewest, most = min(counts), max(counts)
    return f"{fewest}" if fewest == most else f"{fewest}-{most}"


def guessing_note(records, mark, y_true):
    """Name the strategies whose networks have learned nothing, and give advice.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    mark : int
        Number of annotations at which the scores are checked.
    y_true : ndarray of shape (n_samples,)
        Labels of the scored samples.

    Returns
    -------
    note : str
        A sentence on the strategies, and one of advice. Empty if all have learned, or
        if the labels are too few, or too unbalanced, to tell.
    """
    share, reached = accuracy_of_guessing(y_true)
    at_mark = {name: at[mark] for name, at in summarize_all(records, [mark]).items()}
    guessing = [name for name, summary in at_mark.items() if summary.mean <= reached]
    if not guessing:
        return ""
    return (
        f"With {mark} labels, {', '.join(guessing)}: not significantly (two standard "
        f"errors) above {share:.1%}, the accuracy of always predicting the most "
        f"frequent class, on {len(y_true)} samples. Networks that have not learned say "
        "little about a strategy: try more epochs (--epochs), more labels "
        "(--n-initial, --max-annotations) or another network (--net)."
    )


def training_note(records):
    """Name the strategies that trained for longer, if there is no control for them.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.

    Returns
    -------
    note : str
        A sentence on the strategies that trained on more samples than were annotated,
        and on how to compare at equal training. Empty if no strategy or every strategy
        did so, or if there is a strategy with copies.
    """
    more = dict.fromkeys(
        row["strategy"] for row in records if row["labeled_data"] > row["annotations"]
    )
    names = {row["strategy"] for row in records}
    if not more or names == set(more) or any(n.endswith("+copies") for n in names):
        return ""
    return (
        f"{', '.join(more)} trained on more samples than were annotated, and so for "
        "more steps. To compare with random choice at equal training, add "
        "random+copies to --strategies."
    )


def in_percent(summary):
    """Return a summary as text, such as "87.1 ± 1.2"."""
    return percent(summary.mean, summary.std)


def text_table(headers, lines, tablefmt, n_left=1):
    """Return a table with the first columns aligned left and all others right.

    Parameters
    ----------
    headers : sequence of str
        Names of the columns.
    lines : list of list
        Values of the columns, line by line.
    tablefmt : str
        A table format of tabulate.
    n_left : int, default=1
        Number of columns of words.

    Returns
    -------
    table : str
        The table.
    """
    from tabulate import tabulate

    align = ["left"] * n_left + ["right"] * (len(headers) - n_left)
    return tabulate(
        lines, headers=headers, tablefmt=tablefmt, colalign=align, disable_numparse=True
    )

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
    """Score of a strategy at a mark; ``std`` is None for a single trial."""

    mean: float
    std: float | None
    n_trials: int


def summarize(records, marks):
    """Return mean and standard deviation over trials.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations.

    Returns
    -------
    summaries : dict of str to dict of int to Summary
        For each strategy and each mark that its trials have; the deviation has
        n_trials - 1 in the denominator.

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
                f"Row {i} is the second of {strategy}, trial {row['trial']}, with "
                f"{annotations:g} annotations. Are these several experiments?"
            )
        seen.add(place)
        scores[strategy][annotations].append(read_number(row, "score", i))
    return {
        strategy: {mark: summary_of(at[mark]) for mark in marks if mark in at}
        for strategy, at in scores.items()
    }


def summarize_all(records, marks):
    """Return what :func:`summarize` does, or raise where a strategy has no such row."""
    summaries = summarize(records, marks)
    if not summaries or not len(marks):
        raise ValueError("A table needs records of one strategy and one mark at least.")
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
    """Return a table of accuracies in percent, best strategy at the last mark first.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations, one column for each.
    tablefmt : str, default="simple"
        A format of tabulate, such as "github" for Markdown.

    Returns
    -------
    table : str
        One line per strategy.

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
            summaries[name][marks[-1]].n_trials,
        ]
        for name in ranked
    ]
    return text_table(["strategy", *map(str, marks), "trials"], lines, tablefmt)


def guessing_note(records, mark, y_true):
    """Name the strategies whose nets have learned nothing, and say what to do.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.
    mark : int
        Annotations at which to look.
    y_true : ndarray of shape (n_samples,)
        Labels of the samples that were scored on.

    Returns
    -------
    note : str
        A sentence on the strategies, and one of advice; empty where all have learned,
        or where the labels are too few, or too much alike, to tell.
    """
    share, reached = accuracy_of_guessing(y_true)
    at_mark = {name: at[mark] for name, at in summarize_all(records, [mark]).items()}
    guessing = [name for name, summary in at_mark.items() if summary.mean <= reached]
    if not guessing:
        return ""
    all_or_some = "Nothing" if len(guessing) == len(at_mark) else "Less"
    return (
        f"With {mark} labels {', '.join(guessing)}: no better than guessing, which has "
        f"{share:.1%} by the commonest class. {all_or_some} can be concluded from nets "
        "that have not learned: try more epochs (--epochs), more labels (--n-initial, "
        "--max-annotations) or another net (--net)."
    )


def training_note(records):
    """Say which strategies trained for longer, where nothing stands beside them.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.

    Returns
    -------
    note : str
        A sentence on the strategies that trained on more samples than were annotated,
        and how to compare at equal training; empty where there are none, or where all
        did, or one with copies is there.
    """
    more = dict.fromkeys(
        row["strategy"] for row in records if row["labeled_data"] > row["annotations"]
    )
    names = {row["strategy"] for row in records}
    if not more or names == set(more) or any(n.endswith("+copies") for n in names):
        return ""
    return (
        f"{', '.join(more)} trained on more samples than were annotated, so for more "
        "steps. For random choice that is trained as long as with twins, add "
        "random+copies to --strategies."
    )


def in_percent(summary):
    """Return a summary as text, such as "87.1 ± 1.2"."""
    return percent(summary.mean, summary.std)


def text_table(headers, lines, tablefmt, n_left=1):
    """Return a table, the first columns to the left and all others to the right.

    Parameters
    ----------
    headers : sequence of str
        Names of the columns.
    lines : list of list
        Their values.
    tablefmt : str
        A format of tabulate.
    n_left : int, default=1
        Columns of words.

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

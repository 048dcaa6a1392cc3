"""Tables of the paper's experiments, with our values next to the paper's."""

import math

from skdfal._utils._records import (
    in_points,
    mean_and_std,
    percent,
    range_in_points,
    with_std,
)
from skdfal.analysis import (
    annotations_saved,
    annotations_to_reach,
    area_under_curve,
    paired_difference,
)
from skdfal.experiment import summarize
from skdfal.experiment._differences import MIN_TRIALS
from skdfal.experiment._table import in_percent, summary_of, text_table
from skdfal.reproduce._paper import METHODS


def beyond_table(records, calibration, *, tablefmt="simple"):
    """Return a table that goes beyond the paper: tests, savings and calibration.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    calibration : dict of str to list of float
        Calibration errors of each strategy, one per trial.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per strategy, largest area under the curve first. DFAL is tested
        against each of the others. Savings are relative to RANDOM.
    """
    lines = []
    for row in area_under_curve(records).summary:
        name = row["strategy"]
        line = [METHODS.get(name, name), percent(row["area_mean"], row["area_std"])]
        line += _difference(records, name)
        line.append(_savings(records, name))
        errors = calibration.get(name)
        line.append(in_percent(summary_of(errors)) if errors else "")
        lines.append([*line, row["n_trials"]])
    headers = ["method", "area", "DFAL less it", "95 % interval"]
    headers += ["p, t", "p, sign flip", "saved", "calibration error", "trials"]
    return text_table(headers, lines, tablefmt)


def _difference(records, name):
    """Return DFAL's lead, its interval and p-values as text.

    With fewer than ``MIN_TRIALS`` trials there is only the difference.
    """
    if name == "dfal":
        return [""] * 4
    try:
        found = paired_difference(records, "dfal", name)
    except ValueError:  # no DFAL, or fewer than two trials in common
        return [""] * 4
    difference = in_points(found.difference)
    if found.n_trials < MIN_TRIALS:
        return [difference, "", "", ""]
    return [
        difference,
        range_in_points(found.low, found.high),
        f"{found.p_value_t:.3f}",
        f"{found.p_value_sign_flip:.3f}",
    ]


def _savings(records, name):
    """Return the annotations saved compared with RANDOM as text, or an empty one."""
    both = [row for row in records if row["strategy"] in (name, "random")]
    try:
        (row,) = annotations_saved(both, "random").summary
    except ValueError:  # RANDOM itself, or no trial in common
        return ""
    # A trial that never reached the score counts with its last round: an upper bound.
    bound = "" if row["n_reached"] == row["n_trials"] else "<= "
    return f"{bound}{row['saved_mean']:.0f} ({row['saved_fraction']:.0%})"


def reach_rows(records, target, published):
    """Return the rows of Table 2: annotations needed to reach the target.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    target : float
        Our accuracy of the full training set.
    published : dict
        Result of :func:`paper_reach`.

    Returns
    -------
    rows : list of dict
        One row per strategy. Counts are those of the mean curve, like the paper's as
        far as we can tell. If the curve does not reach the target, they are those of
        the last round, and "reached" is False.
    """
    rows = []
    for row in annotations_to_reach(records, target).summary:
        name = row["strategy"]
        reached = not math.isnan(row["annotations_of_mean_curve"])
        own = [r for r in records if r["strategy"] == name]
        last = max(r["annotations"] for r in own)
        ends = [r["labeled_data"] for r in own if r["annotations"] == last]
        paper = published.get(name, {})
        rows.append(
            {
                "strategy": name,
                "annotations": row["annotations_of_mean_curve"] if reached else last,
                "labeled_data": (
                    row["labeled_data_of_mean_curve"]
                    if reached
                    else mean_and_std(ends)[0]
                ),
                "reached": reached,
                "n_reached": row["n_reached"],
                "n_trials": row["n_trials"],
                "target": target,
                **{
                    f"paper_{key}": paper.get(key)
                    for key in ("annotations", "labeled_data", "reached", "target")
                },
            }
        )
    return rows


def reach_table(rows, *, tablefmt="simple"):
    """Return the rows of :func:`reach_rows` as a table.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per strategy.
    """
    headers = ["method", "annotations", "labelled data", "reached", "trials that did"]
    headers += ["paper: annotations", "labelled data", "reached"]
    yes = {True: "yes", False: "no", None: ""}
    lines = [
        [
            METHODS.get(row["strategy"], row["strategy"]),
            f"{row['annotations']:.0f}",
            f"{row['labeled_data']:.0f}",
            yes[row["reached"]],
            f"{row['n_reached']} of {row['n_trials']}",
            row["paper_annotations"] or "",
            row["paper_labeled_data"] or "",
            yes[row["paper_reached"]],
        ]
        for row in rows
    ]
    return text_table(headers, lines, tablefmt)


def query_time_table(rows, *, tablefmt="simple"):
    """Return the rows of :func:`query_time_rows` as a table.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per method.
    """
    headers = ["method", "seconds, median", "least to most", "ratio"]
    headers += ["paper: seconds", "ratio"]
    lines = [
        [
            row["method"],
            f"{row['median_seconds']:.3g}",
            f"{row['min_seconds']:.3g} to {row['max_seconds']:.3g}",
            f"{row['ratio']:.2f}",
            "" if row["paper_seconds"] is None else f"{row['paper_seconds']:.2f}",
            "" if row["paper_ratio"] is None else f"{row['paper_ratio']:.2f}",
        ]
        for row in rows
    ]
    return text_table(headers, lines, tablefmt)


def transfer_rows(own, records, published, mark, paper_mark):
    """Return one row per strategy of Table 4.

    Parameters
    ----------
    own : list of dict
        Rows of the network that queried.
    records : list of dict
        Rows of the network trained on the queried samples.
    published : dict of str to float
        Result of :func:`paper_transfer`.
    mark : int
        Number of annotations.
    paper_mark : int
        Number of annotations in the paper.

    Returns
    -------
    rows : list of dict
        Means and standard deviations over trials, in [0, 1]. "difference" from the
        paper is given only for equal numbers of annotations.
    """
    chose, trained = summarize(own, [mark]), summarize(records, [mark])
    return [
        {
            "strategy": name,
            "annotations": mark,
            "chooser_mean": chose[name][mark].mean,
            "chooser_std": chose[name][mark].std,
            "score_mean": trained[name][mark].mean,
            "score_std": trained[name][mark].std,
            "n_trials": trained[name][mark].n_trials,
            "paper_annotations": paper_mark,
            "paper_score": published.get(name),
            "difference": (
                trained[name][mark].mean - published[name]
                if mark == paper_mark and name in published
                else None
            ),
        }
        for name in trained
    ]


def transfer_table(rows, chosen_with, trained, *, tablefmt="simple"):
    """Return the rows of :func:`transfer_rows` as a table.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.
    chosen_with, trained : str
        The network that queried, and the one trained afterwards.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per strategy.
    """
    headers = ["method", f"{chosen_with}, which chose", f"{trained}, trained on it"]
    headers += ["paper", "diff.", "trials"]
    lines = []
    for row in rows:
        paper, difference = row["paper_score"], row["difference"]
        lines.append(
            [
                METHODS.get(row["strategy"], row["strategy"]),
                percent(row["chooser_mean"], row["chooser_std"]),
                percent(row["score_mean"], row["score_std"]),
                "" if paper is None else percent(paper),
                "" if difference is None else in_points(difference),
                row["n_trials"],
            ]
        )
    return text_table(headers, lines, tablefmt)


def value_table(values, headers, *, tablefmt="simple"):
    """Return a table of means and standard deviations over trials.

    Parameters
    ----------
    values : dict of str to list of float
        For each line, one value per trial.
    headers : sequence of str
        Headers of the three columns.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per key.
    """
    lines = [
        [name, with_std(*mean_and_std(found), ".3f"), len(found)]
        for name, found in values.items()
    ]
    return text_table(headers, lines, tablefmt)

"""Reproduce the paper's four tables, next to its own values."""

import statistics

from skdfal.experiment._differences import MIN_TRIALS
from skdfal.experiment._run import calibration_errors
from skdfal.reproduce._files import name_files
from skdfal.reproduce._paper import (
    NETS,
    PAPER_METHODS,
    changed_protocol,
    deviations_in_training,
    load_experiment,
    load_protocol,
    paper_accuracies,
    paper_reach,
    paper_seconds,
    paper_table,
    paper_transfer,
)
from skdfal.reproduce._query_times import query_time_rows, query_times
from skdfal.reproduce._reports import (
    beyond_table,
    query_time_table,
    reach_rows,
    reach_table,
    transfer_rows,
    transfer_table,
)
from skdfal.reproduce._transfer import full_training_set, transfer


def table1(run):
    """Test accuracy at numbers of annotations, and results beyond the paper."""
    records = run.trials(run.arguments.strategies or PAPER_METHODS)
    protocol = run.protocol
    calibration = calibration_errors(run.out_dir)
    published = paper_accuracies(protocol.dataset, protocol.net)
    marks = protocol.table_marks()
    title = (
        f"Table 1, {protocol.dataset}, {protocol.net}: test accuracy in percent at "
        "annotation marks, mean ± standard deviation over trials"
    )
    ranks = (
        f" Ranks are at {marks[-1]} annotations, among the paper's methods shown."
        if any(marks[-1] in values for values in published.values())
        else ""
    )
    beyond = (
        "Beyond the paper. Area: mean accuracy over all annotation counts. DFAL less "
        f"it: difference of accuracies at {protocol.max_annotations} annotations, "
        "paired over trials, with Student's 95 % interval and two p-values, not "
        f"corrected for their number, of {MIN_TRIALS} trials and more. Saved: "
        "annotations fewer than RANDOM took for RANDOM's best accuracy. Calibration "
        "error: of the last net, in percent (15 bins)."
    )

    def tables(tablefmt):
        return [
            paper_table(records, marks, published, tablefmt=tablefmt),
            beyond,
            beyond_table(records, calibration, tablefmt=tablefmt),
        ]

    note = run.note_of_trials(records)
    run.write_tables(title, note + ranks, tables, source="Table 1")
    run.draw_curves(records, "learning_curves", note, run.points(records))
    name_files(
        run.out_dir,
        ["table1.md", "rounds.csv", "learning_curves.png", "learning_curves.svg"],
    )


def table2(run):
    """Annotations and labelled data needed for the full training set's accuracy."""
    settings = load_experiment("full", *run.place)
    full = changed_protocol(load_protocol(*run.place), settings)
    records = run.trials(run.arguments.strategies or PAPER_METHODS)
    found = full_training_set(
        full.protocol, full.n_trials, n_jobs=run.arguments.jobs, **run.shared
    )
    target = statistics.fmean(result["score"] for result in found)
    published = paper_reach(run.protocol.dataset, run.protocol.net)
    rows = reach_rows(records, target, published)
    run.write_rows(rows)
    theirs = {row["target"] for row in published.values()}
    title = (
        f"Table 2, {run.protocol.dataset}, {run.protocol.net}: annotations and "
        "labelled data to reach the accuracy of the full training set, "
        f"{target:.2%} with {found[0]['n_samples']} samples (paper: "
        f"{max(theirs):.2%}). Counts are of the mean over trials; where it says "
        '"no", of the last round'
    )

    def tables(tablefmt):
        return [reach_table(rows, tablefmt=tablefmt)]

    note = run.note_of_trials(records, *settings["deviations"])
    run.write_tables(title, note, tables, source="Table 2")
    run.write_run(full_training_set=found)
    run.name_files()


def table3(run):
    """Seconds per query."""
    settings = dict(run.settings)
    settings["n_repeats"] = run.arguments.trials or settings["n_repeats"]
    repeats = query_times(run.protocol, settings, **run.shared)
    rows = query_time_rows(repeats, paper_seconds(run.protocol.dataset))
    run.write_rows(rows)
    machines = ", ".join(sorted({repeat["machine"] for repeat in repeats}))
    proven = sum(repeat["proven"] for repeat in repeats)
    n_candidates = settings["n_candidates"]
    title = (
        f"Table 3, {run.protocol.dataset}, {run.protocol.net}: seconds to choose "
        f"{settings['n_instances']} of {n_candidates} samples, "
        f"{settings['n_labeled']} labelled; median of {len(repeats)} repeats, in which "
        f"the methods take turns. On {machines}"
    )
    note = (
        f"{run.note()} Ratios are to DFAL, every candidate. CORE-SET robust: integer "
        f"programs, with Ξ = 1e-4 of {n_candidates} samples, which is none; "
        f"proven the smallest cover in {proven} of {len(repeats)} repeats. The paper "
        "had a Xeon E5-2670 v3 with a TITAN X, so compare ratios rather than seconds."
    )

    def tables(tablefmt):
        return [query_time_table(rows, tablefmt=tablefmt)]

    run.write_tables(title, note, tables, source="Table 3")
    run.write_run(repeats=repeats)
    run.name_files()


def train_other_net(run, marks):
    """Run the trials, train the other network on their samples; return both rows."""
    strategies = run.arguments.strategies or run.settings["strategies"]
    n_trials = run.arguments.trials or run.paper.n_trials
    records = [
        row
        for row in run.trials(strategies)
        if row["strategy"] in strategies and row["trial"] < n_trials
    ]
    (other,) = (net for net in NETS if net != run.protocol.net)
    place = (run.protocol.dataset, other, run.arguments.scale)
    rows = transfer(
        run.protocol,
        load_protocol(*place).protocol,
        strategies,
        n_trials,
        marks,
        n_jobs=run.arguments.jobs,
        **run.shared,
    )
    new = [d for d in deviations_in_training(*place) if d not in run.paper.deviations]
    return records, rows, other, run.note_of_trials(records, *new)


def table4(run):
    """Accuracy of the other network, trained on what the first one queried."""
    mark = run.protocol.max_annotations
    records, transferred, other, note = train_other_net(run, [mark])
    protocol = run.protocol
    published = paper_transfer(protocol.dataset, protocol.net, other)
    theirs = run.settings["paper_annotations"]
    rows = transfer_rows(records, transferred, published, mark, theirs)
    note += f" The paper's values are after {theirs} annotations."
    run.write_rows(rows)
    title = (
        f"Table 4, {protocol.dataset}: test accuracy in percent of {other}, trained "
        f"from scratch on what {protocol.net} chose by {mark} annotations, twins "
        "included; mean ± standard deviation over trials"
    )

    def tables(tablefmt):
        return [transfer_table(rows, protocol.net, other, tablefmt=tablefmt)]

    run.write_tables(title, note, tables, source="Table 4")
    run.write_run(trained=transferred)
    run.name_files()

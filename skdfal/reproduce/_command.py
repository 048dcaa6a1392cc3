"""The command ``skdfal reproduce``: which experiment, and the files that come of it."""

import json
import statistics
import sys
from collections import Counter
from itertools import starmap
from typing import NamedTuple

WHAT = (
    "table1",
    "table2",
    "table3",
    "table4",
    "figure2",
    "figure3",
    "confidence",
    "regions",
)
_OF_STRATEGIES = ("table1", "table2", "table4", "figure2", "figure3")
_PICTURES = ("png", "svg")
_SOURCE = "The paper's values: arXiv:1802.09841, {}."


class Run(NamedTuple):
    """What all experiments need to know of the arguments."""

    arguments: object
    paper: object
    settings: dict
    out_dir: object
    processes: dict

    @property
    def protocol(self):
        """The protocol, as changed for this experiment."""
        return self.paper.protocol

    @property
    def shared(self):
        """Parameters of all functions that compute something."""
        return {
            "seed": self.arguments.seed,
            "out_dir": self.out_dir,
            "device": self.arguments.device,
            "n_threads": self.arguments.threads,
        }

    def note(self, *more):
        """How it departs from the paper, for the table and the picture."""
        deviations = [*self.paper.deviations, *more]
        departs = "Departs from the paper: " + "; ".join(deviations) + "."
        departs = departs if deviations else "As in the paper."
        return f'Scale "{self.arguments.scale}". {departs}'


def reproduce(arguments, results):
    """Run the experiment of the arguments, and write what comes of it.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command; ``out`` is set to the folder.
    results : Path
        Where folders are made unless ``arguments.out`` says otherwise.
    """
    from skdfal.reproduce import load_protocol
    from skdfal.reproduce._paper import (
        changed_protocol,
        deviations_in_training,
        load_experiment,
    )

    what = arguments.what
    if arguments.strategies and what not in _OF_STRATEGIES:
        raise ValueError(f"{what} takes no --strategies.")
    place = (arguments.dataset, arguments.net, arguments.scale)
    plain = load_protocol(*place)
    settings = load_experiment(what, *place)
    paper = plain
    if what == "table2":
        paper = changed_protocol(plain, settings)
    elif what in ("table3", "confidence", "regions"):  # without the loop
        training = deviations_in_training(*place)
        paper = plain._replace(deviations=[*training, *settings["deviations"]])
    arguments.out = arguments.out or results / _folder_name(arguments, plain, paper)
    processes = {"n_jobs": arguments.jobs, "n_threads": arguments.threads}
    _REPORTS[what](Run(arguments, paper, settings, arguments.out, processes))


def _folder_name(arguments, plain, paper):
    """Return one name for all that share their trials."""
    what, scale = arguments.what, arguments.scale
    net = "two_nets" if what in ("confidence", "regions") else arguments.net
    name = f"{arguments.dataset}-{net}-{scale}"
    if what == "table3" or plain.protocol.settings() != paper.protocol.settings():
        name += f"-{what}"
    return f"{name}-seed{arguments.seed}"


# Table 1 and Figure 2


def _trials(run, strategies):
    """Run the trials, and return the rows of all that the folder has."""
    from skdfal import experiment

    return experiment.run_experiment(
        run.protocol,
        strategies,
        run.arguments.trials or run.paper.n_trials,
        n_jobs=run.arguments.jobs,
        resume=True,
        **run.shared,
    )


def _table1(run):
    from skdfal.experiment._run import calibration_errors
    from skdfal.reproduce import PAPER_METHODS, paper_accuracies, paper_table
    from skdfal.reproduce._reports import beyond_table

    records = _trials(run, run.arguments.strategies or PAPER_METHODS)
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
        "corrected for their number. Saved: annotations fewer than RANDOM took for "
        "RANDOM's best accuracy. Calibration error: of the last net, in percent (15 "
        "bins)."
    )

    def tables(tablefmt):
        return [
            paper_table(records, marks, published, tablefmt=tablefmt),
            beyond,
            beyond_table(records, calibration, tablefmt=tablefmt),
        ]

    note = _note_of_trials(run, records)
    _write(run, title, note + ranks, tables, source="Table 1")
    _draw_curves(run, records, "learning_curves", note, _points(run, records))
    name_files(
        run.out_dir,
        ["table1.md", "rounds.csv", "learning_curves.png", "learning_curves.svg"],
    )


def _figure2(run):
    from skdfal.experiment import accuracy_table, summarize
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce import PAPER_METHODS
    from skdfal.reproduce._paper import paper_accuracies

    records = _trials(run, run.arguments.strategies or PAPER_METHODS)
    protocol = run.protocol
    _write_run(run)
    rows = [
        {
            "strategy": name,
            "annotations": mark,
            "score_mean": summary.mean,
            "score_std": summary.std,
            "n_trials": summary.n_trials,
        }
        for name, at in summarize(records, protocol.rounds()).items()
        for mark, summary in at.items()
    ]
    write_csv(run.out_dir / "figure2.csv", rows, tuple(rows[0]))
    title = (
        f"Figure 2, {protocol.dataset}, {protocol.net}: test accuracy in percent, all "
        "rounds in figure2.csv"
    )

    def tables(tablefmt):
        return [accuracy_table(records, protocol.table_marks(), tablefmt=tablefmt)]

    note = f"{_note_of_trials(run, records)} Open marks: the paper's Table 1."
    _write(run, title, note, tables)
    whole = paper_accuracies(protocol.dataset, protocol.net)["random"].get("all")
    _draw_curves(
        run,
        records,
        "figure2",
        note,
        _points(run, records),
        reference=whole and {"full training set, paper": whole},
    )
    _name_all(run)


def _points(run, records):
    """The paper's values within the range of ours."""
    from skdfal.reproduce import paper_accuracies

    published = paper_accuracies(run.protocol.dataset, run.protocol.net)
    points = {
        name: [
            (n, value)
            for n, value in values.items()
            if n != "all" and n <= run.protocol.max_annotations
        ]
        for name, values in published.items()
        if any(row["strategy"] == name for row in records)
    }
    return {name: pairs for name, pairs in points.items() if pairs}


# Table 2


def _table2(run):
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce import PAPER_METHODS, load_protocol
    from skdfal.reproduce._paper import (
        changed_protocol,
        load_experiment,
        paper_reach,
    )
    from skdfal.reproduce._reports import reach_rows, reach_table
    from skdfal.reproduce._transfer import full_training_set

    place = (run.arguments.dataset, run.arguments.net, run.arguments.scale)
    settings = load_experiment("full", *place)
    full = changed_protocol(load_protocol(*place), settings)
    records = _trials(run, run.arguments.strategies or PAPER_METHODS)
    found = full_training_set(
        full.protocol, full.n_trials, n_jobs=run.arguments.jobs, **run.shared
    )
    target = statistics.fmean(result["score"] for result in found)
    published = paper_reach(run.protocol.dataset, run.protocol.net)
    rows = reach_rows(records, target, published)
    write_csv(run.out_dir / "table2.csv", rows, tuple(rows[0]))
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

    note = _note_of_trials(run, records, *settings["deviations"])
    _write(run, title, note, tables, source="Table 2")
    _write_run(run, full_training_set=found)
    _name_all(run)


# Table 3


def _table3(run):
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce._paper import paper_seconds
    from skdfal.reproduce._query_times import query_time_rows, query_times
    from skdfal.reproduce._reports import query_time_table

    settings = dict(run.settings)
    settings["n_repeats"] = run.arguments.trials or settings["n_repeats"]
    repeats = query_times(run.protocol, settings, **run.shared)
    rows = query_time_rows(repeats, paper_seconds(run.protocol.dataset))
    write_csv(run.out_dir / "table3.csv", rows, tuple(rows[0]))
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

    _write(run, title, note, tables, source="Table 3")
    _write_run(run, repeats=repeats)
    _name_all(run)


# Table 4 and Figure 3


def _transferred(run, marks):
    """Run the trials, train the other net on what they chose; return both rows."""
    from skdfal.experiment import NETS
    from skdfal.reproduce import load_protocol
    from skdfal.reproduce._paper import deviations_in_training
    from skdfal.reproduce._transfer import transfer

    strategies = run.arguments.strategies or run.settings["strategies"]
    n_trials = run.arguments.trials or run.paper.n_trials
    records = [
        row
        for row in _trials(run, strategies)
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
    return records, rows, other, _note_of_trials(run, records, *new)


def _table4(run):
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce._paper import paper_transfer
    from skdfal.reproduce._reports import transfer_rows, transfer_table

    mark = run.protocol.max_annotations
    records, transferred, other, note = _transferred(run, [mark])
    protocol = run.protocol
    published = paper_transfer(protocol.dataset, protocol.net, other)
    theirs = run.settings["paper_annotations"]
    rows = transfer_rows(records, transferred, published, mark, theirs)
    note += f" The paper's values are after {theirs} annotations."
    write_csv(run.out_dir / "table4.csv", rows, tuple(rows[0]))
    title = (
        f"Table 4, {protocol.dataset}: test accuracy in percent of {other}, trained "
        f"from scratch on what {protocol.net} chose by {mark} annotations, twins "
        "included; mean ± standard deviation over trials"
    )

    def tables(tablefmt):
        return [transfer_table(rows, protocol.net, other, tablefmt=tablefmt)]

    _write(run, title, note, tables, source="Table 4")
    _write_run(run, trained=transferred)
    _name_all(run)


def _figure3(run):
    from skdfal.experiment import accuracy_table
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce._paper import paper_transfer

    marks = run.settings["marks"]
    _, transferred, other, note = _transferred(run, marks)
    protocol = run.protocol
    write_csv(run.out_dir / "figure3.csv", transferred, tuple(transferred[0]))
    title = (
        f"Figure 3, {protocol.dataset}: test accuracy in percent of {other}, trained "
        f"from scratch on what {protocol.net} chose"
    )

    def tables(tablefmt):
        return [accuracy_table(transferred, marks, tablefmt=tablefmt)]

    theirs = run.settings["paper_annotations"]
    published = paper_transfer(protocol.dataset, protocol.net, other)
    shown = {row["strategy"] for row in transferred}
    points = {
        name: [(theirs, value)]
        for name, value in published.items()
        if name in shown and marks[-1] >= theirs
    }
    if points:
        note += f" Open marks: the paper's Table 4, after {theirs} annotations."
    _write(run, title, note, tables)
    _write_run(run, trained=transferred)
    heading = f"{protocol.dataset}: {other} trained on what {protocol.net} chose"
    _draw_curves(run, transferred, "figure3", note, points, title=heading)
    _name_all(run)


# The supplement


def _two_nets(run):
    """Train two nets on the same samples; return them, and lines that say how well."""
    from skdfal.experiment import NETS
    from skdfal.reproduce import load_protocol
    from skdfal.reproduce._agreement import TwoNets
    from skdfal.reproduce._paper import (
        changed_protocol,
        deviations_in_training,
        load_experiment,
    )

    arguments = run.arguments
    places = [(arguments.dataset, net, arguments.scale) for net in NETS]
    nets = load_experiment("nets", *places[0])
    papers = [changed_protocol(load_protocol(*place), nets) for place in places]
    two = TwoNets(
        [paper.protocol for paper in papers],
        nets["n_labeled"],
        arguments.trials or nets["n_trials"],
        n_jobs=arguments.jobs,
        **run.shared,
    )
    scores = two.train()
    deviations = list(run.paper.deviations)
    for new in [*starmap(deviations_in_training, places), nets["deviations"]]:
        deviations += [d for d in new if d not in deviations]
    accuracies = ", ".join(
        f"{net} {statistics.fmean(found):.1%}" for net, found in scores.items()
    )
    note = run._replace(paper=run.paper._replace(deviations=deviations)).note()
    note += (
        f" Both nets trained on the same {two.n_labeled} random samples; test "
        f"accuracy: {accuracies}."
    )
    return two, scores, note


def _confidence(run):
    from skdfal.experiment import NETS
    from skdfal.experiment._folder import write_csv
    from skdfal.reproduce._pictures import save_confidences
    from skdfal.reproduce._reports import value_table

    two, scores, note = _two_nets(run)
    agreements = two.confidences(run.settings["n_draws"])
    _, y = two.test_samples()
    rows = [
        {
            "trial": trial,
            "sample": i,
            "label": int(y[i]),
            **{
                f"{kind}_{net}": float(getattr(of_kind, f"confidence_{side}")[i])
                for kind, of_kind in found.items()
                for net, side in zip(NETS, "ab", strict=True)
            },
        }
        for trial, found in enumerate(agreements)
        for i in range(len(y))
    ]
    write_csv(run.out_dir / "confidence.csv", rows, tuple(rows[0]))
    dataset = run.protocol.dataset
    title = (
        f"Supplement, Figure 1, {dataset}: rank correlation of the confidences of "
        f"{' and '.join(NETS)} on {len(y)} test samples"
    )
    n_draws = run.settings["n_draws"]
    names = {"deterministic": "deterministic", "dropout": f"mean of {n_draws} dropouts"}
    values = {
        names[kind]: [found[kind].correlation for found in agreements] for kind in names
    }

    def tables(tablefmt):
        headers = ["confidence", "Spearman's rank correlation", "trials"]
        return [value_table(values, headers, tablefmt=tablefmt)]

    note += " The paper shows the points, and states no number."
    _write(run, title, note, tables)
    _write_run(run, accuracies=scores, correlations=values)
    draw_or_say(
        lambda: save_confidences(
            {names[kind]: found for kind, found in agreements[0].items()},
            NETS,
            run.out_dir / "confidence.png",
            title=dataset,
            note=note,
            formats=_PICTURES,
        )
    )
    _name_all(run)


def _regions(run):
    from skdfal.experiment import NETS
    from skdfal.experiment._folder import write_csv
    from skdfal.plot import RegionsDisplay
    from skdfal.reproduce._pictures import save_regions
    from skdfal.reproduce._reports import value_table

    two, scores, note = _two_nets(run)
    settings = {k: v for k, v in run.settings.items() if k != "deviations"}
    X, y = two.test_samples()
    settings["n_samples"] = min(settings["n_samples"], len(X))
    agreements = two.regions(**settings)
    X, y = X[: settings["n_samples"]], y[: settings["n_samples"]]
    displays = [
        RegionsDisplay.from_agreement(found, X, name_a=NETS[0], name_b=NETS[1])
        for found in agreements
    ]
    rows = [
        {
            "trial": trial,
            "sample": i,
            "label": int(y[i]),
            **{
                name.replace("_a", f"_{NETS[0]}").replace("_b", f"_{NETS[1]}"): v[i]
                for name, v in found._asdict().items()
                if name not in ("agree", "anchor")
            },
            "anchor": found.anchor[i],
            "state": display.state[i],
            "tsne_1": display.embedding[i, 0],
            "tsne_2": display.embedding[i, 1],
        }
        for trial, (found, display) in enumerate(zip(agreements, displays, strict=True))
        for i in range(len(y))
    ]
    write_csv(run.out_dir / "regions.csv", rows, tuple(rows[0]))
    dataset = run.protocol.dataset
    title = (
        f"Supplement, Figure 2, {dataset}: {len(X)} test samples, and whether "
        f"{' and '.join(NETS)} have them in the same classification region"
    )
    shares = {
        f"a path in {NETS[0]}": [float(r.connected_a.mean()) for r in agreements],
        f"a path in {NETS[1]}": [float(r.connected_b.mean()) for r in agreements],
        "same class predicted": [
            float((r.label_a == r.label_b).mean()) for r in agreements
        ],
        "same region in both": [float(r.agree.mean()) for r in agreements],
    }

    def tables(tablefmt):
        return [
            value_table(shares, ["", "share of samples", "trials"], tablefmt=tablefmt)
        ]

    note += (
        f" A path leads to one of the {settings['n_anchors']} nearest training samples "
        "of the class; where none was found there may be one. The paper shows the "
        "points, and states no number."
    )
    _write(run, title, note, tables)
    _write_run(run, accuracies=scores, shares=shares)
    draw_or_say(
        lambda: save_regions(
            displays[0],
            run.out_dir / "regions.png",
            title=dataset,
            note=note,
            formats=_PICTURES,
        )
    )
    _name_all(run)


_REPORTS = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "figure2": _figure2,
    "figure3": _figure3,
    "confidence": _confidence,
    "regions": _regions,
}


# Files


def _write(run, title, note, tables, source=None):
    """Print tables and write them as Markdown; ``tables`` takes a format."""
    from skdfal.experiment._folder import write_text

    print("\n" + "\n\n".join([f"{title}\n{note}", *tables("simple")]) + "\n")
    if source:
        note = f"{note} {_SOURCE.format(source)}"
    text = "\n\n".join([title, note, *tables("github")])
    write_text(run.out_dir / f"{run.arguments.what}.md", f"{text}\n")


def _write_run(run, **found):
    """Write the JSON of versions, settings and what was found."""
    from skdfal.experiment._folder import write_json
    from skdfal.experiment._jobs import machine_name
    from skdfal.experiment._run import package_versions

    settings = {**run.protocol.settings(), **run.settings}
    write_json(
        run.out_dir / f"{run.arguments.what}.json",
        {
            "settings": json.loads(json.dumps(settings)),
            "seed": run.arguments.seed,
            "device": run.arguments.device,
            "versions": package_versions(),
            "machine": machine_name(run.arguments.threads),
            **found,
        },
    )


def _draw_curves(run, records, name, note, points, *, title=None, **parameters):
    from skdfal.reproduce._pictures import save_learning_curves

    draw_or_say(
        lambda: save_learning_curves(
            records,
            run.out_dir / f"{name}.png",
            title=title or f"{run.protocol.dataset}, {run.protocol.net}",
            note=note,
            formats=_PICTURES,
            points=points,
            **parameters,
        )
    )


def _note_of_trials(run, records, *more):
    """Return the note, with how many trials there are and what cut them short."""
    from skdfal.experiment._run import rounds_cut_short
    from skdfal.reproduce import load_protocol

    arguments = run.arguments
    theirs = load_protocol(arguments.dataset, arguments.net).n_trials
    trials = {(row["strategy"], row["trial"]) for row in records}
    counts = set(Counter(name for name, _ in trials).values())
    note = run.note(*more)
    if counts != {theirs}:
        ours = " to ".join(map(str, sorted({min(counts), max(counts)})))
        note += f" Trials of a strategy: {ours}, not {theirs}."
    # There another run may choose other samples.
    return note + "".join(
        f" {n} queries of {name} reached their time limit."
        for name, n in rounds_cut_short(run.out_dir).items()
    )


def _name_all(run):
    what = run.arguments.what
    name_files(run.out_dir, [f"{what}.{x}" for x in ("md", "csv", "json", *_PICTURES)])


def draw_or_say(draw):
    """Draw, or say what it takes.

    Parameters
    ----------
    draw : callable
        What draws.
    """
    try:
        draw()
    except ImportError:
        print(
            "No pictures: matplotlib cannot be imported. Install it by\n"
            "  pip install matplotlib\n"
            "and go on: finished trials are not run again.",
            file=sys.stderr,
        )


def name_files(out_dir, names):
    """Print which of some files there are.

    Parameters
    ----------
    out_dir : Path
        Their folder.
    names : sequence of str
        Their names.
    """
    found = [name for name in names if (out_dir / name).exists()]
    print(f"Results in {out_dir}: {', '.join(found)}")

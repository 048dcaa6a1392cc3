"""Reproduce the figures of the paper and of its supplement."""

import statistics
from itertools import starmap

from skdfal.experiment import accuracy_table, summarize
from skdfal.plot import RegionsDisplay
from skdfal.reproduce._agreement import TwoNets
from skdfal.reproduce._files import draw_or_say
from skdfal.reproduce._paper import (
    NETS,
    PAPER_METHODS,
    changed_protocol,
    deviations_in_training,
    load_experiment,
    load_protocol,
    paper_accuracies,
    paper_transfer,
)
from skdfal.reproduce._pictures import save_confidences, save_regions
from skdfal.reproduce._reports import value_table
from skdfal.reproduce._tables import train_other_net


def figure2(run):
    """Learning curves of all methods."""
    records = run.trials(run.arguments.strategies or PAPER_METHODS)
    protocol = run.protocol
    run.write_run()
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
    run.write_rows(rows)
    title = (
        f"Figure 2, {protocol.dataset}, {protocol.net}: test accuracy in percent, all "
        "rounds in figure2.csv"
    )

    def tables(tablefmt):
        return [accuracy_table(records, protocol.table_marks(), tablefmt=tablefmt)]

    note = f"{run.note_of_trials(records)} Open marks: the paper's Table 1."
    run.write_tables(title, note, tables)
    whole = paper_accuracies(protocol.dataset, protocol.net)["random"].get("all")
    run.draw_curves(
        records,
        "figure2",
        note,
        run.points(records),
        reference=whole and {"full training set, paper": whole},
    )
    run.name_files()


def figure3(run):
    """Learning curves of the other network, trained on what the first one queried."""
    marks = run.settings["marks"]
    _, transferred, other, note = train_other_net(run, marks)
    protocol = run.protocol
    run.write_rows(transferred)
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
    run.write_tables(title, note, tables)
    run.write_run(trained=transferred)
    heading = f"{protocol.dataset}: {other} trained on what {protocol.net} chose"
    run.draw_curves(transferred, "figure3", note, points, title=heading)
    run.name_files()


def _two_nets(run):
    """Train two networks on the same samples; return them, and a note on accuracy."""
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


def confidence(run):
    """Confidences of two networks on the same samples."""
    two, scores, note = _two_nets(run)
    agreements = two.confidences(run.settings["n_draws"])
    _, y = two.test_samples()
    run.write_rows(_confidence_rows(agreements, y))
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
    run.write_tables(title, note, tables)
    run.write_run(accuracies=scores, correlations=values)
    draw_or_say(
        lambda: save_confidences(
            {names[kind]: found for kind, found in agreements[0].items()},
            NETS,
            run.out_dir / "confidence.png",
            title=dataset,
            note=note,
        )
    )
    run.name_files()


def _confidence_rows(agreements, y):
    """Return one row per trial and test sample, for the CSV."""
    return [
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


def regions(run):
    """Which samples two networks have in the same classification region."""
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
    run.write_rows(_region_rows(agreements, displays, y))
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
    run.write_tables(title, note, tables)
    run.write_run(accuracies=scores, shares=shares)
    draw_or_say(
        lambda: save_regions(
            displays[0],
            run.out_dir / "regions.png",
            title=dataset,
            note=note,
        )
    )
    run.name_files()


def _region_rows(agreements, displays, y):
    """Return one row per trial and test sample, for the CSV."""
    return [
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

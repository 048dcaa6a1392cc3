"""The paper's experiments: protocols and published values, both as data."""

import csv
import sys
from dataclasses import fields, replace
from importlib.resources import files
from typing import NamedTuple

from skdfal._utils._records import in_points, percent
from skdfal.experiment import Protocol
from skdfal.experiment._table import in_percent, summarize_all, text_table
from skdfal.strategies import STRATEGIES, describe

SCALES = ("paper", "laptop", "smoke")

# The data sets of Table 1: ours -> the paper's. Shoes, bags and animals are stand-ins.
PAPER_DATASETS = {
    "mnist": "MNIST",
    "fashion_shoe_bag": "Shoe-Bag",
    "quickdraw": "Quick-Draw",
    "quickdraw_animals": "Quick-Draw",
}
PAPER_NETS = {"lenet5": "LeNet5", "vgg8": "VGG8"}
NETS = tuple(PAPER_NETS)


def _published(table, **wanted):
    """Yield the rows of a table of the paper with the wanted values."""
    in_paper = PAPER_DATASETS | PAPER_NETS
    path = files("skdfal.reproduce") / "protocols" / f"paper_{table}.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        if all(row[column] == in_paper[value] for column, value in wanted.items()):
            yield row


# The methods of Table 1, in its order: the paper's name -> ours, and back.
_LABELS = {
    describe(name).label: name for name in STRATEGIES if describe(name).in_dfal_paper
}
_OURS = {row["method"]: _LABELS[row["method"]] for row in _published("table1")}
METHODS = {ours: theirs for theirs, ours in _OURS.items()}

PAPER_METHODS = tuple(METHODS)

# Keys of a section that concern the protocol; others concern the experiment.
_FIELDS = {field.name for field in fields(Protocol)} | {"n_trials", "deviations"}


class PaperProtocol(NamedTuple):
    """A protocol of the paper at some scale, with its deviations from the paper."""

    protocol: Protocol
    n_trials: int
    deviations: list


def load_protocol(dataset, net, scale="paper"):
    """Read the protocol of an experiment of the paper.

    Parameters
    ----------
    dataset : {"mnist", "fashion_shoe_bag", "quickdraw", "quickdraw_animals"}
        The data set.
    net : {"lenet5", "vgg8"}
        The network.
    scale : {"paper", "laptop", "smoke"}, default="paper"
        Size of the experiment.

    Returns
    -------
    protocol : PaperProtocol
        Named tuple of the protocol, the number of trials, and the deviations from the
        paper.

    Examples
    --------
    >>> from skdfal.reproduce import load_protocol
    >>> load_protocol("mnist", "lenet5").protocol.max_annotations
    1000
    """
    check_one_of("dataset", dataset, PAPER_DATASETS)
    check_one_of("net", net, PAPER_NETS)
    values, changed = sections(f"{dataset}-{net}", scale)
    if not changed:
        raise ValueError(f"scale={scale!r} should be one of {', '.join(SCALES)}.")
    query_params = values["query_params"] | changed["query_params"]
    values = values | changed | {"query_params": query_params}
    values = protocol_values(values)
    n_trials, deviations = values.pop("n_trials"), values.pop("deviations")
    deviations = [*changed.get("deviations_of_loop", []), *deviations]
    return PaperProtocol(Protocol(**values), n_trials, deviations)


def check_one_of(name, value, allowed):
    """Raise a ValueError unless a parameter has one of the allowed values."""
    if value not in list(allowed):
        raise ValueError(f"{name}={value!r} should be one of {', '.join(allowed)}.")


def load_experiment(what, dataset, net, scale):
    """Read the settings of an experiment that are not in the protocol.

    Parameters
    ----------
    what : str
        A section of the files, such as "table3".
    dataset, net, scale : str
        As for :func:`load_protocol`.

    Returns
    -------
    settings : dict
        The values of the section; "deviations" is always among them.
    """
    files = [sections(n, scale) for n in ("experiments", f"{dataset}-{net}")]
    settings = {"deviations": []}
    for of_files in zip(*files, strict=True):  # those of "paper", then of the scale
        for section in of_files:
            settings |= section.get(what, {})
    return settings


def deviations_in_training(dataset, net, scale):
    """Return how data and training depart from the paper, for every experiment.

    Parameters
    ----------
    dataset, net, scale : str
        As for :func:`load_protocol`.

    Returns
    -------
    deviations : list of str
        Those of :func:`load_protocol`, without those that concern the loop.
    """
    values, changed = sections(f"{dataset}-{net}", scale)
    return (values | changed)["deviations"]


def changed_protocol(paper, settings):
    """Return a protocol, updated by the settings that are fields of it.

    Parameters
    ----------
    paper : PaperProtocol
        As for :func:`load_protocol`.
    settings : dict
        Result of :func:`load_experiment`.

    Returns
    -------
    protocol : PaperProtocol
        The updated protocol, with the deviations of both.
    """
    values = protocol_values(settings)
    n_trials = values.pop("n_trials", paper.n_trials)
    deviations = [*paper.deviations, *values.pop("deviations")]
    return PaperProtocol(replace(paper.protocol, **values), n_trials, deviations)


def protocol_values(values):
    """Return the values that concern a protocol; TOML has no null.

    Parameters
    ----------
    values : dict
        Values in a file.

    Returns
    -------
    values : dict
        Fields of :class:`Protocol`, "n_trials" and "deviations".
    """
    return {
        name: None if value == "none" else value
        for name, value in values.items()
        if name in _FIELDS
    }


def sections(name, scale):
    """Return the sections "paper" and ``scale`` of a file.

    Parameters
    ----------
    name, scale : str
        The file without its suffix, and the scale.

    Returns
    -------
    paper, of_scale : dict
        The two sections; the second is empty if the file does not have it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    path = files("skdfal.reproduce") / "protocols" / f"{name}.toml"
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return found["paper"], found.get(scale, {})


def paper_accuracies(dataset, net):
    """Return the accuracies of the paper's Table 1.

    Parameters
    ----------
    dataset : {"mnist", "fashion_shoe_bag", "quickdraw", "quickdraw_animals"}
        The data set.
    net : {"lenet5", "vgg8"}
        The network.

    Returns
    -------
    accuracies : dict of str to dict of (int or "all") to float
        For each strategy its accuracy in [0, 1] by the number of annotations. "all" of
        "random" is the accuracy of the full training set.

    Examples
    --------
    >>> from skdfal.reproduce import paper_accuracies
    >>> paper_accuracies("mnist", "lenet5")["dfal"][100]
    0.8277
    """
    accuracies = {name: {} for name in METHODS}
    for row in _published("table1", dataset=dataset, network=net):
        n = row["annotations"]
        accuracy = _fraction(row["test_accuracy_percent"])
        accuracies[_OURS[row["method"]]][n if n == "all" else int(n)] = accuracy
    return accuracies


def paper_reach(dataset, net):
    """Return the paper's Table 2: labels needed to match the full training set.

    Parameters
    ----------
    dataset, net : str
        As for :func:`load_protocol`.

    Returns
    -------
    reach : dict of str to dict
        For each strategy in the table: "annotations", "labeled_data", "reached", and
        "target", the accuracy to reach, in [0, 1].
    """
    return {
        _OURS[row["method"]]: {
            "target": _fraction(row["target_accuracy_percent"]),
            "annotations": int(row["annotations"]),
            "labeled_data": int(row["labeled_data"]),
            "reached": row["reached"] == "yes",
        }
        for row in _published("table2", dataset=dataset, network=net)
    }


def paper_seconds(dataset):
    """Return the paper's Table 3: seconds per query, by the name of the method there.

    Parameters
    ----------
    dataset : str
        As for :func:`load_protocol`; the paper has only MNIST.

    Returns
    -------
    seconds : dict of str to float
        For "DFAL", "CORE-SET robust" and "CORE-SET not robust".
    """
    rows = _published("table3", dataset=dataset)
    return {row["method"]: float(row["seconds"]) for row in rows}


def paper_transfer(dataset, chosen_with, trained):
    """Return the paper's Table 4: accuracy of a network on another's training set.

    Parameters
    ----------
    dataset : str
        As for :func:`load_protocol`.
    chosen_with, trained : {"lenet5", "vgg8"}
        The network that queried, and the one trained afterwards.

    Returns
    -------
    accuracies : dict of str to float
        Accuracies of three strategies, in [0, 1].
    """
    rows = _published("table4", dataset=dataset, chosen_with=chosen_with)
    return {
        _OURS[row["method"]]: _fraction(row["test_accuracy_percent"])
        for row in rows
        if row["trained"] == PAPER_NETS[trained]
    }


def _fraction(percent):
    return round(float(percent) / 100, 6)


def paper_table(records, marks, published, *, tablefmt="simple"):
    """Return a table of our accuracies, the paper's, and the differences, in percent.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations.
    published : dict
        Result of :func:`paper_accuracies`.
    tablefmt : str, default="simple"
        A table format of tabulate, such as "github" for Markdown.

    Returns
    -------
    table : str
        One line per strategy. At numbers of annotations that are not in the paper,
        there are only our accuracies. If the paper has the last one, the line ends with
        the ranks among the paper's strategies.

    Examples
    --------
    >>> from skdfal.reproduce import paper_accuracies, paper_table
    >>> records = [{"strategy": "dfal", "annotations": 100, "score": 0.85}]
    >>> published = paper_accuracies("mnist", "lenet5")
    >>> print(paper_table(records, [100], published, tablefmt="plain"))
    method      100    paper    diff.    rank    paper    trials
    DFAL       85.0     82.8     +2.2       1        1         1
    """
    summaries = summarize_all(records, marks)
    columns = [["method", *(METHODS.get(name, name) for name in summaries)]]

    def add(header, values):
        columns.append([header, *(values.get(name, "") for name in summaries)])

    for mark in marks:
        ours = {name: found[mark] for name, found in summaries.items()}
        theirs = {n: published[n][mark] for n in ours if mark in published.get(n, {})}
        add(str(mark), {name: in_percent(found) for name, found in ours.items()})
        if theirs:
            add("paper", {n: percent(value) for n, value in theirs.items()})
            less = {n: ours[n].mean - value for n, value in theirs.items()}
            add("diff.", {n: in_points(value) for n, value in less.items()})
    if theirs:  # at the last mark
        add("rank", ranks_of({name: ours[name].mean for name in theirs}))
        add("paper", ranks_of(theirs))
    add("trials", {name: found.n_trials for name, found in ours.items()})
    headers, *lines = zip(*columns, strict=True)
    return text_table(headers, lines, tablefmt)


def ranks_of(scores):
    """Return ranks, 1 for the highest score; ties share the better rank."""
    return {
        name: 1 + sum(other > score for other in scores.values())
        for name, score in scores.items()
    }

"""The paper's experiments: protocols and published values, both as data."""

import csv
import sys
from importlib.resources import files
from typing import NamedTuple

from skdfal.experiment._protocol import Protocol
from skdfal.experiment._table import in_percent, summarize
from skdfal.strategies import STRATEGIES

SCALES = ("paper", "laptop", "smoke")

# The seven methods of Table 1: our name -> the paper's.
METHODS = {
    "dfal": "DFAL",
    "bald": "BALD",
    "ceal": "CEAL",
    "core_set": "CORE-SET",
    "egl": "EGL",
    "uncertainty": "uncertainty",
    "random": "RANDOM",
}

PAPER_METHODS = tuple(name for name in METHODS if name in STRATEGIES)

# The data sets of Table 1: ours -> the paper's. The shoes and bags are a stand-in.
PAPER_DATASETS = {
    "mnist": "MNIST",
    "fashion_shoe_bag": "Shoe-Bag",
    "quickdraw": "Quick-Draw",
}
_NETS = {"lenet5": "LeNet5", "vgg8": "VGG8"}


class PaperProtocol(NamedTuple):
    """A protocol of the paper at some scale, and how it departs from the paper."""

    protocol: Protocol
    n_trials: int
    deviations: list


def load_protocol(dataset, net, scale="paper"):
    """Read the protocol of an experiment of the paper.

    Parameters
    ----------
    dataset : {"mnist", "fashion_shoe_bag", "quickdraw"}
        The data set.
    net : {"lenet5", "vgg8"}
        The network.
    scale : {"paper", "laptop", "smoke"}, default="paper"
        How much of it.

    Returns
    -------
    protocol : PaperProtocol
        Named tuple of the protocol, the number of trials, and the deviations.

    Examples
    --------
    >>> from skdfal.experiment import load_protocol
    >>> load_protocol("mnist", "lenet5").protocol.max_annotations
    1000
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    path = files("skdfal") / "protocols" / f"{dataset}-{net}.toml"
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    values, changed = sections["paper"], sections[scale]
    query_params = values["query_params"] | changed["query_params"]
    query_params = {k: v for k, v in query_params.items() if k in STRATEGIES}
    values = values | changed | {"query_params": query_params}
    # TOML has no null.
    values = {k: None if v == "none" else v for k, v in values.items()}
    n_trials, deviations = values.pop("n_trials"), values.pop("deviations")
    return PaperProtocol(Protocol(**values), n_trials, deviations)


def paper_accuracies(dataset, net):
    """Return the accuracies of the paper's Table 1.

    Parameters
    ----------
    dataset : {"mnist", "fashion_shoe_bag", "quickdraw"}
        The data set.
    net : {"lenet5", "vgg8"}
        The network.

    Returns
    -------
    accuracies : dict of str to dict of (int or "all") to float
        For each strategy its accuracy, in [0, 1], at the numbers of annotations;
        "all" of "random" is the full training set.

    Examples
    --------
    >>> from skdfal.experiment import paper_accuracies
    >>> paper_accuracies("mnist", "lenet5")["dfal"][100]
    0.8277
    """
    names = {theirs: ours for ours, theirs in METHODS.items()}
    accuracies = {name: {} for name in METHODS}
    path = files("skdfal") / "protocols" / "paper_table1.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        if (row["dataset"], row["network"]) == (PAPER_DATASETS[dataset], _NETS[net]):
            n = row["annotations"]
            accuracy = round(float(row["test_accuracy_percent"]) / 100, 6)
            accuracies[names[row["method"]]][n if n == "all" else int(n)] = accuracy
    return accuracies


def paper_table(records, marks, published, *, tablefmt="simple"):
    """Return our accuracies beside the paper's, and the differences, in percent.

    Parameters
    ----------
    records : list of dict
        Rows as of :func:`run_experiment`.
    marks : sequence of int
        Numbers of annotations.
    published : dict
        What :func:`paper_accuracies` returned.
    tablefmt : str, default="simple"
        A format of tabulate, such as "github" for Markdown.

    Returns
    -------
    table : str
        A line a strategy; at marks that the paper does not have, ours alone.

    Examples
    --------
    >>> from skdfal.experiment import paper_accuracies, paper_table
    >>> records = [{"strategy": "dfal", "annotations": 100, "score": 0.85}]
    >>> published = paper_accuracies("mnist", "lenet5")
    >>> print(paper_table(records, [100], published, tablefmt="plain"))
    method      100    paper    diff.    trials
    DFAL       85.0     82.8     +2.2         1
    """
    from tabulate import tabulate

    summaries = summarize(records, marks)
    headers, lines = ["method"], [[METHODS.get(name, name)] for name in summaries]
    for mark in marks:
        in_paper = any(mark in published.get(name, {}) for name in summaries)
        headers += [str(mark), "paper", "diff."] if in_paper else [str(mark)]
        for name, line in zip(summaries, lines, strict=True):
            found = summaries[name][mark]
            line.append(in_percent(found))
            if in_paper:
                value = published.get(name, {}).get(mark)
                known = value is not None
                line.append(f"{100 * value:.1f}" if known else "")
                line.append(f"{100 * (found.mean - value):+.1f}" if known else "")
    headers.append("trials")
    for name, line in zip(summaries, lines, strict=True):
        line.append(summaries[name][marks[-1]].n_trials)
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(
        lines, headers=headers, tablefmt=tablefmt, colalign=align, disable_numparse=True
    )

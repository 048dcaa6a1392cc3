"""Reproduce experiments on task-aware active learning (TA-VAAL, CVPR 2021)."""

import statistics
from dataclasses import replace
from typing import NamedTuple

from skdfal._utils._files import write_csv
from skdfal._utils._records import in_points
from skdfal.experiment import Protocol, accuracy_table, summarize
from skdfal.experiment._names import find_strategy
from skdfal.experiment._table import summary_of, text_table
from skdfal.reproduce._chosen import chosen_rows, rare_share_table, save_chosen
from skdfal.reproduce._files import Run, draw_or_say, trials_of
from skdfal.reproduce._loss_curves import loss_curve_table, loss_curves, save_losses
from skdfal.reproduce._paper import SCALES, check_one_of, protocol_values, sections
from skdfal.reproduce._transfer import transfer

# Our name -> the name on the pages.
TASK_AWARE_DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "fashion_mnist": "Fashion-MNIST",
}
_BASELINE = "random"
_PARTS = ("losses", "large")  # these have their own sections in the file


class TaskAware(NamedTuple):
    """A protocol at some scale: a :class:`PaperProtocol` with strategies."""

    protocol: Protocol
    n_trials: int
    deviations: list
    strategies: tuple
    parts: dict


def load_task_aware(dataset, imbalance=1, scale="paper"):
    """Read the protocol of a task-aware experiment.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "svhn", "fashion_mnist"}
        The data set.
    imbalance : float, default=1
        The ratio of :func:`skdfal.datasets.make_imbalanced`. The paper has 10 and 100,
        only on CIFAR-10.
    scale : {"paper", "laptop", "smoke"}, default="paper"
        Size of the experiment.

    Returns
    -------
    task_aware : TaskAware
        Named tuple of the protocol, the number of trials, the deviations, the
        strategies, and what the other experiments change.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> from skdfal.reproduce import load_task_aware
    >>> load_task_aware("cifar10", imbalance=100).protocol.imbalance
    100.0
    """
    check_one_of("dataset", dataset, TASK_AWARE_DATASETS)
    check_one_of("scale", scale, SCALES)
    values = {"dataset": dataset, "imbalance": imbalance}
    of_paper, of_scale = sections("task_aware", scale)
    for section in (of_paper, of_scale):
        values = _updated(values, section)
        values = _updated(values, section.get(dataset, {}))
    parts = {name: values.get(name, {}) for name in _PARTS}
    strategies = tuple(values["strategies"])
    values = protocol_values(values)
    n_trials, deviations = values.pop("n_trials"), list(values.pop("deviations"))
    if imbalance > 1 and dataset != "cifar10":
        for listed in (deviations, *(p.get("deviations", []) for p in parts.values())):
            listed.append("the paper has rare classes in CIFAR-10 alone")
    return TaskAware(Protocol(**values), n_trials, deviations, strategies, parts)


def _updated(values, section):
    """Return values updated by a section; nested tables are merged key by key."""
    merged = {
        key: {**values[key], **value}
        for key, value in section.items()
        if isinstance(value, dict) and isinstance(values.get(key), dict)
    }
    return values | section | merged


def task_aware(run):
    """Accuracy by stage, improvement over RANDOM, and the queried images."""
    records = run.trials(run.arguments.strategies or run.paper.strategies)
    _report(run, records)


def independent(run):
    """A network without a head, trained on what networks with a head queried."""
    strategies = run.arguments.strategies or tuple(
        name for name in run.paper.strategies if needs_head(name)
    )
    without = [name for name in strategies if not needs_head(name)]
    if without:
        raise ValueError(
            f"{', '.join(without)} need no net with a loss-prediction head, so there "
            "is nothing to train without one. Leave them out."
        )
    names = dict.fromkeys([_BASELINE, *strategies])
    records = [row for row in run.trials(tuple(names)) if row["strategy"] in names]
    trained = transfer(
        run.protocol,
        run.protocol,
        strategies,
        run.arguments.trials or run.paper.n_trials,
        run.protocol.rounds(),
        n_jobs=run.arguments.jobs,
        **run.shared,
    )
    apart = [row | {"strategy": f"{row['strategy']}, independent"} for row in trained]
    _report(run, [*records, *apart], with_choices=False)


def losses(run):
    """How the losses of both loss predictors fall, and how well they rank."""
    settings = run.paper.parts["losses"]
    found = loss_curves(
        run.protocol,
        settings["n_labeled"],
        run.arguments.trials or run.paper.n_trials,
        n_jobs=run.arguments.jobs,
        **run.shared,
    )
    run.write_rows(found)
    title = (
        f"Both loss predictors on {run.protocol.dataset}, {settings['n_labeled']} "
        "random labels: losses in the last epoch, and how they rank test samples "
        "(Spearman's coefficient of predicted and true loss); mean ± standard "
        "deviation over trials"
    )
    run.write_tables(
        title, run.note(), lambda fmt: [loss_curve_table(found, tablefmt=fmt)]
    )
    run.write_run()
    draw_or_say(lambda: save_losses(found, run.path("png"), title))
    run.name_files()


TASK_AWARE = {
    "task-aware": task_aware,
    "task-aware-independent": independent,
    "task-aware-losses": losses,
    "task-aware-large": task_aware,  # by its own protocol, with large budgets
}


def needs_head(name):
    """Whether a strategy needs a network with a loss-prediction head."""
    return "loss_prediction" in (find_strategy(name).net_params or {})


def reproduce_task_aware(arguments, results):
    """Run a task-aware experiment, and write its results.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command; ``dataset``, ``imbalance`` and ``out`` are set if they
        are None.
    results : Path
        Parent of the results folder, unless ``arguments.out`` names one.

    Raises
    ------
    ValueError
        If the data set is not one of these.
    """
    arguments.dataset = arguments.dataset or next(iter(TASK_AWARE_DATASETS))
    arguments.imbalance = arguments.imbalance or 1
    paper = load_task_aware(arguments.dataset, arguments.imbalance, arguments.scale)
    part = paper.parts.get(arguments.what.removeprefix("task-aware-"), {})
    changes = {k: v for k, v in part.items() if hasattr(paper.protocol, k)}
    paper = paper._replace(
        protocol=replace(paper.protocol, **changes),
        deviations=part.get("deviations", paper.deviations),
    )
    if arguments.out is None:
        ratio = f"-x{arguments.imbalance:g}" if arguments.imbalance > 1 else ""
        name = f"task-aware-{arguments.dataset}{ratio}-{arguments.scale}"
        name += f"-{arguments.what.removeprefix('task-aware-')}" if part else ""
        arguments.out = results / f"{name}-seed{arguments.seed}"
    run = TaskAwareRun(arguments, paper, {}, arguments.out)
    TASK_AWARE[arguments.what](run)


class TaskAwareRun(Run):
    """A :class:`Run` that compares with the task-aware paper."""

    @property
    def published_n_trials(self):
        """Number of trials per strategy in the paper."""
        return load_task_aware(self.arguments.dataset).n_trials


def improvements(records):
    """Return rows whose score is the lead over RANDOM in the same trial.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`. Trials that RANDOM does not have are
        left out.

    Returns
    -------
    improvements : list of dict
        The rows of the other strategies. All strategies of a trial start from the same
        samples and the same weights, so the differences are paired.
    """
    of_baseline = {
        (row["trial"], row["annotations"]): row["score"]
        for row in records
        if row["strategy"] == _BASELINE
    }
    return [
        row | {"score": row["score"] - of_baseline[row["trial"], row["annotations"]]}
        for row in records
        if row["strategy"] != _BASELINE
        and (row["trial"], row["annotations"]) in of_baseline
    ]


def improvement_table(records, marks, *, tablefmt="simple"):
    """Return improvements over RANDOM in points, with their mean over all stages.

    Parameters
    ----------
    records : list of dict
        Result of :func:`improvements`.
    marks : sequence of int
        Numbers of annotations, one column for each. At the first one, no sample has
        been queried yet.
    tablefmt : str, default="simple"
        A table format of tabulate.

    Returns
    -------
    table : str
        One line per strategy, the best mean first.
    """
    later = [mark for mark in marks if mark > min(marks)]
    lines = []
    for name, found in summarize(records, later).items():
        by_trial = {}
        for row in records:
            if row["strategy"] == name and row["annotations"] in later:
                by_trial.setdefault(row["trial"], []).append(row["score"])
        mean = summary_of([statistics.fmean(values) for values in by_trial.values()])
        cells = [_points(found[mark]) if mark in found else "" for mark in later]
        lines.append((mean.mean, [name, *cells, _points(mean), mean.n_trials]))
    lines.sort(key=lambda line: -line[0])
    headers = ["strategy", *map(str, later), "mean", "trials"]
    return text_table(headers, [line for _, line in lines], tablefmt)


def _points(summary):
    return in_points(summary.mean, summary.std)


def _report(run, records, *, with_choices=True):
    """Write tables, rows and figures of accuracies and of the queried samples."""
    marks = run.protocol.rounds()
    better = improvements(records)
    run.write_rows(_rows(records, better, marks))
    note = run.note_of_trials(records)
    ratio = run.protocol.imbalance
    data = run.protocol.dataset + (f", rare classes 1:{ratio:g}" if ratio > 1 else "")
    title = (
        f"{data}: test accuracy in percent by number of labels, mean ± standard "
        "deviation over trials; improvement over RANDOM in points, paired over trials"
    )
    chosen = chosen_rows(run.out_dir, run.protocol) if with_choices else []

    def tables(tablefmt):
        found = [accuracy_table(records, marks, tablefmt=tablefmt)]
        if better:
            found.append(improvement_table(better, marks, tablefmt=tablefmt))
        if chosen and ratio > 1:
            found.append(rare_share_table(chosen, tablefmt=tablefmt))
        return found

    run.write_tables(title, note, tables)
    run.write_run(trials=trials_of(records))
    run.draw_curves(records, run.arguments.what, note, {}, title=data)
    if better:
        run.draw_curves(
            better,
            f"{run.arguments.what}-improvement",
            note,
            {},
            title=f"{data}: better than RANDOM by",
            ylabel="difference of accuracies",
        )
    if chosen:
        write_csv(run.out_dir / "chosen.csv", chosen)
        draw_or_say(
            lambda: save_chosen(run.out_dir, run.protocol, run.out_dir / "chosen.png")
        )
    run.name_files()


def _rows(records, better, marks):
    """Return one row per strategy and stage, for the CSV."""
    gains = summarize(better, marks)
    rows = []
    for name, at in summarize(records, marks).items():
        for mark, found in at.items():
            gain = gains.get(name, {}).get(mark)
            rows.append(
                {
                    "strategy": name,
                    "annotations": mark,
                    "score_mean": found.mean,
                    "score_std": found.std,
                    "improvement_mean": gain and gain.mean,
                    "improvement_std": gain and gain.std,
                    "n_trials": found.n_trials,
                }
            )
    return rows

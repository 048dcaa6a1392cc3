"""Gather task-aware experiments for their page of results.

python docs/make_results_task_aware.py [FOLDER ...]

Each folder, named task-aware-DATASET, is one of `skdfal reproduce task-aware`; its
tables, rows, settings and pictures are copied to docs/results/, not the files of single
trials. Then docs/results/task-aware/overview.md is written from the rows in
docs/results/ alone; `tests/test_published_results.py` does the same.
"""

import shutil
import statistics
import sys
from pathlib import Path

from make_results import unbroken
from tabulate import tabulate

from skdfal._utils._records import in_points
from skdfal.experiment import read_records
from skdfal.experiment._names import find_strategy
from skdfal.experiment._table import summary_of
from skdfal.reproduce import TASK_AWARE_DATASETS
from skdfal.reproduce._task_aware import improvements

RESULTS = Path(__file__).parent / "results"
SUFFIXES = {".csv", ".json", ".png", ".svg"}
LEFT_OUT = {"settings.json", "chosen.svg"}


def published():
    """Return the folders of all published task-aware experiments."""
    return sorted(path.parent for path in RESULTS.glob("task-aware-*/rounds.csv"))


def copy_outputs(folder):
    """Copy what sums an experiment up."""
    target = RESULTS / folder.name
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if path.suffix == ".md":
            text = unbroken(path.read_text(encoding="utf-8"))
            (target / path.name).write_text(text, encoding="utf-8")
        elif path.suffix in SUFFIXES and path.name not in LEFT_OUT:
            shutil.copyfile(path, target / path.name)


def task_aware_overview(folders):
    """Return tables over all data sets: improvements by strategy, seconds of a round.

    The first has for each strategy its mean improvement over RANDOM over all stages
    after the first, in points, mean ± standard deviation over trials. The second has
    medians over all rounds of all data sets.
    """
    records = {folder.name: read_records(folder / "rounds.csv") for folder in folders}
    gains, seconds = {}, {}
    for folder in folders:
        for name, by_trial in _gains_by_trial(records[folder.name]).items():
            found = summary_of([statistics.fmean(v) for v in by_trial.values()])
            cell = f"{in_points(found.mean, found.std)} ({found.n_trials})"
            gains.setdefault(name, {})[_data_of(folder.name)] = cell
        for row in read_records(folder / "seconds.csv"):
            fit, query = seconds.setdefault(row["strategy"], ([], []))
            fit.append(float(row["fit_seconds"]))
            query += [float(row["query_seconds"])] if row["query_seconds"] else []
    order = [name for name in seconds if name in gains]
    improvement = [{"method": find_strategy(n).label, **gains[n]} for n in order]
    timing = [
        {
            "method": find_strategy(name).label,
            "training": f"{statistics.median(fit):.1f}",
            "query": f"{statistics.median(query):.2f}" if query else "",
            "query / training": (
                f"{statistics.median(query) / statistics.median(fit):.2f}"
                if query
                else ""
            ),
        }
        for name, (fit, query) in seconds.items()
    ]
    return [
        tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
        for rows in (improvement, timing)
    ]


def _gains_by_trial(records):
    """Return differences to RANDOM after the first stage, by strategy and trial."""
    first = min(row["annotations"] for row in records)
    gains = {}
    for row in improvements(records):
        if row["annotations"] > first:
            of_trial = gains.setdefault(row["strategy"], {})
            of_trial.setdefault(row["trial"], []).append(row["score"])
    return gains


def _data_of(name):
    """Return the data set of a folder, such as "CIFAR-10, 1:100"."""
    data, _, ratio = name.removeprefix("task-aware-").partition("-x")
    dataset = TASK_AWARE_DATASETS[data]
    return f"{dataset}, 1:{ratio}" if ratio else dataset


def main(names):
    """Gather the folders with these names, and write the overview of all."""
    for name in names:
        copy_outputs(Path(name).resolve())
    target = RESULTS / "task-aware"
    target.mkdir(parents=True, exist_ok=True)
    text = unbroken("\n\n".join(task_aware_overview(published())))
    (target / "overview.md").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

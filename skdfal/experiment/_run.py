"""Many trials in parallel processes, each of which can be killed and resumed."""

import platform
import sys
import time
import warnings
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral
from pathlib import Path

import torch
from sklearn.exceptions import ConvergenceWarning

from skdfal._version import __version__
from skdfal.experiment._folder import (
    COLUMNS,
    SECONDS_COLUMNS,
    TrialFiles,
    finished_trials,
    locked,
    open_folder,
    read_records,
    write_csv,
    write_json,
)
from skdfal.experiment._jobs import machine_name
from skdfal.experiment._protocol import is_count, load_data
from skdfal.experiment._trial import run_trial
from skdfal.experiment._workers import n_cores, report, run_tasks
from skdfal.strategies import STRATEGIES

_PACKAGES = ("modAL-python", "numpy", "ortools", "scikit-learn", "skorch", "torch")


def run_experiment(
    protocol,
    strategies,
    n_trials,
    *,
    seed=0,
    out_dir,
    n_jobs=None,
    n_threads=1,
    device="cpu",
    resume=False,
    verbose=1,
):
    """Run strategies over trials in parallel processes, and sum them up.

    Interrupted by Ctrl-C, or killed, it leaves a folder that the same call with
    ``resume=True`` goes on with; the files end as they would have without the break.
    Trials that are finished are never run again, so a later call may ask for more
    trials, or for other strategies, of the same settings.

    Parameters
    ----------
    protocol : Protocol
        The experiment.
    strategies : sequence of str
        Names in ``skdfal.strategies.STRATEGIES``.
    n_trials : int
        Trials of each strategy.
    seed : int, default=0
        What all seeds derive from.
    out_dir : path-like
        Folder for the results.
    n_jobs : int, default=None
        Worker processes; None is one a core.
    n_threads : int, default=1
        Threads of torch in each worker. Sums depend on it in their last digits, so
        it is a setting of the experiment, and does not follow ``n_jobs``.
    device : str, default="cpu"
        Where to train.
    resume : bool, default=False
        Go on with what is in ``out_dir``.
    verbose : int, default=1
        1 shows a bar and a line a trial on the standard error, 0 is silent.

    Returns
    -------
    records : list of dict
        A row a round of all finished trials in the folder, as in its ``rounds.csv``.

    Raises
    ------
    FileExistsError
        If ``out_dir`` is not empty and ``resume`` is not set.
    FolderError
        If it holds an experiment with other settings, or another process works in it.
    TrialError
        If a trial failed. The others are ended, and can be resumed.
    ValueError
        If a strategy is unknown, the data too few, or the device not there.

    Notes
    -----
    Workers are spawned, so a script should call it below
    ``if __name__ == "__main__":``.

    Examples
    --------
    >>> from skdfal.experiment import Protocol, run_experiment
    >>> if __name__ == "__main__":  # doctest: +SKIP
    ...     records = run_experiment(
    ...         Protocol("mnist"), ["dfal", "random"], 5, out_dir="results"
    ...     )
    """
    if isinstance(strategies, str) or not len(strategies):
        raise ValueError(
            f"strategies={strategies!r} should be a list of one name or more."
        )
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown:
        raise ValueError(
            f"strategies has {', '.join(map(str, unknown))}; known are "
            f"{', '.join(STRATEGIES)}."
        )
    for name, value in [("n_trials", n_trials), ("seed", seed)]:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
            raise ValueError(f"{name}={value!r} should be an integer >= 0.")
    if n_jobs is not None and not is_count(n_jobs):
        raise ValueError(f"n_jobs={n_jobs!r} should be an integer >= 1, or None.")
    out_dir = Path(out_dir)
    data = load_data(protocol)  # downloaded once, before there are several workers
    protocol.check_data(data)
    _check_device(device)
    protocol.make_net(data, device).initialize()  # refuses images that are too small
    settings = {
        **protocol.settings(),
        "seed": int(seed),
        "device": device,
        "n_threads": n_threads,
    }
    open_folder(out_dir, settings, resume)
    with locked(out_dir):
        # All strategies of a trial before the next trial: what an interrupted run
        # leaves can be compared.
        tasks = [
            (strategy, trial)
            for trial in range(n_trials)
            for strategy in strategies
            if not TrialFiles(out_dir, strategy, trial).is_finished()
        ]
        if tasks:
            n_jobs = min(n_jobs or n_cores(), len(tasks))
            if verbose:
                print(
                    f"{', '.join(strategies)} on {protocol.dataset} with "
                    f"{protocol.net}, {protocol.n_initial} to "
                    f"{protocol.max_annotations} annotations: {len(tasks)} trials to "
                    f"run, {n_jobs} at a time",
                    file=sys.stderr,
                )
            work = (protocol, seed, out_dir, device)
            named = {
                f"trial {trial + 1} of {strategy}": (
                    _run_task,
                    (*work, strategy, trial),
                )
                for strategy, trial in tasks
            }
            with _Progress(protocol, tasks, out_dir, verbose) as progress:
                run_tasks(named, n_jobs, n_threads, progress.watch)
        _warn_of_limits(out_dir)
        return _sum_up(out_dir, settings)


def rounds_cut_short(out_dir):
    """Return how many queries of each strategy hit their time limit, where any did."""
    found = Counter()
    for files in finished_trials(out_dir):
        _, end = files.read()
        found[files.strategy] += end.get("n_cut_short", 0)
    return dict(+found)


def calibration_errors(out_dir):
    """Return the calibration errors of each strategy's last nets, one a trial."""
    found = defaultdict(list)
    for files in finished_trials(out_dir):
        _, end = files.read()
        if "calibration_error" in end:  # older versions did not compute it
            found[files.strategy].append(end["calibration_error"])
    return dict(found)


def _warn_of_limits(out_dir):
    for strategy, n in rounds_cut_short(out_dir).items():
        warnings.warn(
            f"{n} queries of {strategy} reached its time_limit, so that another run "
            "may choose other samples. Raise it in query_params, or lower "
            "n_candidates.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _check_device(device):
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{device=!r} cannot be used: {error}") from error


def _sum_up(out_dir, settings):
    """Write rounds.csv, seconds.csv and run.json from the files of the trials."""
    records, seconds, trials = [], [], {}
    for files in finished_trials(out_dir):
        rows, end = files.read()
        records += rows
        for row, fit, query in zip(
            rows, end["fit_seconds"], end["query_seconds"], strict=True
        ):
            timed = row | {"fit_seconds": fit, "query_seconds": query}
            seconds.append({name: timed[name] for name in SECONDS_COLUMNS})
        trials[f"{files.strategy}-{files.trial}"] = {
            "seed": end["seed"],
            "seconds": sum(end["fit_seconds"])
            + sum(filter(None, end["query_seconds"])),
            "calibration_error": end.get("calibration_error"),
        }
    write_csv(out_dir / "rounds.csv", records, COLUMNS)
    write_csv(out_dir / "seconds.csv", seconds, SECONDS_COLUMNS)
    write_json(
        out_dir / "run.json",
        {
            "settings": settings,
            "versions": package_versions(),
            "machine": machine_name(settings["n_threads"]),
            "cores": n_cores(),
            "trials": trials,
        },
    )
    return records


def package_versions():
    versions = {"python": platform.python_version(), "skdfal": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


# The trials


def _run_task(protocol, seed, out_dir, device, strategy, trial):
    run_trial(
        protocol,
        strategy,
        trial,
        seed=seed,
        out_dir=out_dir,
        device=device,
        monitor=report,
    )


class _Progress:
    """A bar over all rounds, and a line for each trial that ends."""

    def __init__(self, protocol, tasks, out_dir, verbose):
        from tqdm import tqdm

        self.n_rounds = len(protocol.rounds())
        self.verbose = verbose
        self.started = time.perf_counter()
        self.done = {task: _n_rounds_done(out_dir, *task) for task in tasks}
        self.bar = tqdm(
            total=len(tasks) * self.n_rounds,
            initial=sum(self.done.values()),
            unit="round",
            disable=None if verbose else True,  # None: where there is no terminal
            leave=False,
            dynamic_ncols=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def watch(self, rows, _):
        """Show what the workers have reported since the last look."""
        for row in rows:
            # Set, not counted: the round in which it was killed may come again.
            self.done[row["strategy"], row["trial"]] = row["round"] + 1
            self.bar.set_postfix_str(_in_words(row), refresh=False)
            self.bar.update(sum(self.done.values()) - self.bar.n)
            if row["round"] == self.n_rounds - 1 and self.verbose:
                passed = time.perf_counter() - self.started
                self.bar.write(f"[{passed:5.0f} s] {_in_words(row)}", file=sys.stderr)


def _n_rounds_done(out_dir, strategy, trial):
    return len(read_records(TrialFiles(out_dir, strategy, trial).rows))


def _in_words(row):
    return (
        f"{row['strategy']}, trial {row['trial'] + 1}: {row['score']:.1%} with "
        f"{row['annotations']} annotations"
    )

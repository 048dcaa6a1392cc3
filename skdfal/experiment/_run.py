"""Run many trials in parallel processes, each of which can be killed and resumed."""

import sys
import warnings
from collections import Counter, defaultdict
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from skdfal._utils._files import write_csv, write_json
from skdfal._utils._validation import COUNT, COUNT_OR_ZERO
from skdfal.experiment._data import load_data, load_data_anew
from skdfal.experiment._folder import (
    COLUMNS,
    DIGEST,
    SECONDS_COLUMNS,
    FolderError,
    TrialFiles,
    finished_trials,
    opened,
    read_records,
)
from skdfal.experiment._machine import (
    check_device,
    machine_name,
    n_cores,
    package_versions,
)
from skdfal.experiment._names import strategy_name
from skdfal.experiment._source import check_sources
from skdfal.experiment._trial import check_loop, run_trial
from skdfal.experiment._workers import Task, report, run_tasks

_FEW = 100  # samples below which an accuracy in percent says little


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
    """Run trials of several strategies in parallel processes, and summarise them.

    If the run is interrupted by Ctrl-C or killed, the same call with ``resume=True``
    continues it; the files end as they would have without the interruption. Finished
    trials are never run again, so a later call may add trials or strategies with the
    same settings.

    Parameters
    ----------
    protocol : Protocol
        The experiment.
    strategies : sequence of str or callable
        Names in ``skdfal.strategies.STRATEGIES``. For strategies of your own,
        ``"module:function"`` or the functions themselves.
    n_trials : int
        Number of trials per strategy.
    seed : int, default=0
        Seed from which all other seeds are derived.
    out_dir : path-like
        Folder for the results.
    n_jobs : int, default=None
        Number of worker processes. If None, one per core.
    n_threads : int, default=1
        Number of torch threads in each worker. The last digits of sums depend on it, so
        it is a setting of the experiment, independent of ``n_jobs``.
    device : str, default="cpu"
        Device to train on.
    resume : bool, default=False
        Whether to continue the experiment in ``out_dir``.
    verbose : int, default=1
        If 1, show a progress bar and one line per trial on standard error; if 0, be
        silent.

    Returns
    -------
    records : list of dict
        One row per round of all finished trials in the folder, as in its
        ``rounds.csv``.

    Raises
    ------
    FileExistsError
        If ``out_dir`` is not empty and ``resume`` is not set.
    FolderError
        If ``out_dir`` holds an experiment with other settings, data or code of your
        own, or another process works in it.
    TrialError
        If a trial failed. The other trials are stopped, and can be resumed.
    BrokenProcessPool
        If a worker process was killed, for instance for lack of memory. The other
        trials are stopped, and can be resumed.
    ValueError
        If a strategy is unknown, or defined in a notebook; if there are too few
        samples, the network cannot be made for them, or the device is not available.
    OSError
        If a file cannot be written; existing files are kept.

    Notes
    -----
    Workers are spawned, so a script should call this function below
    ``if __name__ == "__main__":``.

    Examples
    --------
    >>> from skdfal.experiment import Protocol, run_experiment
    >>> if __name__ == "__main__":  # doctest: +SKIP
    ...     records = run_experiment(
    ...         Protocol("mnist"), ["dfal", "random"], 5, out_dir="results"
    ...     )
    """
    strategies = _checked_strategies(strategies)
    names = (*strategies, protocol.net, protocol.dataset)
    for name in names:
        _check_workers_find(name)
    _check_counts(n_trials, seed, n_jobs, n_threads)
    out_dir = Path(out_dir)
    check_device(device)
    data = load_data_anew(protocol)  # download once, before the workers start
    protocol.check_data(data)
    n_scored = protocol.n_test or len(data.X_test)
    _check_net(protocol, data, device)
    for strategy in strategies:
        check_loop(protocol, strategy, data, device)
    settings = {
        **protocol.settings(),
        "seed": int(seed),
        "device": device,
        "n_threads": int(n_threads),
    }
    if (digest := _digest(data)) is not None:
        settings[DIGEST] = digest
    with opened(out_dir, settings, resume=resume):
        check_sources(out_dir, names)
        # All strategies of a trial run before the next trial, so that the results of an
        # interrupted run can be compared.
        tasks = {
            f"trial {trial + 1} of {strategy}": Task(
                _run_trial,
                (protocol, seed, out_dir, device, digest, strategy, trial),
                n_steps=len(protocol.rounds()),
                n_done=len(read_records(files.rows)),
            )
            for trial in range(n_trials)
            for strategy in strategies
            if not (files := TrialFiles(out_dir, strategy, trial)).is_finished()
        }
        what = (
            f"trials of {', '.join(strategies)} on {protocol.data_name} with "
            f"{protocol.net}, {protocol.n_initial} to {protocol.max_annotations} "
            f"annotations, {n_scored} {protocol.scored_on} samples"
        )
        if verbose and tasks and n_scored < _FEW:
            print(
                f"warning: with only {n_scored} {protocol.scored_on} samples, each of "
                f"them counts for {1 / n_scored:.1%} of the accuracy; small "
                "differences mean little.",
                file=sys.stderr,
            )
        run_tasks(tasks, what, n_jobs=n_jobs, n_threads=n_threads, verbose=verbose)
        _warn_of_limits(out_dir)
        return _sum_up(out_dir, settings)


def _checked_strategies(strategies):
    if isinstance(strategies, str) or not len(strategies):
        raise ValueError(
            f"strategies={strategies!r} should be a list of at least one name."
        )
    return [strategy_name(strategy) for strategy in strategies]


def _check_workers_find(name):
    """Raise if a name belongs to a notebook, which other processes cannot import."""
    main = sys.modules["__main__"]
    if name.startswith("__main__:") and not hasattr(main, "__file__"):
        raise ValueError(
            f"{name!r} is defined in a notebook or an interactive session, where the "
            "worker processes cannot find it. Write it to a file such as mine.py, and "
            f"name it {name.replace('__main__', 'mine')!r}."
        )


def _check_counts(n_trials, seed, n_jobs, n_threads):
    for name, value in [("n_trials", n_trials), ("seed", seed)]:
        if not COUNT_OR_ZERO.is_satisfied_by(value):
            raise ValueError(f"{name}={value!r} should be an integer >= 0.")
    if n_jobs is not None and not COUNT.is_satisfied_by(n_jobs):
        raise ValueError(f"n_jobs={n_jobs!r} should be an integer >= 1, or None.")
    if not COUNT.is_satisfied_by(n_threads):
        raise ValueError(f"n_threads={n_threads!r} should be an integer >= 1.")


def _check_net(protocol, data, device):
    """Raise if no network can be made for the data, as for images that are tiny."""
    try:
        protocol.make_net(data, device).initialize()
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"net={protocol.net!r} with width={protocol.width:g} cannot be made for "
            f"samples of shape {data.X_train.shape[1:]} and {len(data.target_names)} "
            f"classes: {reason}"
        ) from error


def rounds_cut_short(out_dir):
    """Return the number of queries per strategy that reached their time limit."""
    found = Counter()
    for files in finished_trials(out_dir):
        _, end = files.read()
        found[files.strategy] += end.get("n_cut_short", 0)
    return dict(+found)


def calibration_errors(out_dir):
    """Return the calibration errors of each strategy's last networks, one per trial."""
    found = defaultdict(list)
    for files in finished_trials(out_dir):
        _, end = files.read()
        if "calibration_error" in end:  # older versions did not compute it
            found[files.strategy].append(end["calibration_error"])
    return dict(found)


def _warn_of_limits(out_dir):
    for strategy, n in rounds_cut_short(out_dir).items():
        warnings.warn(
            f"{n} queries of {strategy} reached its time_limit before their choice was "
            "proven optimal. Raise it in query_params, or lower n_candidates.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _sum_up(out_dir, settings):
    """Write rounds.csv, seconds.csv and run.json from the files of the trials."""
    records, seconds, trials = [], [], {}
    for files in finished_trials(out_dir):
        rows, end = files.read()
        files.clean()  # a checkpoint remains if a kill came as the trial ended
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


def _digest(data):
    return str(data["digest"]) if "digest" in data else None


def _run_trial(protocol, seed, out_dir, device, digest, strategy, trial):
    def report_row(row):
        report(row["round"] + 1, _in_words(row))

    with warnings.catch_warnings():  # what is wrong with the data was said at the start
        warnings.simplefilter("ignore", UserWarning)
        data = load_data(protocol)
    if _digest(data) != digest:
        hint = ""
        if ":" in protocol.dataset:
            hint = f" If {protocol.dataset} draws at random, give it a fixed seed."
        raise FolderError(
            "The data set has changed since the experiment began: its samples, labels "
            "or split are others than those of the other trials. Put them back and "
            f"resume, or begin in another folder.{hint}"
        )
    run_trial(
        protocol,
        strategy,
        trial,
        seed=seed,
        out_dir=out_dir,
        device=device,
        monitor=report_row,
    )


def _in_words(row):
    return (
        f"{row['strategy']}, trial {row['trial'] + 1}: {row['score']:.1%} with "
        f"{row['annotations']} annotations"
    )

"""Small computations, one file each: done once, and gone on with after a kill."""

import json
import time
from pathlib import Path

from skdfal._utils._files import write_json
from skdfal.experiment._folder import opened
from skdfal.experiment._machine import machine_name
from skdfal.experiment._workers import Task, run_tasks


def run_jobs(
    folder, settings, jobs, *, n_jobs=None, n_threads=1, what="jobs", verbose=1
):
    """Run what has no result yet, and return all results.

    Parameters
    ----------
    folder : path-like
        A folder of its own, which belongs to the settings.
    settings : dict
        What two runs must share for their results to stand side by side.
    jobs : dict of str to (callable, tuple)
        For each result a function of a module, which returns what JSON can hold, and
        its arguments.
    n_jobs, n_threads : int
        As of :func:`run_experiment`.
    what : str, default="jobs"
        What they are called while they run.
    verbose : int, default=1
        1 says what runs on the standard error, 0 is silent.

    Returns
    -------
    results : dict of str to dict
        What the functions returned, with "seconds" and "machine".
    """
    trials = Path(folder) / "trials"
    # No colon, as of a strategy of one's own, on Windows.
    paths = {name: trials / f"{name.replace(':', '.')}.json" for name in jobs}
    with opened(folder, json.loads(json.dumps(settings)), resume=True):
        tasks = {
            f"{what} {name}": Task(_run_job, (paths[name], n_threads, *job))
            for name, job in jobs.items()
            if not paths[name].exists()
        }
        run_tasks(tasks, what, n_jobs=n_jobs, n_threads=n_threads, verbose=verbose)
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
    }


def _run_job(path, n_threads, function, arguments):
    started = time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - started
    write_json(path, {**result, "seconds": seconds, "machine": machine_name(n_threads)})

"""Small computations with one result file each, which can be resumed after a kill."""

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
    """Run the jobs that have no result yet, and return all results.

    Parameters
    ----------
    folder : path-like
        Folder for the results; it belongs to these settings alone.
    settings : dict
        Settings that all runs in the folder must share.
    jobs : dict of str to (callable, tuple)
        For each result, a module-level function that returns JSON values, and its
        arguments.
    n_jobs, n_threads : int
        As for :func:`run_experiment`.
    what : str, default="jobs"
        Name of the jobs in messages.
    verbose : int, default=1
        If 1, print progress to standard error; if 0, be silent.

    Returns
    -------
    results : dict of str to dict
        Return values of the functions, with "seconds" and "machine" added.
    """
    trials = Path(folder) / "trials"
    # Names of user-defined strategies have a colon, which Windows does not allow.
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

"""Small computations, a file each: done once, and gone on with after a kill."""

import json
import platform
import sys
import time
from pathlib import Path

from skdfal.experiment._folder import locked, open_folder, write_json
from skdfal.experiment._workers import run_tasks


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
    folder = Path(folder)
    open_folder(folder, json.loads(json.dumps(settings)), resume=True)
    paths = {name: folder / "trials" / f"{name}.json" for name in jobs}
    with locked(folder):
        tasks = {
            f"{what} {name}": (_run_job, (paths[name], n_threads, *job))
            for name, job in jobs.items()
            if not paths[name].exists()
        }
        if tasks:
            with _Progress(what, tasks, verbose) as progress:
                run_tasks(tasks, n_jobs, n_threads, progress.watch)
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
    }


def _run_job(path, n_threads, function, arguments):
    started = time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - started
    write_json(path, {**result, "seconds": seconds, "machine": machine_name(n_threads)})


def machine_name(n_threads):
    """Return processor, system and threads in words."""
    processor = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("model name")]
        processor = lines[0].partition(":")[2].strip()
    except (OSError, IndexError):  # another system
        pass
    threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
    return f"{processor or platform.machine()}, {platform.system()}, {threads}"


class _Progress:
    """A line at the start, and a bar."""

    def __init__(self, what, tasks, verbose):
        from tqdm import tqdm

        if verbose:
            print(f"{what}: {len(tasks)} to run", file=sys.stderr)
        self.bar = tqdm(
            total=len(tasks),
            desc=what,
            disable=None if verbose else True,  # None: where there is no terminal
            leave=False,
            dynamic_ncols=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def watch(self, _, ended):
        self.bar.update(len(ended))

"""Run tasks in parallel processes that can be stopped at once."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from queue import Empty
from typing import NamedTuple

import torch

from skdfal.experiment._machine import n_cores

_POLL = 0.1  # seconds between two checks for reports of the workers
_MINUTE = 60.0  # seconds between two lines if there is no terminal for a bar
_reports, _task = None, None  # in a worker: the queue for its reports, and its task


class TrialError(RuntimeError):
    """Raised if a trial failed; its cause is the original exception.

    Examples
    --------
    >>> from skdfal.experiment import TrialError
    >>> issubclass(TrialError, RuntimeError)
    True
    """


class Task(NamedTuple):
    """A task for a worker.

    Parameters
    ----------
    function : callable
        A module-level function.
    arguments : tuple
        Arguments of the function.
    n_steps : int
        Number of steps in the progress bar.
    n_done : int
        Number of steps done before.
    """

    function: Callable
    arguments: tuple
    n_steps: int = 1
    n_done: int = 0


def run_tasks(tasks, what, *, n_jobs=None, n_threads=1, verbose=1):
    """Run tasks in workers; on Ctrl-C or an error, end all workers at once.

    Parameters
    ----------
    tasks : dict of str to Task
        The tasks, by their names in messages.
    what : str
        Name of all tasks together.
    n_jobs : int, default=None
        Number of worker processes. If None, one per core.
    n_threads : int, default=1
        Number of torch threads in each worker.
    verbose : int, default=1
        If 1, show a progress bar and the reports of the tasks on standard error; if 0,
        be silent.

    Raises
    ------
    TrialError
        If a task failed.
    BrokenProcessPool
        If a worker was killed.
    """
    if not tasks:
        return
    n_jobs = min(n_jobs or n_cores(), len(tasks))
    if verbose:
        print(f"{what}: {len(tasks)} to run, {n_jobs} at a time", file=sys.stderr)
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    # Not an Event: setting one waits for all its waiters, including killed processes.
    stop, end_of_all = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        n_jobs, context, _initialize_worker, (reports, stop, n_threads)
    )
    try:
        # Workers inherit this, and so ignore Ctrl-C from the very beginning.
        with _sigint_ignored():
            names = {
                executor.submit(_run_task, name, task.function, task.arguments): name
                for name, task in tasks.items()
            }
        pending = set(names)
        with _Progress(tasks, verbose) as progress:
            while pending:
                done, pending = wait(pending, _POLL, return_when=FIRST_COMPLETED)
                for future in done:
                    check_end(future, names[future])
                    progress.advance(names[future], tasks[names[future]].n_steps)
                for reported in _taken(reports):
                    progress.advance(*reported)
                progress.say_where_it_stands()
    finally:
        end_of_all.close()
        executor.shutdown(cancel_futures=True)
        stop.close()
        reports.close()


def report(n_done, text):
    """Report the progress of this worker's task to the main process.

    Parameters
    ----------
    n_done : int
        Number of steps done.
    text : str
        Message about the last step.
    """
    if _reports is not None:
        _reports.put((_task, n_done, text))


def check_end(future, name):
    """Raise the exception of a task, with the name of the task."""
    try:
        future.result()
    except BrokenProcessPool:
        raise
    except (Exception, SystemExit) as error:
        raise TrialError(f"{name[0].upper()}{name[1:]} failed: {error}") from error


class _Progress:
    """A bar over the steps of all tasks, and a line for each finished task.

    Without a terminal, as in a log file, there is a line each minute instead of a bar.
    """

    def __init__(self, tasks, verbose):
        from tqdm import tqdm

        self.n_steps = {name: task.n_steps for name, task in tasks.items()}
        self.n_done = {name: task.n_done for name, task in tasks.items()}
        self.verbose = verbose
        self.started = self.said = time.perf_counter()
        self.text = ""
        self.bar = tqdm(
            total=sum(self.n_steps.values()),
            initial=sum(self.n_done.values()),
            unit="step",
            disable=None if verbose else True,  # None: if there is no terminal
            leave=False,
            dynamic_ncols=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def advance(self, name, n_done, text=""):
        """Show the progress of a task, which may go back to an earlier step."""
        self.n_done[name] = n_done
        self.text = text or self.text
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(sum(self.n_done.values()) - self.bar.n)
        if text and n_done == self.n_steps[name] and self.verbose:
            passed = time.perf_counter() - self.started
            self.bar.write(f"[{passed:5.0f} s] {text}", file=sys.stderr)

    def say_where_it_stands(self):
        """Write a line per minute if there is no bar."""
        now = time.perf_counter()
        if not self.verbose or not self.bar.disable or now - self.said < _MINUTE:
            return
        self.said = now
        done, total = sum(self.n_done.values()), sum(self.n_steps.values())
        line = f"[{now - self.started:5.0f} s] {done} of {total} steps done"
        print("; ".join(filter(None, [line, self.text])), file=sys.stderr, flush=True)


def _taken(reports):
    taken = []
    while True:
        try:
            taken.append(reports.get_nowait())
        except Empty:
            return taken


@contextmanager
def _sigint_ignored():
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signals, and only it receives them
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run_task(name, function, arguments):
    global _task
    _task = name
    try:
        function(*arguments)
    except Exception as error:
        if not _travels(error):  # else it would end the other tasks silently
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def _travels(error):
    """Whether an exception can be pickled and unpickled unchanged."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _initialize_worker(reports, stop, n_threads):
    global _reports
    _reports = reports
    # Ctrl-C at a terminal reaches all processes; the main process ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(n_threads)
    # Tasks are long, and all files are written atomically. So a worker may simply exit
    # when it is told to, or when the process that started it has ended.
    ends = [stop, multiprocessing.parent_process().sentinel]
    threading.Thread(target=_exit_after, args=[ends], daemon=True).start()


def _exit_after(ends):
    wait_for(ends)
    os._exit(1)

"""Tasks in parallel processes that end at once when they are told to."""

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

_POLL = 0.1  # seconds between two looks at what the workers report
_MINUTE = 60.0  # seconds between two lines where there is no terminal for a bar
_reports, _task = None, None  # in a worker: where its reports go, and of which task


class TrialError(RuntimeError):
    """A trial that failed; its cause is the exception.

    Examples
    --------
    >>> from skdfal.experiment import TrialError
    >>> issubclass(TrialError, RuntimeError)
    True
    """


class Task(NamedTuple):
    """What a worker has to do.

    Parameters
    ----------
    function : callable
        A function of a module.
    arguments : tuple
        Its arguments.
    n_steps : int
        How many steps of the progress bar it takes.
    n_done : int
        How many of them were taken before.
    """

    function: Callable
    arguments: tuple
    n_steps: int = 1
    n_done: int = 0


def run_tasks(tasks, what, *, n_jobs=None, n_threads=1, verbose=1):
    """Run tasks in workers; on Ctrl-C or an error end all workers at once.

    Parameters
    ----------
    tasks : dict of str to Task
        The tasks, by what they are called in messages.
    what : str
        What they are together.
    n_jobs : int, default=None
        Processes; None is one per core.
    n_threads : int, default=1
        Threads of torch in each.
    verbose : int, default=1
        1 shows a bar and what the tasks report on the standard error, 0 is silent.

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
    # Not an event: to set one waits for those who wait for it, killed ones included.
    stop, end_of_all = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        n_jobs, context, _initialize_worker, (reports, stop, n_threads)
    )
    try:
        # A worker inherits that it should not hear Ctrl-C, from its first moment on.
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
    """Tell who watches how many steps the task of this worker has taken.

    Parameters
    ----------
    n_done : int
        Steps that are done.
    text : str
        What there is to say of the last one.
    """
    if _reports is not None:
        _reports.put((_task, n_done, text))


def check_end(future, name):
    """Raise what a task raised, with its name."""
    try:
        future.result()
    except BrokenProcessPool:
        raise
    except (Exception, SystemExit) as error:
        raise TrialError(f"{name[0].upper()}{name[1:]} failed: {error}") from error


class _Progress:
    """A bar over the steps of all tasks, and a line for each task that ends.

    Where there is no terminal, such as in a log file, a line each minute instead.
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
            disable=None if verbose else True,  # None: where there is no terminal
            leave=False,
            dynamic_ncols=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def advance(self, name, n_done, text=""):
        """Show how far a task has come, which may be where it was once before."""
        self.n_done[name] = n_done
        self.text = text or self.text
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(sum(self.n_done.values()) - self.bar.n)
        if text and n_done == self.n_steps[name] and self.verbose:
            passed = time.perf_counter() - self.started
            self.bar.write(f"[{passed:5.0f} s] {text}", file=sys.stderr)

    def say_where_it_stands(self):
        """Write a line a minute, where there is no bar."""
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
        yield  # only the main thread may set signals, and only it hears them
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
        if not _travels(error):  # or it would end the other tasks, and say nothing
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise


def _travels(error):
    """Whether an exception comes out of another process as it went in."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _initialize_worker(reports, stop, n_threads):
    global _reports
    _reports = reports
    # Ctrl-C at a terminal goes to all processes; who started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(n_threads)
    # Tasks are long, and all files are written whole: so a worker may just vanish,
    # when it is told to or when the process that started it is no longer there.
    ends = [stop, multiprocessing.parent_process().sentinel]
    threading.Thread(target=_exit_after, args=[ends], daemon=True).start()


def _exit_after(ends):
    wait_for(ends)
    os._exit(1)

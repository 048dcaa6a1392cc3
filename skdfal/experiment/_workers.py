"""Tasks in parallel processes that end at once when they are told to."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import Empty

import torch

_POLL = 0.1  # seconds between two looks at what the workers report


class TrialError(RuntimeError):
    """A trial that failed; its cause is the exception.

    Examples
    --------
    >>> from skdfal.experiment import TrialError
    >>> issubclass(TrialError, RuntimeError)
    True
    """


def n_cores():
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_tasks(tasks, n_jobs, n_threads, watch):
    """Run tasks in workers; on Ctrl-C or an error end all workers at once.

    Parameters
    ----------
    tasks : dict of str to (callable, tuple)
        For each task, as it is called in messages, a function of a module and its
        arguments.
    n_jobs : int or None
        Processes, None one a core.
    n_threads : int
        Threads of torch in each.
    watch : callable
        Called now and then with what the tasks have reported since, a list, and the
        names of those that have ended.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    executor = ProcessPoolExecutor(
        min(n_jobs or n_cores(), len(tasks)),
        context,
        _initialize_worker,
        (reports, stop, n_threads),
    )
    try:
        # A worker inherits that it should not hear Ctrl-C, from its first moment on.
        with _sigint_ignored():
            names = {
                executor.submit(function, *arguments): name
                for name, (function, arguments) in tasks.items()
            }
        pending = set(names)
        while pending:
            done, pending = wait(pending, _POLL, return_when=FIRST_COMPLETED)
            watch(_taken(reports), [names[future] for future in done])
            for future in done:
                check_end(future, names[future])
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)
        reports.close()


def report(value):
    """Send something from a worker to whom watches."""
    _reports.put(value)


def check_end(future, name):
    """Raise what a task raised, with its name."""
    try:
        future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        raise TrialError(f"{name[0].upper()}{name[1:]} failed: {error}") from error


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


def _initialize_worker(reports, stop, n_threads):
    global _reports
    _reports = reports
    # skorch takes Ctrl-C as the end of a training and goes on with half a net.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(n_threads)
    # Tasks are long, and all files are written whole: so a worker may just vanish,
    # when it is told to or when the process that started it is no longer there.
    for ended in (stop.wait, multiprocessing.parent_process().join):
        threading.Thread(target=_exit_after, args=[ended], daemon=True).start()


def _exit_after(ended):
    ended()
    os._exit(1)

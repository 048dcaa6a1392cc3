"""Processes forked from one that has imported what tests need: they start at once."""

import multiprocessing
import os

if os.name == "posix":
    CONTEXT = multiprocessing.get_context("forkserver")
    CONTEXT.set_forkserver_preload(["tests.preloaded"])
else:
    CONTEXT = multiprocessing.get_context("spawn")


def get_context(method=None):
    """Stands in for that of multiprocessing, where a fresh interpreter is too slow."""
    return CONTEXT


def run_in_another_process(function, *arguments):
    """Run a function of a module elsewhere, and return what it returns.

    None where the process was killed, or killed itself.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return None
    finally:
        process.join()
        ours.close()


def _send(connection, function, arguments):
    connection.send(function(*arguments))

"""Run a command, and report errors in one line."""

import shlex
import sys
import traceback
import warnings
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from skdfal._utils._files import OF_THE_DISK
from skdfal.cli._status import BAD_ARGUMENTS, FAILED, INTERRUPTED, OK
from skdfal.experiment import FolderError, TrialError
from skdfal.learner import CheckpointError

# Commands that can be continued.
_KEEPING = ("compare", "reproduce", "label")


def run(work, arguments, argv):
    """Run a command.

    Parameters
    ----------
    work : callable
        Function of the arguments that does the work.
    arguments : argparse.Namespace
        Parsed arguments.
    argv : list of str
        Arguments as given, to print the line that continues the command.

    Returns
    -------
    status : int
        Exit status, as for :func:`~skdfal.cli.main`.
    """
    try:
        with _warnings_in_a_line(arguments.command):
            work(arguments)
        return OK
    except KeyboardInterrupt:
        return _stopped(argv, "Interrupted.", INTERRUPTED)
    except TrialError as error:
        cause = error.__cause__
        if isinstance(cause, CheckpointError | FolderError):
            return _refused(arguments, cause)
        if not isinstance(cause, OSError):  # a full disk says it all
            traceback.print_exception(cause)
        return _stopped(argv, f"{str(error).rstrip('.')}.", FAILED)
    except BrokenProcessPool:
        reason = "A worker process was killed, perhaps because memory ran out."
        return _stopped(argv, reason, FAILED)
    except FileExistsError as error:
        return _refused(arguments, _in_the_way(error, arguments))
    except BrokenPipeError:
        raise
    except ConnectionError as error:
        return _stopped(argv, str(error), FAILED)
    except (ValueError, OSError) as error:
        if getattr(error, "errno", None) in OF_THE_DISK:
            return _stopped(argv, f"{error}.", FAILED)
        return _refused(arguments, error)


@contextmanager
def _warnings_in_a_line(command):
    """Show warnings without the line of code that they come from."""
    before = warnings.formatwarning

    def in_a_line(message, *_, **__):
        return f"skdfal {command}: warning: {message}\n"

    warnings.formatwarning = in_a_line
    try:
        yield
    finally:
        warnings.formatwarning = before


def _in_the_way(error, arguments):
    if error.filename is not None:  # raised by the system: a file, not a folder
        return (
            f"{error.filename} is a file, but a folder is needed there. Name another "
            "folder, or move the file away."
        )
    return (
        f"{arguments.out} already holds results. Continue them with --resume, or "
        "choose another folder with --out."
    )


def _stopped(argv, reason, status):
    if argv[0] not in _KEEPING:
        print(f"\n{reason}", file=sys.stderr)
        return status
    again = ["skdfal", *argv]
    if argv[0] == "compare" and "--resume" not in argv:
        again.append("--resume")
    print(
        f"\n{reason} Finished work is kept; continue with:\n  {shlex.join(again)}",
        file=sys.stderr,
    )
    return status


def _refused(arguments, reason):
    """Print one line that says what is wrong with the arguments."""
    reason = " ".join(str(reason).split())
    print(f"skdfal {arguments.command}: error: {reason}", file=sys.stderr)
    return BAD_ARGUMENTS

"""The entry point of the command, and its exit status."""

import os
import sys

from skdfal.cli._interrupt import interrupt_ends_at_once
from skdfal.cli._parser import make_parser
from skdfal.cli._status import FAILED, INTERRUPTED, NO_READER


def main(argv=None):
    """Run the command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments. If None, those of the process.

    Returns
    -------
    status : int
        0 if finished, 1 if failed, 2 for bad arguments, 130 if interrupted, 141 if the
        reader of the output, such as ``head``, has gone.

    Examples
    --------
    >>> from skdfal.cli import main
    >>> main(["compare", "--trials", "0"])
    2
    """
    try:
        status = _main(sys.argv[1:] if argv is None else list(argv))
        print(end="", flush=True)  # here, where an error can be reported
    except BrokenPipeError:
        _drop_output()
        return NO_READER
    except OSError as error:  # such as of a full disk
        _drop_output()
        print(f"skdfal: error: The output cannot be written: {error}.", file=sys.stderr)
        return FAILED
    return status


def _drop_output():
    """Redirect the output, so that Python has nothing to flush when it ends."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _main(argv):
    try:
        with interrupt_ends_at_once():
            arguments = make_parser().parse_args(argv or ["--help"])
            work = arguments.load()
            from skdfal.cli._work import run
    except SystemExit as end:  # argparse has said why
        return end.code
    except KeyboardInterrupt:
        return INTERRUPTED
    return run(work, arguments, argv)

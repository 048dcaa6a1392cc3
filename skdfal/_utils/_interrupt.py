"""Ctrl-C while the command still loads ends it at once, without a traceback.

Loading torch and scikit-learn takes seconds, in which nothing of the command runs yet
that could catch the interrupt. A shell reports 130, as after any interrupt.
"""

import signal
import sys
from itertools import pairwise
from pathlib import Path


def _is_command():
    by_name = Path(sys.argv[0]).stem == "skdfal" if sys.argv else False
    return by_name or ("-m", "skdfal") in pairwise(sys.orig_argv)


def end_at_interrupt():
    """Have an interrupt end the process, if it is the command that loads."""
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_at_interrupt():
    """Have an interrupt raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)

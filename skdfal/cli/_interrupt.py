"""Ctrl-C while the command still loads ends it at once, without a traceback.

Loading torch and scikit-learn takes seconds, in which nothing of the command runs yet
that could catch the interrupt. A shell reports 130, as after any interrupt.
"""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def interrupt_ends_at_once():
    """Have an interrupt end the process, unless somebody else looks after them."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

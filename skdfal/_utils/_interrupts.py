"""Notice Ctrl-C, at which skorch ends a training early without an error."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def noting_interrupts():
    """Yield a list that is no longer empty once Ctrl-C has been pressed.

    The interrupt itself is passed on. Outside the main thread nothing is noted, since
    Python interrupts only the main thread.
    """
    interrupts = []
    previous = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or not callable(previous):
        yield interrupts
        return

    def note_and_pass_on(signum, frame):
        interrupts.append(signum)
        previous(signum, frame)

    signal.signal(signal.SIGINT, note_and_pass_on)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)

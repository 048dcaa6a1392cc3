"""Whether Ctrl-C was pressed, which skorch takes for an early end of a training."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def noting_interrupts():
    """Yield a list that is not empty any more once Ctrl-C was pressed.

    It interrupts all the same. Outside of the main thread nothing is noted: Python
    interrupts no other.
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

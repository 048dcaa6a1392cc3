"""End the command without a traceback if Ctrl-C is pressed while it is loading.

Loading torch and scikit-learn takes seconds, during which no code of the command can
catch the interrupt. A shell reports the status 130, as after any interrupt.
"""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def interrupt_ends_at_once():
    """Let an interrupt end the process, unless a caller handles interrupts."""
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

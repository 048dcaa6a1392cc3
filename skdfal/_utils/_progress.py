"""A progress bar for long computations, in a terminal."""

import multiprocessing
from contextlib import contextmanager

_PATIENCE = 5  # seconds before the bar appears


@contextmanager
def progress(total, what, unit="samples"):
    """Yield a function to call with the number of samples, or other units, just done.

    The bar appears on standard error after five seconds, and disappears at the end.
    There is none without a terminal, with ``TQDM_DISABLE=1`` in the environment, and in
    worker processes, whose bars would overwrite each other.
    """
    if multiprocessing.parent_process() is not None:
        yield lambda n: None  # even a hidden bar would create a lock between processes
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        delay=_PATIENCE,
        leave=False,
        dynamic_ncols=True,
        disable=None,  # None: if there is no terminal
    ) as bar:
        yield bar.update

"""A bar for what takes long, where somebody sits at a terminal."""

import multiprocessing
from contextlib import contextmanager

_PATIENCE = 5  # seconds that pass without a word


@contextmanager
def progress(total, what, unit="samples"):
    """Yield a function that is told how many samples, or other units, more are done.

    The bar is on the standard error after five seconds, and goes away at the end; there
    is none where that is no terminal, nor in worker processes, whose bars would write
    over each other. ``TQDM_DISABLE=1`` in the environment does without.
    """
    if multiprocessing.parent_process() is not None:
        yield lambda n: None  # even a bar that is not shown makes a lock for processes
        return
    from tqdm import tqdm

    with tqdm(
        total=total,
        desc=what,
        unit=f" {unit}",
        delay=_PATIENCE,
        leave=False,
        dynamic_ncols=True,
        disable=None,  # where there is no terminal
    ) as bar:
        yield bar.update

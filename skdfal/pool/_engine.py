"""On which engine the blocks of a pool are worked: in this process, or by Dask.

A unit of work is a function of one thing, such as a net, and one part of a pool. What
the parts are follows from the pool and the batch, never from who works on them, so the
answers are the same everywhere.
"""

import sys
from contextlib import contextmanager

import joblib
import numpy as np

from skdfal._utils._progress import progress

# Blocks of a pool, at most: a scheduler has milliseconds of work with each.
_MOST_BLOCKS = 2**14


def map_blocks(function, thing, pool, size, *, keep=False, engine=None):
    """Return ``function(thing, part)`` for the blocks of a pool, in their order.

    Parameters
    ----------
    function : callable
        Takes ``thing`` and a part of the pool.
    thing : object
        What all calls share. It travels to a worker once.
    pool : Pool
        The samples.
    size : int
        Samples in a block; the last one may have fewer. Of a pool of more than 16,384
        blocks, several are joined.
    keep : bool, default=False
        Leave the results where they are made, and give handles of them, for
        ``engine.apply``.
    engine : InProcess or OnDask, default=None
        None takes :func:`engine_for` the pool.

    Returns
    -------
    results : iterator
        What the function returned for each block.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import as_pool, map_blocks
    >>> pool = as_pool(np.arange(10.0).reshape(5, 2))
    >>> list(map_blocks(lambda least, part: max(least, len(part)), 0, pool, size=2))
    [2, 2, 1]
    """
    size *= -(-len(pool) // (size * _MOST_BLOCKS)) or 1
    parts = (
        pool.view(np.arange(start, min(start + size, len(pool))))
        for start in range(0, len(pool), size)
    )
    engine = engine or engine_for(pool)
    return _counted(engine.map(function, thing, parts, keep=keep), len(pool), size)


def _counted(results, n, size):
    with progress(n, "Looking at the pool") as advance:
        for start, result in zip(range(0, n, size), results, strict=True):
            advance(min(size, n - start))
            yield result


def engine_for(pool):
    """Return the engine for the parts of a pool.

    A Dask cluster, if ``joblib.parallel_config(backend="dask")`` says so, or if the
    pool is a dask array and there is a client; else this process.

    Parameters
    ----------
    pool : Pool
        The samples.

    Returns
    -------
    engine : InProcess or OnDask
        It has ``map`` and ``apply``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import as_pool, engine_for
    >>> engine = engine_for(as_pool(np.zeros((4, 2))))
    >>> list(engine.apply(max, [(1, 2), (5, 4)], 3))
    [3, 5]
    """
    client = _client_for(pool)
    if client is None:
        return InProcess()
    from skdfal.pool._dask import OnDask

    return OnDask(client)


def _client_for(pool):
    distributed = sys.modules.get("distributed")  # without it there is no client
    if distributed is None:
        return None
    backend, _ = joblib.parallel.get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        return backend.client
    if pool.lazily([0]) is not None:
        try:
            return distributed.default_client()
        except ValueError:  # there is none: dask's own threads read the blocks
            pass
    return None


@contextmanager
def on_cluster(address):
    """Have the workers of a Dask cluster look at pools meanwhile.

    Parameters
    ----------
    address : str or None
        Of its scheduler; None leaves everything as it is.

    Yields
    ------
    None
        It is for a ``with`` statement, inside of which it holds.

    Raises
    ------
    ValueError
        If Dask is not installed, or what is given is no address, or one that needs
        certificates.
    OSError
        If no scheduler answers there, and ``ConnectionError`` where it goes while
        something is asked of it.

    Notes
    -----
    Where the scheduler has no workers yet, a line on standard error says so, and what
    is asked waits for one: a cluster may start them when there is work.

    Examples
    --------
    >>> from skdfal.pool import on_cluster
    >>> with on_cluster(None):
    ...     print("in this process")
    in this process
    """
    if address is None:
        yield
        return
    try:
        from skdfal.pool._dask import client_at
    except ImportError as exc:
        raise ValueError(
            f"A Dask cluster needs {exc.name}; run: python -m pip install "
            "'skdfal[dask]'"
        ) from exc
    with client_at(address), joblib.parallel_config(backend="dask"):
        yield


class InProcess:
    """Works on a part when its result is asked for; what is kept is the result.

    Examples
    --------
    >>> from skdfal.pool import InProcess
    >>> list(InProcess().map(pow, 2, [3, 4]))
    [8, 16]
    """

    def map(self, function, thing, parts, *, keep=False):
        """Yield ``function(thing, part)`` for each of some parts of a pool, in order.

        Parameters
        ----------
        function : callable
            Takes ``thing`` and a part.
        thing : object
            What all calls share.
        parts : iterable of Pool
            Views of one pool.
        keep : bool, default=False
            Whether to yield handles of the results.

        Yields
        ------
        result : object
            What the function returned.
        """
        for part in parts:
            yield function(thing, part)

    def apply(self, function, kept, *args, keep=False):
        """Yield ``function(*handles, *args)`` for each tuple of handles, in order.

        Parameters
        ----------
        function : callable
            Takes what the handles stand for, then ``args``. It changes nothing of it:
            it may be called again.
        kept : iterable of tuple
            Handles that ``map`` or ``apply`` gave.
        *args : object
            What all calls share.
        keep : bool, default=False
            Whether to yield handles of the results.

        Yields
        ------
        result : object
            What the function returned.
        """
        for handles in kept:
            yield function(*handles, *args)

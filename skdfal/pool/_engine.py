"""Engines that process the blocks of a pool: this process, or a Dask cluster.

A unit of work is a function of one thing, such as a network, and one part of a pool.
The parts depend only on the pool and the batch size, never on the engine, so the
results are the same everywhere.
"""

import sys
from contextlib import contextmanager

import joblib
import numpy as np

from skdfal._utils._progress import progress

# Maximum number of blocks: each costs the scheduler milliseconds.
_MOST_BLOCKS = 2**14


def map_blocks(function, thing, pool, size, *, keep=False, engine=None):
    """Return ``function(thing, part)`` for the blocks of a pool, in order.

    Parameters
    ----------
    function : callable
        Function of ``thing`` and a part of the pool.
    thing : object
        Object that all calls share. It is sent to each worker once.
    pool : Pool
        Pool of samples.
    size : int
        Number of samples per block; the last block may have fewer. If there would be
        more than 16,384 blocks, several are merged into one.
    keep : bool, default=False
        Whether to leave the results where they were computed, and to return handles of
        them for ``engine.apply``.
    engine : InProcess or OnDask, default=None
        Engine to use. If None, the result of :func:`engine_for`.

    Returns
    -------
    results : iterator
        Return value of the function, or its handle, for each block.

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
    """Return the engine that processes the parts of a pool.

    This is a Dask cluster inside ``joblib.parallel_config(backend="dask")``, or if the
    pool is a dask array and there is a client. Otherwise it is this process.

    Parameters
    ----------
    pool : Pool
        Pool of samples.

    Returns
    -------
    engine : InProcess or OnDask
        The engine, with methods ``map`` and ``apply``.

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
        except ValueError:  # there is no client: dask's own threads read the blocks
            pass
    return None


@contextmanager
def on_cluster(address):
    """Process pools on a Dask cluster, inside a ``with`` statement.

    Parameters
    ----------
    address : str or None
        Address of the scheduler. None changes nothing.

    Yields
    ------
    None
        The setting holds inside the ``with`` statement.

    Raises
    ------
    ValueError
        If Dask is not installed, or if the address is invalid or needs certificates.
    OSError
        If no scheduler answers there; a ``ConnectionError`` if it stops during a call.

    Notes
    -----
    If the scheduler has no workers yet, a line on standard error says so, and calls
    wait for one: a cluster may start its workers only when there is work.

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
    """Process each part in this process, when its result is requested.

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
            Function of ``thing`` and a part.
        thing : object
            Object that all calls share.
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
            Function of the objects behind the handles, followed by ``args``. It must
            not change them: it may be called again.
        kept : iterable of tuple
            Handles returned by ``map`` or ``apply``; here the results themselves.
        *args : object
            Arguments that all calls share.
        keep : bool, default=False
            Whether to yield handles of the results.

        Yields
        ------
        result : object
            What the function returned.
        """
        for handles in kept:
            yield function(*handles, *args)

"""Process the blocks of a pool on a Dask cluster; the only file to import distributed.

Tasks are small. What they share is sent to the scheduler once, as bytes, and from there
to each worker that needs it. For a pool, a task holds a recipe by which the worker
opens it, and the rows to read.
"""

import ctypes
import functools
import logging
import os
import sys
import warnings
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import chain, islice

import numpy as np
from distributed import Client, as_completed
from distributed.comm import CommClosedError

from skdfal.pool._pool import InHand
from skdfal.pool._travel import Parcel, pack, unpack

# Tasks at the scheduler per thread of a worker; and the least number of tasks, where
# they carry no samples, so that a cluster that scales with its queue does so.
_TASKS_A_THREAD = 4
_MIN_TASKS = 256

_SECONDS = 10  # to reach a scheduler
_GONE = (
    "The Dask scheduler has stopped, or has cancelled its tasks. Restart it and its "
    "workers, and repeat the call."
)

# The value that a nanny sets; the numbers of mallopt(3), and values that suit networks.
_TRIMMING_OF_DASK = "65536"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 2**28, 2**25


@functools.cache
def _let_memory_stay():
    """Make the allocator of this worker keep memory freed by a layer for the next one.

    Dask's nannies start workers with a threshold at which glibc keeps returning memory
    to the system: networks ran 2.7 times slower. A threshold set by the user is kept.
    """
    if os.environ.get("MALLOC_TRIM_THRESHOLD_") != _TRIMMING_OF_DASK:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def _work_on_rows(function, thing, pool, rows):
    _let_memory_stay()
    return function(unpack(thing), unpack(pool).view(rows))


def _work_on_samples(function, thing, samples, rows):
    _let_memory_stay()
    return function(unpack(thing), InHand(samples, rows))


def _work_on_kept(function, args, *kept):
    return function(*kept, *unpack(args))


@contextmanager
def client_at(address):
    """Context manager: a client of the scheduler at an address.

    Raises
    ------
    OSError
        If no scheduler answers there.
    ValueError
        If the address is invalid, or needs certificates.
    """
    client = _connect(address)
    if not client.nthreads():  # a cluster may well start them when there is work
        print(
            f"The Dask scheduler at {address} has no workers yet, so nothing runs "
            f"until there is one. Start it with `dask worker {address}`.",
            file=sys.stderr,
            flush=True,
        )
    try:
        yield client
    finally:
        log = logging.getLogger("distributed.client")
        is_connected = client.status == "running"
        log.addFilter(silence := lambda record: is_connected)  # else tracebacks
        client.close()
        log.removeFilter(silence)


def _connect(address):
    try:
        return Client(address, timeout=_SECONDS)
    except OSError as exc:
        raise OSError(
            f"No Dask scheduler answers at {address}: {exc}. Start one with `dask "
            "scheduler`, which prints its address, and workers with `dask worker`."
        ) from exc
    except ValueError as exc:
        raise ValueError(
            f"{address!r} is not an address of a Dask scheduler, such as "
            f"tcp://head:8786: {exc}."
        ) from exc
    except TypeError as exc:  # distributed misses an SSLContext
        raise ValueError(
            f"{address!r} needs certificates. Name them in Dask's configuration, "
            f"under distributed.comm.tls: {exc}."
        ) from exc


class OnDask:
    """Process the parts of a pool on the workers of a Dask client.

    Parameters
    ----------
    client : distributed.Client
        A synchronous client.
    """

    def __init__(self, client):
        self._sent = {}  # things and the futures of their parcels, by their ids
        if client.asynchronous:
            raise TypeError(
                f"{client!r} is asynchronous, but a query waits for its blocks. Use a "
                "Client without asynchronous=True."
            )
        if client.status == "closed":  # it closes itself when its scheduler stops
            raise ConnectionError(_GONE)
        self.client = client

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
            Whether to yield handles of the results instead of the results.

        Yields
        ------
        result : object
            Return value of the function, or its handle.
        """
        thing, parts = self._send(thing), iter(parts)

        def submit(part):
            if part.root.travels:
                recipe = self._send(part.root)
                return self._submit(
                    _work_on_rows, function, thing, recipe, part.indices
                )
            samples = part.lazily(np.arange(len(part)))
            if samples is not None:
                samples = self.client.compute(samples)
            else:
                samples = part[:]
            return self._submit(
                _work_on_samples, function, thing, samples, part.indices
            )

        for first in parts:
            light = first.root.travels
            yield from self._in_order(submit, chain([first], parts), light, keep)

    def apply(self, function, kept, *args, keep=False):
        """Yield ``function(*handles, *args)`` for each tuple of handles, in order.

        Parameters
        ----------
        function : callable
            Function of the objects behind the handles, followed by ``args``. It must
            not change them: it may be called again if a worker is lost.
        kept : iterable of tuple
            Handles returned by ``map`` or ``apply``.
        *args : object
            Arguments that all calls share.
        keep : bool, default=False
            Whether to yield handles of the results instead of the results.

        Yields
        ------
        result : object
            Return value of the function, or its handle.
        """
        args = self._send(args)

        def submit(handles):
            return self._submit(_work_on_kept, function, args, *handles)

        yield from self._in_order(submit, kept, True, keep)

    def _send(self, thing):
        """Return a future of a thing as a parcel, which can be resent if it is lost.

        Each worker that needs the thing gets it once, as long as this engine is in use.
        """
        if id(thing) not in self._sent:
            parcel = pack(thing)
            future = self._submit(Parcel, *parcel, key=f"skdfal-{parcel.digest}")
            self._sent[id(thing)] = thing, future
        return self._sent[id(thing)][1]

    def _submit(self, function, *args, **options):
        options = options or {"pure": False}
        with warnings.catch_warnings():  # sending a network or samples is intended
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.client.submit(function, *args, **options)

    def _n_ahead(self, is_light):
        """Return how many tasks may wait: few if they carry samples."""
        n_threads = sum(self.client.nthreads().values())
        return max(_MIN_TASKS if is_light else 1, _TASKS_A_THREAD * n_threads)

    def _in_order(self, submit, items, is_light, keep):
        """Yield the result of a task for each item, in order, computing some ahead."""
        try:
            n_ahead = self._n_ahead(is_light)
            yield from self._worked_ahead(submit, items, n_ahead, keep)
        except (CancelledError, CommClosedError) as exc:  # the scheduler was lost
            raise ConnectionError(_GONE) from exc

    def _worked_ahead(self, submit, items, n_ahead, keep):
        # Results are fetched as soon as they are ready, before a worker can be lost.
        items = enumerate(items)
        running = as_completed(loop=self.client.loop, with_results=not keep)
        running.raise_errors = False  # errors are raised in order, as in one process
        numbers, done, n_given = {}, {}, 0
        try:
            while True:
                room = n_ahead - len(numbers) - len(done)
                for number, item in islice(items, room):
                    future = submit(item)
                    numbers[future] = number
                    running.add(future)
                if not numbers:
                    return
                for found in running.next_batch():
                    future, result = (found, found) if keep else found
                    done[numbers.pop(future)] = future, result
                while n_given in done:
                    future, result = done.pop(n_given)
                    if future.status != "finished":
                        result = future.result()  # raises the exception of the task
                    n_given += 1
                    yield result
        finally:
            self.client.cancel(list(numbers))

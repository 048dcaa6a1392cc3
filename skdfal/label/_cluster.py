"""The Dask cluster that ``--dask`` names, for the commands that look at pictures."""

from contextlib import contextmanager

import joblib

_SECONDS = 10  # to reach the scheduler


@contextmanager
def on_cluster(address):
    """Have the workers of a cluster look at pools meanwhile.

    Parameters
    ----------
    address : str or None
        Of the scheduler; None leaves the work to this process.

    Raises
    ------
    ValueError
        If Dask is not installed, or what is given is no address.
    OSError
        If no scheduler answers there.

    Examples
    --------
    >>> from skdfal.label._cluster import on_cluster
    >>> with on_cluster(None):
    ...     print("here")
    here
    """
    if address is None:
        yield
        return
    with _client(address), joblib.parallel_config(backend="dask"):
        yield


def _client(address):
    try:
        import cloudpickle  # noqa: F401
        from distributed import Client
    except ImportError as exc:
        raise ValueError(
            f"--dask needs {exc.name}; run: python -m pip install 'skdfal[dask]'"
        ) from exc
    try:
        return Client(address, timeout=_SECONDS)
    except OSError as exc:
        raise OSError(
            f"No scheduler of Dask answers at --dask {address}: {exc}. Start one by "
            "`dask scheduler`, which prints its address, and workers by `dask worker`."
        ) from exc
    except ValueError as exc:
        raise ValueError(
            f"--dask {address} is no address of a scheduler, such as "
            f"tcp://head:8786: {exc}."
        ) from exc

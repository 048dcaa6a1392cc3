"""The raw values of samples, as rows: usable before any net is trained."""

import numpy as np
from sklearn.utils import gen_batches

from skdfal.adapter._training import as_numpy
from skdfal.pool import as_pool

_LARGEST_SIDE = 32  # pixels; larger images are averaged in blocks
_BLOCK = 512  # samples that are read at once


def sample_values(X, instead):
    """Return the values of samples as rows; large images are averaged in blocks.

    Parameters
    ----------
    X : pool or array-like of shape (n_samples, ...)
        Samples, read block by block.
    instead : str
        What to do instead if they cannot be clustered: the end of the message.

    Returns
    -------
    values : ndarray of shape (n_samples, n_values)
        Values in float32.

    Raises
    ------
    ValueError
        If the samples are not arrays, or rows of a data frame, of finite numbers with a
        common shape.
    """
    pool = as_pool(X)
    values = None
    for block in gen_batches(len(pool), _BLOCK):
        rows = _rows(pool.take(np.arange(block.start, block.stop)), instead)
        if values is None:
            values = np.empty((len(pool), rows.shape[1]), dtype=np.float32)
        values[block] = rows
    return values


def _rows(samples, instead):
    X = samples.to_numpy() if hasattr(samples, "iloc") else as_numpy(samples)
    if getattr(X, "dtype", np.dtype(object)).kind not in "biuf" or X.ndim < 2:
        raise ValueError(
            f"Samples of {getattr(X, 'dtype', type(X).__name__)} with shape "
            f"{np.shape(X)[1:]} cannot be clustered; expected arrays of numbers with "
            f"one shape. {instead}."
        )
    if not np.prod(X.shape[1:]):
        raise ValueError(
            f"Samples of shape {X.shape[1:]} have no values to cluster. {instead}."
        )
    with np.errstate(over="ignore"):  # overflow is reported below
        X = X.astype(np.float32)
    if not np.isfinite(X).all():
        raise ValueError(
            "X holds NaN, infinity or values beyond float32, and cannot be "
            f"clustered. {instead}, or replace them."
        )
    if X.ndim == 4:  # images, channels first
        for axis in (2, 3):
            step = -(-X.shape[axis] // _LARGEST_SIDE)
            X = X.take(range(X.shape[axis] // step * step), axis=axis)
            shape = (*X.shape[:axis], -1, step, *X.shape[axis + 1 :])
            X = X.reshape(shape).mean(axis=axis + 1)
    return X.reshape(len(X), -1)

"""A training set that need not fit into memory: read batch by batch, as it is asked."""

import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset

# Samples of a pool beyond memory are read into it for a training, up to so many bytes.
_TRAINING_BYTES = 2**30
# Twins of such a pool are kept in a file beyond so many bytes.
_TWIN_BYTES = 2**26


def samples_of(training, pool, extras):
    """Return the samples of a training: an array, or a Dataset that reads them.

    Parameters
    ----------
    training : TrainingSet
        What to train on.
    pool : Pool
        Where the samples come from.
    extras : list of Extra
        What augmenters made.

    Returns
    -------
    X : samples or TrainingView
        A view where the pool is beyond memory, its samples are arrays, and together
        they are large.
    """
    if pool.is_in_memory or not isinstance(pool.dtype, np.dtype):
        return training.gather(pool, extras)
    n_bytes = len(training.y) * int(np.prod(pool.sample_shape)) * pool.dtype.itemsize
    if n_bytes <= _TRAINING_BYTES:
        return training.gather(pool, extras)
    return TrainingView(training, pool, extras)


class TrainingView(Dataset):
    """Samples with their codes, read from the pool and the twins when they are needed.

    Parameters
    ----------
    training : TrainingSet
        What to train on.
    pool : Pool
        Where the samples come from.
    extras : list of Extra
        What augmenters made.
    """

    def __init__(self, training, pool, extras):
        self.training, self.pool, self.extras = training, pool, extras
        self.y = torch.from_numpy(training.y.astype(np.int64))

    def __len__(self):
        return len(self.y)

    def take(self, rows):
        """Return samples of the training, an array, in the order of ``rows``."""
        rows = np.asarray(rows)
        part = type(self.training)(*(column[rows] for column in self.training))
        return part.gather(self.pool, self.extras)

    def blocks(self, n_rows=1024):
        """Yield all samples in order, some at a time."""
        for start in range(0, len(self), n_rows):
            yield self.take(np.arange(start, min(start + n_rows, len(self))))

    def __getitems__(self, rows):
        X = torch.from_numpy(self.take(rows))
        return list(zip(X, self.y[rows], strict=True))

    def __getitem__(self, i):
        return self.__getitems__([i])[0]


def spilled(X, pool):
    """Return twins, in a file without a name where they and the pool are large."""
    is_small = getattr(X, "nbytes", 0) <= _TWIN_BYTES
    if pool.is_in_memory or is_small or not isinstance(X, np.ndarray):
        return X
    try:
        with tempfile.TemporaryFile() as file:
            # By a write, which raises where there is no room. Pages of a map that find
            # none end the process.
            file.write(np.ascontiguousarray(X).data)
            file.flush()
            return np.memmap(file, X.dtype, "r+", shape=X.shape)
    except OSError as error:
        raise OSError(
            f"The twins of a pool beyond memory, {X.nbytes / 2**20:,.0f} MiB, cannot "
            f"be written to a temporary file in {_temporary_folder()}: {error}. Make "
            "room there, or name another folder by the environment variable TMPDIR "
            "(TEMP on Windows), and call again. No label is lost."
        ) from error


def _temporary_folder():
    try:
        return tempfile.gettempdir()
    except OSError:  # none that can be written to
        return "any folder"

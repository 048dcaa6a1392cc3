"""A training set that need not fit into memory: it is read batch by batch."""

import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset

# Up to this size, training samples from a pool on disk are read into memory.
_TRAINING_BYTES = 2**30
# Above this size, twins of samples from a pool on disk are kept in a file.
_TWIN_BYTES = 2**26


def samples_of(training, pool, extras):
    """Return the training samples as an array, or as a Dataset that reads them.

    Parameters
    ----------
    training : TrainingSet
        The training set.
    pool : Pool
        Pool that the samples come from.
    extras : list of Extra
        Samples made by augmenters.

    Returns
    -------
    X : samples or TrainingView
        A view if the pool is not in memory and its samples are arrays that are large
        in total.
    """
    if pool.is_in_memory or not isinstance(pool.dtype, np.dtype):
        return training.gather(pool, extras)
    n_bytes = len(training.y) * int(np.prod(pool.sample_shape)) * pool.dtype.itemsize
    if n_bytes <= _TRAINING_BYTES:
        return training.gather(pool, extras)
    return TrainingView(training, pool, extras)


class TrainingView(Dataset):
    """Samples with their codes, read from the pool and the twins when needed.

    Parameters
    ----------
    training : TrainingSet
        The training set.
    pool : Pool
        Pool that the samples come from.
    extras : list of Extra
        Samples made by augmenters.
    """

    def __init__(self, training, pool, extras):
        self.training, self.pool, self.extras = training, pool, extras
        self.y = torch.from_numpy(training.y.astype(np.int64))

    def __len__(self):
        return len(self.y)

    def take(self, rows):
        """Return training samples as an array, in the order of ``rows``."""
        rows = np.asarray(rows)
        part = type(self.training)(*(column[rows] for column in self.training))
        return part.gather(self.pool, self.extras)

    def blocks(self, n_rows=1024):
        """Yield all samples in order, block by block."""
        for start in range(0, len(self), n_rows):
            yield self.take(np.arange(start, min(start + n_rows, len(self))))

    def __getitems__(self, rows):
        X = torch.from_numpy(self.take(rows))
        return list(zip(X, self.y[rows], strict=True))

    def __getitem__(self, i):
        return self.__getitems__([i])[0]


def spilled(X, pool):
    """Return twins, in an unnamed temporary file if they and the pool are large."""
    is_small = getattr(X, "nbytes", 0) <= _TWIN_BYTES
    if pool.is_in_memory or is_small or not isinstance(X, np.ndarray):
        return X
    try:
        with tempfile.TemporaryFile() as file:
            # A write raises if the disk is full, whereas touching pages of a memory map
            # would kill the process.
            file.write(np.ascontiguousarray(X).data)
            file.flush()
            return np.memmap(file, X.dtype, "r+", shape=X.shape)
    except OSError as error:
        raise OSError(
            f"The twins of a pool on disk, {X.nbytes / 2**20:,.0f} MiB, cannot be "
            f"written to a temporary file in {_temporary_folder()}: {error}. Free "
            "space there, or set the environment variable TMPDIR (TEMP on Windows) to "
            "another folder, and call again. No label is lost."
        ) from error


def _temporary_folder():
    try:
        return tempfile.gettempdir()
    except OSError:  # no folder is writable
        return "any folder"

"""Samples in the form an estimator is trained on: their dtype, and concatenation."""

from collections.abc import Mapping

import numpy as np
import torch

from skdfal.adapter import is_net
from skdfal.adapter._training import as_numpy, training_dtype
from skdfal.pool import Pool, as_pool


class Samples(Pool):
    """A pool whose batches have the dtype in which the estimator is trained.

    Parameters
    ----------
    pool : Pool
        The pool. Samples are cast only when they are read.
    dtype : dtype
        A NumPy or torch dtype, to match the pool.
    """

    def __init__(self, pool, dtype):
        self.pool, self.dtype = pool, dtype
        self.is_in_memory, self.sample_shape = pool.is_in_memory, pool.sample_shape

    def __len__(self):
        return len(self.pool)

    def take(self, indices):
        return _cast(self.pool.take(indices), self.dtype)

    @property
    def travels(self):
        return self.pool.travels

    def lazily(self, indices):
        X = self.pool.lazily(indices)
        return None if X is None else X.astype(self.dtype)

    def digest(self):
        return self.pool.digest()


def samples_for(estimator, X):
    """Return ``X`` as a pool with the dtype in which ``estimator`` is trained."""
    pool = as_pool(X)
    if pool.sample_shape == ():
        raise ValueError(
            f"The samples of X are single numbers or strings, such as "
            f"{pool.take([0])[0]!r}; expected arrays, X of shape (n_samples, ...). "
            "Labels do not belong in X."
        )
    if hasattr(X, "columns") and (estimator is None or is_net(estimator)):
        pool = as_pool(np.asarray(X, dtype=np.float32))  # networks ignore column names
    if pool.dtype is None:
        return pool
    wanted = training_dtype(estimator, pool)
    if isinstance(pool.dtype, torch.dtype):
        wanted = torch.from_numpy(np.empty(0, wanted)).dtype
    return pool if wanted == pool.dtype else Samples(pool, wanted)


def columns_of(X):
    """Return the column names of a data frame, or None for anything else."""
    return list(X.columns) if hasattr(X, "columns") else None


def concatenate(parts):
    """Concatenate samples of one kind: arrays, tensors, data frames or dicts."""
    parts = [part for part in parts if length_of(part)] or parts[:1]
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Mapping):
        return {name: concatenate([part[name] for part in parts]) for name in first}
    if isinstance(first, torch.Tensor):
        return torch.cat(parts)
    if hasattr(first, "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def rows_of(X, rows):
    """Return selected rows of samples, in the order of ``rows``."""
    return as_pool(X).take(rows)


def conform(X, like):
    """Return samples of an augmenter, converted to the kind and dtype of the pool's.

    Raises
    ------
    ValueError
        If they have another shape, or are not finite.
    """
    if isinstance(like, Mapping):
        return {name: conform(X[name], part) for name, part in like.items()}
    if hasattr(like, "iloc"):
        rows = X.to_numpy() if hasattr(X, "to_numpy") else as_numpy(X)
        return type(like)(rows, columns=like.columns).astype(like.dtypes.to_dict())
    X = np.asarray(as_numpy(X))
    is_number = X.dtype.kind in "biuf"
    if X.shape[1:] != like.shape[1:] or not is_number or not np.isfinite(X).all():
        shape = ", ".join(map(str, ("n", *like.shape[1:])))
        raise ValueError(
            f"expected finite samples of shape ({shape}), got {X.dtype} of shape "
            f"{X.shape}"
        )
    if isinstance(like, torch.Tensor):
        return torch.as_tensor(X).to(like.device, like.dtype)
    if X.dtype.kind == "f" and like.dtype.kind in "iu":
        raise ValueError(f"expected samples of {like.dtype}, got {X.dtype}")
    return X.astype(like.dtype, copy=False)


def to_arrays(X):
    """Return samples as a dict of arrays that can be saved without pickle."""
    if isinstance(X, Mapping):
        return {f"X.{name}": as_numpy(part) for name, part in X.items()}
    if hasattr(X, "iloc"):
        columns = range(len(X.columns))
        return {f"X.{i}": np.array(X.iloc[:, i].tolist()) for i in columns}
    return {"X": as_numpy(X)}


def from_arrays(arrays, like):
    """Return samples of the kind of ``like`` from a result of :func:`to_arrays`."""
    if isinstance(like, Mapping):
        return conform({name: arrays[f"X.{name}"] for name in like}, like)
    if hasattr(like, "iloc"):
        columns = [arrays[f"X.{i}"] for i in range(len(like.columns))]
        data = dict(zip(like.columns, columns, strict=True))
        return type(like)(data).astype(like.dtypes.to_dict())
    return conform(arrays["X"], like)


def length_of(X):
    """Return the number of samples; of a dict, the number in each input."""
    return len(next(iter(X.values()))) if isinstance(X, Mapping) else len(X)


def _cast(X, dtype):
    return X.to(dtype) if isinstance(X, torch.Tensor) else X.astype(dtype, copy=False)

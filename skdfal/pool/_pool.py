"""Pools: collections with a length and access to samples by index.

Each kind of pool is one small class. The rest of the package only asks for the length,
for a batch, or for a view of some samples; it never copies, casts or checks a pool as a
whole.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from torch.utils.data import Dataset, IterableDataset, default_collate

# Number of samples by which a pool that is not in memory is recognised.
_N_FINGERPRINTS = 256
# Number of samples that are read twice, to see whether they stay the same.
_N_COMPARED = 32


def as_pool(X):
    """Return ``X`` as a pool; a pool is returned unchanged.

    Parameters
    ----------
    X : pool, array-like, Tensor, DataFrame, Dataset or dict
        A NumPy array or memmap, a torch tensor, a list of samples, a sparse matrix, a
        data frame, a zarr, HDF5 or dask array, a map-style torch Dataset whose items
        are samples or pairs of sample and label, or a dict of these, each with the
        same number of samples.

    Returns
    -------
    pool : Pool
        Pool of the samples.

    Raises
    ------
    TypeError
        If ``X`` has a type that gives no access to samples by index.
    ValueError
        If ``X`` is empty, has no axis of samples, or has masked entries.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import as_pool
    >>> pool = as_pool(np.zeros((1000, 1, 28, 28)))
    >>> len(pool), pool.take([3, 1]).shape
    (1000, (2, 1, 28, 28))
    """
    if isinstance(X, Pool):
        pool = X
    elif _is_closed(X):
        raise ValueError(
            f"X is {X!r}: keep its file open for as long as samples are read from it."
        )
    elif isinstance(X, Mapping):
        pool = MappingPool(X)
    elif isinstance(X, torch.Tensor):
        pool = TensorPool(X)
    elif isinstance(X, IterableDataset):
        raise TypeError(
            f"{type(X).__name__} is an IterableDataset, whose samples have no index. "
            "Pass a map-style Dataset, with __len__ and __getitem__."
        )
    elif isinstance(X, Dataset):
        pool = DatasetPool(X)
    elif isinstance(X, np.ndarray):
        holds_arrays = X.dtype == object and X.ndim == 1 and len(X) and np.ndim(X[0])
        pool = ListPool(X) if holds_arrays else ArrayPool(X)
    elif hasattr(X, "toarray") and hasattr(X, "tocsr"):
        pool = SparsePool(X)
    elif hasattr(X, "iloc") or hasattr(X, "__dataframe__"):
        pool = FramePool(X)
    elif isinstance(X, list | tuple):
        _refuse_names(X[:1])
        pool = ListPool(X)
    elif hasattr(X, "chunks") and hasattr(X, "shape") and hasattr(X, "dtype"):
        pool = ChunkedPool(X)
    elif hasattr(X, "__array__"):
        pool = ArrayPool(np.asarray(X))
    else:
        _refuse_names([X])
        raise TypeError(
            f"X of type {type(X).__name__} cannot be a pool: expected an array, a "
            "tensor, a list of samples, a data frame, a zarr or HDF5 array, or a "
            "map-style torch Dataset."
        )
    if not len(pool):
        raise ValueError(
            "The pool is empty: X has 0 sample(s), while a minimum of 1 is required."
        )
    return pool


def _refuse_names(samples):
    """Raise if file names are passed instead of samples."""
    for name in samples:
        if isinstance(name, str | bytes | os.PathLike):
            raise TypeError(
                f"X holds names such as {name!r} instead of samples. For a folder of "
                "images pass skdfal.pool.ImagePool(folder); for names of files "
                "skdfal.pool.FilePool(names, loader), with a function that reads one."
            )


def _is_closed(X):
    """Whether X is a data set of a closed HDF5 file."""
    identity = getattr(X, "id", None)
    return hasattr(type(X), "chunks") and not getattr(identity, "valid", True)


class Pool:
    """Base class of pools: a length, and access to samples by index.

    Attributes
    ----------
    is_in_memory : bool
        Whether all samples are in memory, so that reading all of them costs little.
    sample_shape : tuple of int or None
        Shape of one sample; None if samples are not arrays.
    dtype : dtype or None
        Dtype of the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import as_pool
    >>> view = as_pool(np.arange(10.0).reshape(5, 2)).view([4, 2])
    >>> view.take([0])
    array([[8., 9.]])
    """

    is_in_memory = True
    sample_shape: tuple | None = None
    dtype: Any = None

    def __len__(self):
        raise TypeError(f"{type(self).__name__} should define __len__.")

    @property
    def root(self):
        """The full pool behind a view; here the pool itself."""
        return self

    @property
    def travels(self):
        """Whether the pool pickles as a recipe by which a worker reads the samples."""
        return not self.is_in_memory

    def take(self, indices):
        """Return a copy of some samples, of the pool's own kind.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool, in any order.

        Returns
        -------
        X : array, tensor, data frame or dict
            The samples, in that order. Writing to them does not change the pool.
        """
        raise TypeError(f"{type(self).__name__} should define take(indices).")

    def view(self, indices):
        """Return some samples as a pool of their own, without reading them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        view : PoolView
            View of the samples, which knows their positions in the full pool.
        """
        return PoolView(self, indices)

    def lazily(self, indices):
        """Return some samples as a dask array, so that Dask's workers read them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        X : dask.array.Array or None
            The dask array; None if the pool is not one.
        """
        return None

    @property
    def shape(self):
        """Shape of all samples as one array."""
        if self.sample_shape is None:
            raise AttributeError("The samples are not arrays.")
        return (len(self), *self.sample_shape)

    @property
    def ndim(self):
        """Number of axes of all samples as one array."""
        return len(self.shape)

    def __repr__(self):
        return f"{type(self).__name__}({self._in_words()})"

    def _in_words(self):
        shape = "" if self.sample_shape is None else f" of {tuple(self.sample_shape)}"
        return f"{len(self)} samples{shape}"

    def __getitem__(self, key):
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"index {key} is out of range of {len(self)} samples")
            return _only(self.take([key % len(self)]))
        if isinstance(key, slice):
            return self.take(np.arange(*key.indices(len(self))))
        return self.take(positions(key, len(self)))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.take(np.arange(len(self))), dtype=dtype)

    def digest(self):
        """Return a hash of the contents, by which a run is recognised.

        Returns
        -------
        digest : str
            64 hexadecimal digits. All samples enter it if the pool is in memory;
            otherwise the length and a number of samples spread over the pool.

        Raises
        ------
        ValueError
            If the pool is not in memory and its samples change from one reading to the
            next.
        """
        n = len(self)
        indices = np.arange(n)
        if not self.is_in_memory:
            indices = np.unique(np.linspace(0, n - 1, _N_FINGERPRINTS).astype(int))
            self._check_repeatable(indices)
        state = hashlib.sha256(f"{n} {self.sample_shape} {self.dtype}".encode())
        for start in range(0, len(indices), 1024):
            _hash_samples(state, self.take(indices[start : start + 1024]))
        return state.hexdigest()

    def _check_repeatable(self, indices):
        """Raise if reading the samples a second time gives different ones."""
        first, second = hashlib.sha256(), hashlib.sha256()
        for state in (first, second):
            _hash_samples(state, self.take(indices[:_N_COMPARED]))
        if first.digest() != second.digest():
            raise ValueError(
                "The samples of X change each time they are read, so that a run on "
                "them cannot be recognised. Remove anything random, such as "
                "augmentation, from the pool, or leave out the path."
            )


def _only(X):
    """Return the only sample of a batch."""
    if isinstance(X, Mapping):
        return {name: _only(part) for name, part in X.items()}
    return X.iloc[0] if hasattr(X, "iloc") else X[0]


def positions(indices, n_samples):
    """Return indices or a mask as an array of positions, or raise."""
    indices = np.asarray(indices)
    if indices.dtype == bool:
        if indices.shape != (n_samples,):
            raise IndexError(f"a mask of shape {indices.shape} for {n_samples} samples")
        return np.flatnonzero(indices)
    if not indices.size:
        return indices.reshape(0).astype(np.intp)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise IndexError(
            f"positions should be integers in one dimension, got {indices.dtype} of "
            f"shape {indices.shape}"
        )
    if indices.min() < -n_samples or indices.max() >= n_samples:
        raise IndexError(
            f"positions should be in [{-n_samples}, {n_samples}), got some in "
            f"[{indices.min()}, {indices.max()}]"
        )
    indices = indices.astype(np.intp)  # n_samples may not fit into, say, int8
    return np.where(indices < 0, indices + n_samples, indices)


def _hash_samples(state, X):
    if isinstance(X, Mapping):
        for name in sorted(X, key=str):
            state.update(str(name).encode())
            _hash_samples(state, X[name])
    elif hasattr(X, "columns"):
        names, dtypes = map(str, X.columns), map(str, X.dtypes)
        state.update(str(list(zip(names, dtypes, strict=True))).encode())
        for column in X.columns:
            _hash_samples(state, np.asarray(X[column]))
    else:
        X = _as_arrays(X)
        if X.dtype.kind == "O":
            state.update("\0".join(map(str, X.ravel())).encode())
        else:
            state.update(np.ascontiguousarray(X).tobytes())


class PoolView(Pool):
    """View of some samples of a pool; they are read only when they are taken.

    Parameters
    ----------
    pool : Pool
        A pool, or a view of one.
    indices : array-like of int
        Positions in ``pool``.

    Attributes
    ----------
    root : Pool
        The full pool.
    indices : ndarray of shape (n_samples,)
        Positions in ``root``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import as_pool
    >>> as_pool(np.zeros((9, 2))).view([8, 3, 5]).view([1, 2]).indices
    array([3, 5])
    """

    root = None

    def __init__(self, pool, indices):
        indices = positions(indices, len(pool))
        self.root = pool.root
        self.indices = pool.indices[indices] if pool is not self.root else indices
        self.is_in_memory = self.root.is_in_memory
        self.sample_shape, self.dtype = self.root.sample_shape, self.root.dtype

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        return self.root.take(self.indices[positions(indices, len(self))])

    def lazily(self, indices):
        return self.root.lazily(self.indices[positions(indices, len(self))])

    def as_dataset(self, indices):
        """Return some samples as a Dataset of pairs, if the pool is a Dataset.

        Parameters
        ----------
        indices : array-like of int
            Positions in the view.

        Returns
        -------
        dataset : Dataset
            Pairs of a sample and 0.
        """
        return self.root.as_dataset(self.indices[positions(indices, len(self))])


class InHand(Pool):
    """Samples already taken from a pool, with their positions in it.

    Parameters
    ----------
    X : array, tensor, data frame or dict
        Result of ``take``.
    indices : array-like of int
        Positions in the full pool.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import InHand
    >>> InHand(np.zeros((2, 5)), [30, 10]).view([1]).indices
    array([10])
    """

    def __init__(self, X, indices):
        self.pool, self.indices = as_pool(X), np.asarray(indices)
        self.sample_shape, self.dtype = self.pool.sample_shape, self.pool.dtype

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        return self.pool.take(indices)

    def view(self, indices):
        indices = positions(indices, len(self))
        return InHand(self.take(indices), self.indices[indices])


class ArrayPool(Pool):
    """A NumPy array; of a memmap, only the requested samples are read."""

    def __init__(self, X):
        if isinstance(X, np.ma.MaskedArray):
            if np.ma.is_masked(X):
                raise ValueError(
                    f"X has {np.ma.count_masked(X)} masked entries, but networks do "
                    "not support masks. Fill them in, as with X.filled(0)."
                )
            X = X.data
        if not X.ndim:
            raise ValueError(
                "Expected X of shape (n_samples, ...), got a single number."
            )
        self.X = X
        self.is_in_memory = _memmap_under(X) is None
        self.sample_shape, self.dtype = X.shape[1:], X.dtype

    def __len__(self):
        return len(self.X)

    def take(self, indices):
        return np.asarray(self.X[positions(indices, len(self))])

    @property
    def travels(self):
        file = _memmap_under(self.X)  # changes to a mode "c" memmap are not in its file
        return file is not None and file.filename is not None and file.mode != "c"

    def __reduce_ex__(self, protocol):
        if not self.travels:
            return super().__reduce_ex__(protocol)
        X, file = self.X, _memmap_under(self.X)
        offset = file.offset + X.ctypes.data - file.ctypes.data
        return _reopened, (file.filename, X.dtype, X.shape, offset, X.strides)


def _memmap_under(X):
    """Return the memmap that an array is part of, or None."""
    found = None
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and X.mode is not None:  # a copy has no mode
            found = X
        X = X.base
    return found


def _reopened(path, dtype, shape, offset, strides):
    file = np.memmap(path, np.uint8, "r")
    return ArrayPool(np.ndarray(shape, dtype, file, offset, strides))


def _stacked(samples):
    samples = [_as_arrays(sample) for sample in samples]
    shapes = {s.shape for s in samples}
    if len(shapes) > 1:
        some = ", ".join(map(str, sorted(shapes)[:3]))
        raise ValueError(
            f"The samples of X have different shapes, such as {some}, but a network "
            "needs one shape. Resize or pad them first, or pass a torch Dataset that "
            "does."
        )
    return np.stack(samples)


def _check_sample(sample):
    """Raise if a sample of a list consists of several objects."""
    if isinstance(sample, Mapping):
        raise TypeError(
            "X is a list of dicts. For a network with several inputs, pass a dict of "
            "pools, one for each input."
        )
    if isinstance(sample, tuple | list) and len({*map(np.shape, sample)}) > 1:
        raise ValueError(
            f"A sample of X consists of {len(sample)} objects of different shapes. "
            "Pass a list of samples without their labels, or a torch Dataset of pairs."
        )


def _dtype_of(sample):
    if isinstance(sample, torch.Tensor):
        sample = torch.empty(0, dtype=sample.dtype)
    return _as_arrays(sample).dtype


class ListPool(Pool):
    """A list of samples: numbers in lists, arrays or tensors of one shape."""

    def __init__(self, X):
        self.X = X
        if len(X):
            _check_sample(X[0])
            self.sample_shape = _stacked(X[:1]).shape[1:]
            self.dtype = np.result_type(*{_dtype_of(sample) for sample in X})

    def __len__(self):
        return len(self.X)

    def take(self, indices):
        if not len(indices):
            return np.empty((0, *self.sample_shape), self.dtype)
        X = _stacked([self.X[i] for i in positions(indices, len(self))])
        return X.astype(self.dtype, copy=False)  # the same for every batch


class TensorPool(Pool):
    """A torch tensor, on any device."""

    def __init__(self, X):
        if X.layout != torch.strided or X.is_meta:
            raise TypeError("X is a sparse or meta tensor; pass a dense one with data.")
        if X.is_complex() or X.dtype == torch.bool:
            raise ValueError(f"X of dtype {X.dtype} should hold real numbers.")
        if not X.ndim:
            raise ValueError("Expected X of shape (n_samples, ...), got one number.")
        self.X = X.detach()
        self.sample_shape, self.dtype = tuple(X.shape[1:]), X.dtype

    def __len__(self):
        return len(self.X)

    def take(self, indices):
        indices = torch.from_numpy(positions(indices, len(self)).astype(np.int64))
        return self.X[indices.to(self.X.device)]


class SparsePool(Pool):
    """A sparse matrix; batches are dense."""

    def __init__(self, X):
        self.X = X.tocsr()
        self.sample_shape, self.dtype = X.shape[1:], X.dtype

    def __len__(self):
        return self.X.shape[0]

    def take(self, indices):
        return self.X[positions(indices, len(self))].toarray()


class FramePool(Pool):
    """A data frame; batches are frames with the same columns."""

    def __init__(self, X):
        self.X = X
        if hasattr(X, "columns"):
            self.sample_shape = (len(X.columns),)

    def __len__(self):
        return len(self.X)

    def take(self, indices):
        return _safe_indexing(self.X, positions(indices, len(self)))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.X, dtype=dtype)


class ChunkedPool(Pool):
    """A zarr, HDF5 or dask array, read by sorted indices without repetition."""

    is_in_memory = False

    def __init__(self, X):
        if not len(X.shape):
            raise ValueError("Expected X of shape (n_samples, ...), got one number.")
        if any(n != n for n in X.shape):
            raise ValueError(
                f"X is a dask array of shape {X.shape}, whose number of samples is not "
                "known before they are computed. Call X.compute_chunk_sizes() first."
            )
        self.X = X
        self.sample_shape, self.dtype = tuple(X.shape[1:]), np.dtype(X.dtype)

    @property
    def travels(self):
        store = type(getattr(self.X, "store", None)).__name__
        return not hasattr(self.X, "dask") and store not in _STORES_IN_MEMORY

    def lazily(self, indices):
        if not hasattr(self.X, "dask"):
            return None
        indices = positions(indices, len(self))
        is_stretch = len(indices) and (np.diff(indices) == 1).all()
        if is_stretch:
            return self.X[int(indices[0]) : int(indices[-1]) + 1]
        return self.X[indices]

    def __reduce_ex__(self, protocol):
        if type(self.X).__module__.partition(".")[0] == "h5py":
            path = os.path.abspath(self.X.file.filename)
            return _reopened_hdf5, (path, self.X.name)
        store = getattr(self.X, "store", None)
        if (where := _FOLDER_STORES.get(type(store).__name__)) is not None:
            path = os.path.abspath(getattr(store, where))
            return _reopened_zarr, (path, self.X.path)
        return super().__reduce_ex__(protocol)

    def __len__(self):
        return self.X.shape[0]

    def take(self, indices):
        indices = positions(indices, len(self))
        if not len(indices):
            return np.empty((0, *self.sample_shape), self.dtype)
        rows, back = np.unique(indices, return_inverse=True)
        first, last = int(rows[0]), int(rows[-1]) + 1
        if last - first <= 2 * len(rows):  # most of a range is needed: read all of it
            return np.asarray(self.X[first:last])[rows - first][back]
        by_axis = getattr(self.X, "oindex", self.X)  # zarr's way to select rows
        return np.asarray(by_axis[rows])[back]


_STORES_IN_MEMORY = {"MemoryStore", "KVStore", "dict"}  # zarr
_FOLDER_STORES = {"LocalStore": "root", "DirectoryStore": "path"}  # zarr 3 and 2


def _reopened_hdf5(path, name):
    import h5py

    return ChunkedPool(h5py.File(path, "r")[name])


def _reopened_zarr(folder, name):
    """Reopen an array; a pickled one would be zero where its folder is not visible."""
    import zarr

    return ChunkedPool(zarr.open_array(folder, path=name, mode="r"))


class DatasetPool(Pool):
    """A map-style torch Dataset of samples, or of pairs of sample and label."""

    is_in_memory = False

    def __init__(self, dataset):
        if not hasattr(dataset, "__len__"):
            raise TypeError(
                f"{type(dataset).__name__} has no __len__, so its number of samples is "
                "unknown. Give it one."
            )
        self.dataset = dataset
        if len(dataset):
            first = self.take([0])
            if not isinstance(first, Mapping):
                self.sample_shape, self.dtype = first.shape[1:], first.dtype

    def __len__(self):
        return len(self.dataset)

    def take(self, indices):
        indices = positions(indices, len(self))
        if not len(indices):
            return np.empty((0, *(self.sample_shape or ())), self.dtype)
        dataset = self.as_dataset(indices)
        try:
            X, _ = default_collate([dataset[i] for i in range(len(dataset))])
        except (TypeError, RuntimeError) as exc:
            sample = dataset[0][0]
            raise ValueError(
                f"The samples of {type(self.dataset).__name__}, such as a "
                f"{type(sample).__name__}, do not make a batch: {exc} They should be "
                "tensors or arrays of one shape; give the Dataset a transform."
            ) from exc
        if isinstance(X, tuple | list):
            raise ValueError(
                f"An item of {type(self.dataset).__name__} has {len(X)} parts; "
                "expected a sample, or a sample and its label. Pass several inputs of "
                "a network as a dict."
            )
        return _as_arrays(X)

    def as_dataset(self, indices):
        """Return some samples as a Dataset of pairs, as skorch takes them.

        Parameters
        ----------
        indices : array-like of int
            Positions in the pool.

        Returns
        -------
        dataset : Dataset
            Pairs of a sample and 0.
        """
        return _Samples(self.dataset, positions(indices, len(self)))


class _Samples(Dataset):
    """Samples of a Dataset without their labels, which must stay unknown."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        item = self.dataset[int(self.indices[i])]
        if isinstance(item, tuple | list) and len(item) in (1, 2):
            item = item[0]  # a TensorDataset without labels returns 1-tuples
        return item, 0


def _as_arrays(X):
    if isinstance(X, Mapping):
        return {name: _as_arrays(part) for name, part in X.items()}
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    return np.asarray(X)


class FilePool(Pool):
    """A pool of files, read by a function of your own.

    Parameters
    ----------
    names : sequence of str or path-like
        Names of the files.
    loader : callable
        Function that takes a name and returns the sample as an array or tensor. All
        samples need the same shape; the pool has the dtype of the first. If the loader
        fails, the file is named in a ValueError, or in an OSError if it raised one.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.pool import FilePool
    >>> pool = FilePool(["1.txt", "2.txt"], lambda name: np.full((1, 8, 8), 0.5))
    >>> len(pool), pool.take([1]).shape
    (2, (1, 1, 8, 8))
    """

    is_in_memory = False

    def __init__(self, names, loader):
        if isinstance(names, str | bytes | os.PathLike):
            raise TypeError(
                f"{names=} should be a list of files. For a folder of images pass "
                "skdfal.pool.ImagePool(folder)."
            )
        if not isinstance(loader, Callable):
            raise TypeError(f"{loader=} should be a function that reads one file.")
        self.names, self.loader = list(names), loader
        if self.names:
            first = self.take([0])
            self.sample_shape, self.dtype = first.shape[1:], first.dtype

    def __len__(self):
        return len(self.names)

    def take(self, indices):
        indices = positions(indices, len(self))
        if not len(indices):
            return np.empty((0, *self.sample_shape), self.dtype)
        return self._as_first(np.stack([self._read(self.names[i]) for i in indices]))

    def _read(self, name):
        """Return the sample in a file; errors name the file."""
        try:
            sample = _as_arrays(self.loader(name))
        except MemoryError:
            raise
        except Exception as error:
            if getattr(error, "filename", None) is not None:
                raise
            kind = OSError if isinstance(error, OSError) else ValueError
            raise kind(
                f"The loader fails on {name}: {type(error).__name__}: {error}"
            ) from error
        if self.sample_shape not in (None, sample.shape):
            raise ValueError(
                f"The loader returns shape {sample.shape} for {name}, but "
                f"{self.sample_shape} for the first file, {self.names[0]}. Resize or "
                "convert samples in the loader, so that all have the same shape."
            )
        return sample

    def _as_first(self, X):
        """Return a batch in the dtype of the first file, whatever it contains."""
        dtype = X.dtype if self.dtype is None else self.dtype
        if not np.can_cast(
            X.dtype, dtype, "same_kind" if dtype.kind == "f" else "safe"
        ):
            raise ValueError(
                f"The first file has dtype {dtype}, which cannot hold the {X.dtype} of "
                "other files. Return one dtype from the loader, such as float32."
            )
        return X.astype(dtype, copy=False)


class MappingPool(Pool):
    """Several inputs of a network, by name; each is a pool of its own."""

    def __init__(self, X):
        self.parts = {name: as_pool(part) for name, part in X.items()}
        lengths = {name: len(part) for name, part in self.parts.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"The inputs of X have different numbers of samples: {lengths}."
            )
        self.is_in_memory = all(part.is_in_memory for part in self.parts.values())

    @property
    def travels(self):
        return all(part.travels for part in self.parts.values())

    def __len__(self):
        return len(next(iter(self.parts.values()), ()))

    def take(self, indices):
        return {name: part.take(indices) for name, part in self.parts.items()}

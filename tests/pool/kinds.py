"""One array as every kind of pool that the package knows."""

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from skdfal.pool import FilePool


class Samples(Dataset):
    """Samples alone."""

    def __init__(self, X):
        self.X = torch.from_numpy(X)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i]


class Pairs(Samples):
    """Samples with a label, which nobody may look at."""

    def __getitem__(self, i):
        return self.X[i], "secret"


def _memmap(X, folder, mode="r"):
    path = folder / f"pool-{mode}.npy"
    np.save(path, X)
    return np.load(path, mmap_mode=mode)


def _zarr(X, folder):
    import zarr

    array = zarr.create(
        X.shape, chunks=(7, *X.shape[1:]), dtype="f4", store=str(folder / "pool.zarr")
    )
    array[:] = X
    return array


def _hdf5(X, folder):
    import h5py

    file = h5py.File(folder / "pool.h5", "w")
    return file.create_dataset("X", data=X, chunks=(7, *X.shape[1:]))


def _files(X, folder):
    names = [folder / f"sample {i}.npy" for i in range(len(X))]
    for name, x in zip(names, X, strict=True):
        np.save(name, x)
    return FilePool(names, np.load)


def _objects(X, _):
    array = np.empty(len(X), dtype=object)
    array[:] = list(X)
    return array


KINDS = {
    "array": lambda X, _: X.copy(),
    "fortran order": lambda X, _: np.asfortranarray(X),
    "tensor": lambda X, _: torch.from_numpy(X.copy()),
    "list of arrays": lambda X, _: list(X),
    "nested list": lambda X, _: X.tolist(),
    "array of arrays": _objects,
    "memmap": _memmap,
    "memmap r+": lambda X, folder: _memmap(X, folder, "r+"),
    "zarr": _zarr,
    "hdf5": _hdf5,
    "dataset of samples": lambda X, _: Samples(X),
    "dataset of pairs": lambda X, _: Pairs(X),
    "tensor dataset": lambda X, _: TensorDataset(torch.from_numpy(X)),
    "files": _files,
}

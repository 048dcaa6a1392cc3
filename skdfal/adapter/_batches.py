"""From samples of a pool to input of the module, by skorch's own methods.

Samples go through the Pipeline steps, then through the net's own dataset, iterator,
collate function and device. Only two things are added: a check of each block, and the
cast to the precision of the module.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import skorch
import torch
from sklearn.utils import check_array
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skdfal._utils._torch import HALVES, first_float, uncompiled
from skdfal.adapter._find import is_net
from skdfal.nets._dataset import ArrayDataset, collate

# Bytes of samples taken from a pool at once, if a batch is smaller than that.
_BLOCK_BYTES = 2**26
_BATCHES_A_BLOCK = 16
_ALIGNMENT = 64  # bytes, as in torch's own memory on the CPU

# Protects generators and switches of which a process has only one.
PROCESS_STATE = threading.RLock()


def sees_samples_as_they_are(estimator):
    """Whether an estimator, fitted or not, is a net whose samples nothing reshapes.

    Steps of a Pipeline may do so, and so may the user's own dataset or collate
    function.
    """
    if not is_net(estimator) or estimator.iterator_valid is not DataLoader:
        return False
    collate_fn = estimator.get_params_for("iterator_valid").get("collate_fn")
    datasets = skorch.dataset.Dataset, ArrayDataset
    return estimator.dataset in datasets and collate_fn in (None, collate)


class Walk:
    """The way of a net from samples to batches.

    Parameters
    ----------
    net : skorch net
        Net, which is not modified: settings are changed on a copy that shares its
        module.
    steps : list of (name, transformer)
        Steps before the net in a Pipeline.
    """

    def __init__(self, net, steps) -> None:
        self.net = lean_copy(net)
        self.net.module_ = uncompiled(net.module_)
        settings = vars(self.net)
        settings["iterator_valid__drop_last"] = False
        settings["iterator_valid__shuffle"] = False
        is_plain = self.net.iterator_valid is DataLoader and not settings.get(
            "iterator_valid__collate_fn"
        )
        if self.net.dataset is skorch.dataset.Dataset and is_plain:
            # The same samples, with one indexing operation per batch instead of one per
            # sample.
            self.net.dataset = ArrayDataset
            settings["iterator_valid__collate_fn"] = collate
        self.steps = steps
        self.device, self.dtype = _device_and_dtype(net)
        self.casts_integers = False
        self.sample_bytes: int | None = None  # memory of a graph, once measured

    @property
    def module(self) -> nn.Module:
        """The user's module, without ``torch.compile``."""
        return self.net.module_

    def batch(self, pool, indices) -> Any:
        """Return the samples at ``indices`` as one batch for the module."""
        (x,) = self._of_block(pool, indices, max(1, len(indices)))
        return x

    def batches(self, pool, batch_size: int) -> Iterator[Any]:
        """Yield all samples of a pool in order, ``batch_size`` at a time."""
        block = batch_size * batches_a_block(pool, batch_size)
        for start in range(0, len(pool), block):
            indices = np.arange(start, min(start + block, len(pool)))
            yield from self._of_block(pool, indices, batch_size)

    def _of_block(self, pool, indices, batch_size: int) -> Iterator[Any]:
        vars(self.net)["iterator_valid__batch_size"] = batch_size
        with generators_kept():
            dataset = self.net.get_dataset(self.samples(pool, indices))
            batches = list(self.net.get_iterator(dataset, training=False))
        n_expected = -(-len(indices) // batch_size)
        if len(batches) != n_expected:
            raise ValueError(
                f"The net's iterator_valid ({self.net.iterator_valid.__name__}) gives "
                f"{len(batches)} batches for {len(indices)} samples and {batch_size=}, "
                f"expected {n_expected}: scores would not belong to the samples."
            )
        for batch in batches:
            x, _ = skorch.dataset.unpack_data(batch)
            # Cast first: the device may not support doubles, which numpy's samples
            # often are.
            yield to_device(self._cast(to_tensor(x, device=None)), self.device)

    def samples(self, pool, indices):
        """Take a block from the pool, pass it through the Pipeline, and check it."""
        as_dataset = getattr(getattr(pool, "root", pool), "as_dataset", None)
        if as_dataset and not self.steps:
            return pool.as_dataset(indices)
        X = pool.take(indices)
        for _, step in self.steps:
            X = step.transform(X)
        X = _checked(X)
        if self.casts_integers and isinstance(X, np.ndarray) and X.dtype.kind in "bui":
            X = X.astype(np.float32)
        return X

    def _cast(self, x):
        """Cast floating tensors to the precision of the module, checking the range."""
        if isinstance(x, Mapping):
            return {name: self._cast(part) for name, part in x.items()}
        if isinstance(x, tuple | list):
            return type(x)(map(self._cast, x))
        if not isinstance(x, Tensor):
            return x
        if not x.is_floating_point():
            return x.to(self.dtype) if self.casts_integers else x
        if not x.isfinite().all():
            raise ValueError("Input X contains NaN or infinity.")
        cast = x.to(self.dtype)
        if cast.data_ptr() % _ALIGNMENT:  # from numpy; alignment affects rounding
            cast = cast.clone()
        if cast.dtype != x.dtype and not cast.isfinite().all():
            largest = torch.finfo(self.dtype).max
            raise ValueError(
                f"X has values beyond {largest:.2g}, the range of {self.dtype}."
            )
        return cast


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the global generators: a DataLoader uses them, and a dataset may."""
    with PROCESS_STATE:
        numpy_state = np.random.get_state()  # noqa: NPY002
        python_state, torch_state = random.getstate(), torch.get_rng_state()
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
            torch.set_rng_state(torch_state)


def lean_copy(net):
    """Return a new object with the attributes of a net; the module is shared."""
    copy = object.__new__(type(net))
    vars(copy).update(vars(net))
    return copy


def batches_a_block(pool, batch_size: int) -> int:
    """Return how many batches are taken from a pool at once."""
    if pool.sample_shape is None:
        return 1
    n_bytes = 8 * batch_size * max(1, int(np.prod(pool.sample_shape)))
    return int(np.clip(_BLOCK_BYTES // n_bytes, 1, _BATCHES_A_BLOCK))


def _checked(X):
    """Return a block as finite numbers in native byte order, or raise."""
    if isinstance(X, Mapping):
        return {name: _checked(part) for name, part in X.items()}
    if isinstance(X, Tensor):
        if X.is_floating_point() and not X.isfinite().all():
            raise ValueError("Input X contains NaN or infinity.")
    else:
        if hasattr(X, "toarray"):
            X = X.toarray()
        X = check_array(
            X, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="X"
        )
        if X.dtype.kind not in "biuf":
            raise ValueError(f"X of dtype {X.dtype} should contain real numbers.")
        if X.dtype.kind == "f" and X.dtype.itemsize > 8:
            X = X.astype(np.float64)
        elif X.dtype.kind == "u" and X.dtype.itemsize > 1:  # torch has few operations
            X = X.astype(np.int64)
        X = X.astype(X.dtype.newbyteorder("="), copy=False)
    if X.ndim < 2:
        raise ValueError(
            f"Expected X of shape (n_samples, ...), got shape {tuple(X.shape)}. "
            "For a single sample use X[None]."
        )
    return X


def _device_and_dtype(net) -> tuple[torch.device, torch.dtype]:
    """Return the device of the module, and the precision that its input should have.

    A module of half precision gets its samples in float32 and rounds them itself.
    Otherwise the steps of an attack would be lost to rounding.
    """
    weights = first_float(net.module_)
    if weights is None:
        return torch.device(net.device or "cpu"), torch.get_default_dtype()
    dtype = torch.float32 if weights.dtype in HALVES else weights.dtype
    return weights.device, dtype

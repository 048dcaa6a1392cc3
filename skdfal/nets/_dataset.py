"""A dataset of skorch that hands out whole batches."""

import numpy as np
import skorch
import torch
from torch.utils.data import default_collate


class ArrayDataset(skorch.dataset.Dataset):
    """Arrays or tensors of which a DataLoader takes a batch in one indexing.

    skorch's own dataset is asked for one sample after the other, and the samples
    are stacked again. Whatever is neither array nor tensor still goes that way.
    """

    def __getitems__(self, indices):
        arrays = np.ndarray | torch.Tensor
        if not isinstance(self.X, arrays):
            return [self[i] for i in indices]
        X = torch.as_tensor(self.X[indices])
        if self.y is None:  # only samples are asked for
            return X, torch.zeros(len(X))
        if not isinstance(self.y, arrays):
            return [self[i] for i in indices]
        return X, _as_labels(self.y[indices])


def _as_labels(y):
    """Tensor of y; whole numbers become int64, the type that losses ask for."""
    y = torch.as_tensor(y)
    return y if y.is_floating_point() or y.dtype == torch.bool else y.long()


def collate(batch):
    """Pass a batch of `ArrayDataset` on; stack a list of samples."""
    return batch if isinstance(batch, tuple) else default_collate(batch)


class TransformingCollate:
    """`collate` of a training that changes the samples of each batch.

    Batches are made by it in training alone: what is predicted, scored or queried on
    stays as it is.
    """

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, batch):
        X, y = collate(batch)
        changed = self.transform(X)
        if not isinstance(changed, torch.Tensor) or changed.shape != X.shape:
            is_tensor = isinstance(changed, torch.Tensor)
            got = tuple(changed.shape) if is_tensor else type(changed).__name__
            raise ValueError(
                f"augmentation={self.transform!r} returned {got} for a batch of shape "
                f"{tuple(X.shape)}; expected a tensor of that shape."
            )
        return changed, y

"""A skorch dataset that returns whole batches."""

import numpy as np
import skorch
import torch
from torch.utils.data import default_collate


class ArrayDataset(skorch.dataset.Dataset):
    """Arrays or tensors from which a DataLoader takes a batch by a single indexing.

    skorch's own dataset returns samples one by one, and they are stacked again.
    Anything that is neither array nor tensor is still handled that way.
    """

    def __getitems__(self, indices):
        arrays = np.ndarray | torch.Tensor
        if not isinstance(self.X, arrays):
            return [self[i] for i in indices]
        X = torch.as_tensor(self.X[indices])
        if self.y is None:  # only samples are needed
            return X, torch.zeros(len(X))
        if not isinstance(self.y, arrays):
            return [self[i] for i in indices]
        return X, _as_labels(self.y[indices])


def _as_labels(y):
    """Tensor of y; integers become int64, the dtype that losses expect."""
    if isinstance(y, np.ndarray) and y.dtype.kind not in "biuf":
        raise TypeError(
            f"y of dtype {y.dtype} should hold numbers: a network learns labels 0, "
            "..., n_classes - 1. Encode them, as with scikit-learn's LabelEncoder; "
            "ActiveLearningClassifier and LabelingSession take labels of any kind."
        )
    y = torch.as_tensor(y)
    return y if y.is_floating_point() or y.dtype == torch.bool else y.long()


def collate(batch):
    """Return a batch of `ArrayDataset` unchanged; stack a list of samples."""
    return batch if isinstance(batch, tuple) else default_collate(batch)


class TransformingCollate:
    """`collate` for training, with a transformation of the samples of each batch.

    It only makes training batches. Samples for prediction, scoring and queries are not
    transformed.
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

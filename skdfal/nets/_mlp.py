"""A small multi-layer perceptron, the default net for tables."""

from __future__ import annotations

import torch


class MLP(torch.nn.Sequential):
    """Two dense layers on flattened samples, for tables and very small images.

    Parameters
    ----------
    n_features : int
        Number of values per sample.
    n_classes : int
        Number of classes.
    n_hidden : int, default=64
        Number of units in the hidden layer.

    Examples
    --------
    >>> import torch
    >>> from skdfal import MLP
    >>> MLP(n_features=12, n_classes=3)(torch.rand(5, 3, 4)).shape
    torch.Size([5, 3])
    """

    feature_layers = ("2",)

    def __init__(self, n_features: int, n_classes: int, n_hidden: int = 64) -> None:
        super().__init__(
            torch.nn.Flatten(),
            torch.nn.Linear(n_features, n_hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.25),
            torch.nn.Linear(n_hidden, n_classes),
        )

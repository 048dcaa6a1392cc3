"""A small multi-layer perceptron, the default net for tables."""

from __future__ import annotations

import torch


class MLP(torch.nn.Sequential):
    """Two dense layers on flattened samples, for tables and very small images."""

    def __init__(self, n_features: int, n_classes: int, n_hidden: int = 64) -> None:
        super().__init__(
            torch.nn.Flatten(),
            torch.nn.Linear(n_features, n_hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.25),
            torch.nn.Linear(n_hidden, n_classes),
        )

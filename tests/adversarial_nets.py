"""Small modules that the tests attack."""

import torch
from torch import nn


def small_cnn(n_classes=4, seed=0, n_outputs=None):
    """Two-layer CNN for 1x8x8 images, with dropout and batch-norm."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout2d(0.2),
            nn.Flatten(),
            nn.Linear(96, 24),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(24, n_outputs or n_classes),
        )


def images(n=20, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1, 8, 8, generator=generator).to(dtype)


def affine(n_features=6, n_classes=4, seed=0, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(n_features, n_classes).to(dtype)

"""What both the attack and the adapter need of torch, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Switch ``module`` to evaluation; every submodule gets its own mode back."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        yield
    finally:
        for m in training:
            m.training = True


def as_two_classes(logits: Tensor) -> Tensor:
    """Turn one logit, (n,) or (n, 1), into (n, 2): class 0 scores 0, class 1 scores f.

    Then ``f'_1 = f`` seen from class 0 and ``f'_0 = -f`` seen from class 1, so the
    binary DeepFool step ``-f / ||∇f||² ∇f`` is the multi-class one.
    """
    if logits.ndim == 1:
        logits = logits.unsqueeze(1)
    if logits.ndim == 2 and logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits

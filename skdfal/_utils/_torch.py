"""What both the attack and the adapter need of torch, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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


def first_output(out: Any) -> Any:
    """Return the output that predictions are made from.

    The first of a tuple, as skorch does; the logits of an output with such a field.
    """
    if isinstance(out, tuple):
        return out[0]
    return getattr(out, "logits", out)


def map_tensors(function: Callable[[Tensor], Any], x: Any) -> Any:
    """Apply a function to every tensor of a batch, which may hold several inputs."""
    if isinstance(x, Tensor):
        return function(x)
    if isinstance(x, Mapping):
        return {name: map_tensors(function, part) for name, part in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(map_tensors(function, part) for part in x)
    return x


def choose_batch_size(module: nn.Module, x: Tensor, *, with_graph: bool) -> int:
    """Return how many samples like those of ``x`` to work on at a time."""
    return 128 if with_graph else 512

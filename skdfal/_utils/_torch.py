"""Torch helpers shared by DeepFool and the adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

# Maximum memory for the activations of a batch on a CPU (256 MiB), and maximum number
# of samples: larger batches of a small net no longer fit into caches and are slower.
_CPU_BYTES = 2**28
_CPU_SAMPLES = 256
_CUDA_SAMPLES = 4096

HALVES = (torch.float16, torch.bfloat16)

ALL_THREADS = torch.get_num_threads()  # before a command lowers it for small networks


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Compute with ``n`` threads within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_doubles(device: torch.device) -> bool:
    """Whether a device computes in double precision; Apple's GPUs do not."""
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (RuntimeError, TypeError):
        return False
    return True


def in_double(x: Tensor) -> Tensor:
    """Return a tensor in double precision, on the CPU where its device has none."""
    return (x if has_doubles(x.device) else x.cpu()).double()


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


def first_output(out):
    """Return what a module predicts: ``.logits``, or the first of a tuple, or all."""
    if isinstance(out, Tensor):
        return out
    if hasattr(out, "logits"):
        return out.logits
    return out[0] if isinstance(out, tuple) else out


def first_input(args: tuple, kwargs: Mapping) -> Any:
    """Return what a layer is given first, by position or by name."""
    return next(iter((*args, *kwargs.values())))


def uncompiled(module: nn.Module) -> nn.Module:
    """Return a module as it was before ``torch.compile``, if it was compiled."""
    return getattr(module, "_orig_mod", module)


def first_float(module: nn.Module) -> Tensor | None:
    """Return the first weights that are floating point, whose precision is its own."""
    return next((p for p in module.parameters() if p.is_floating_point()), None)


def map_tensors(function: Callable[[Tensor], Any], x: Any) -> Any:
    """Apply a function to every tensor of a batch, which may hold several inputs."""
    if isinstance(x, Tensor):
        return function(x)
    if isinstance(x, Mapping):
        return {name: map_tensors(function, part) for name, part in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(map_tensors(function, part) for part in x)
    return x


def choose_batch_size(module: nn.Module, x_sample: Tensor, *, with_graph: bool) -> int:
    """Choose a batch size from the memory that one sample needs: a power of two.

    Parameters
    ----------
    module : nn.Module
        Module that takes a batch of samples; it is not changed.
    x_sample : Tensor of shape (n_samples, ...), n_samples >= 1
        Batch for the module. Only the first sample is used.
    with_graph : bool
        Whether gradients are computed, or only forward passes.

    Returns
    -------
    batch_size : int
        At least 1. It is the same for the same module on the same type of machine.
    """
    return batch_size_for(sample_bytes(module, x_sample), x_sample, with_graph)


def sample_bytes(module: nn.Module, x_sample: Tensor) -> int:
    """Return the memory that one sample needs in the graph of a forward pass, in bytes.

    The difference between two samples and one leaves out the weights and their casts.
    """
    x = x_sample[:1]
    return _graph_bytes(module, torch.cat([x, x])) - _graph_bytes(module, x)


def batch_size_for(n_bytes: int, x_sample: Tensor, with_graph: bool) -> int:
    """Choose as :func:`choose_batch_size` does, from :func:`sample_bytes`."""
    x = x_sample[:1]
    if with_graph:
        # Gradients need the same memory again, and a step some copies of the sample.
        n_bytes = 2 * n_bytes + 8 * x.nbytes
    else:
        # Without a graph, the activations of a layer are freed after the next one.
        n_bytes = n_bytes // 4 + x.nbytes
    room, most = _CPU_BYTES, _CPU_SAMPLES
    if x.is_cuda:
        free, total = torch.cuda.mem_get_info(x.device)
        room, most = min(total // 8, free // 2), _CUDA_SAMPLES
    n_samples = min(max(room // max(n_bytes, 1), 1), most)
    return 2 ** (n_samples.bit_length() - 1)


def _graph_bytes(module: nn.Module, x: Tensor) -> int:
    """Count the bytes of all tensors that the graph of a forward pass keeps."""
    sizes: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return saved

    with (
        evaluation_mode(module),
        torch.random.fork_rng([x.device] if x.is_cuda else []),
        torch.inference_mode(False),
        torch.enable_grad(),
        saved_tensors_hooks(note, lambda saved: saved),
    ):
        x = x.clone().requires_grad_(x.is_floating_point())
        out = module(x.clone())  # as long as it lives, no memory is used twice
        del out
    return sum(sizes.values())

"""A fitted net in the form that strategies need: a module of logits, and batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdfal._utils._torch import (
    batch_size_for,
    evaluation_mode,
    first_input,
    first_output,
    has_doubles,
    in_double,
    sample_bytes,
)
from skdfal.adapter._batches import Walk, batches_a_block
from skdfal.adapter._logits import Consensus, LogitModule
from skdfal.adapter._not_finite import check_outputs
from skdfal.adapter._travel import own_device
from skdfal.pool import Pool, map_blocks

# Batch size for several inputs by name, whose memory is not examined.
_BATCH_SIZE = 128


@dataclass(frozen=True)
class TorchNet:
    """A net together with the pool that it is applied to.

    Attributes
    ----------
    module : LogitModule or Consensus
        Module from a batch to logits of shape (n, n_classes), n_classes >= 2.
    pool : Pool
        Samples, in the user's format.
    walk : Walk
        Way from samples to batches in the net's own input space.
    n_classes : int
        Number of logits.
    n_outputs : int
        Number of outputs of the module, some of which may not be classes.
    name : str
        Class name of the user's module, for messages.
    linear : nn.Linear or None
        Last linear layer that a forward pass runs.
    members : tuple of TorchNet
        Nets of the members of a Committee; empty otherwise.
    """

    module: LogitModule | Consensus
    pool: Pool
    walk: Walk
    n_classes: int
    n_outputs: int
    name: str
    linear: nn.Linear | None
    members: tuple = ()

    def __len__(self) -> int:
        return len(self.pool)

    @property
    def device(self) -> torch.device:
        """Device of the module."""
        return self.walk.device

    @property
    def rows(self) -> np.ndarray:
        """Row numbers of the samples in the pool from which all views derive."""
        return getattr(self.pool, "indices", np.arange(len(self)))

    def of(self, pool: Pool) -> TorchNet:
        """Return the same net with other samples."""
        members = tuple(member.of(pool) for member in self.members)
        return replace(self, pool=pool, members=members)

    def map_blocks(
        self,
        function: Callable,
        batch_size: int,
        n_batches: int | None = None,
        engine=None,
    ) -> Iterator:
        """Yield the result of ``function`` for this net on each block of its pool.

        Parameters
        ----------
        function : callable
            Function of a net whose pool is the block. It may run in another process.
        batch_size : int
            Number of samples per batch; a block consists of whole batches.
        n_batches : int, default=None
            Number of batches per block. If None, as many as are read at once.
        engine : engine, default=None
            Engine that does the work. If None, :func:`engine_for` the pool.

        Yields
        ------
        result : object
            Result of the function.
        """
        n_batches = n_batches or batches_a_block(self.pool, batch_size)
        work = partial(_on_part, function)
        size = batch_size * n_batches
        return map_blocks(work, self, self.pool, size, engine=engine)

    def map_parts(self, function: Callable, parts: Iterable[Pool], engine) -> Iterator:
        """Yield the result of ``function`` for this net on parts of its pool.

        Parameters
        ----------
        function : callable
            Function of a net whose pool is the part. It may run in another process.
        parts : iterable of Pool
            Views, or samples in memory.
        engine : engine
            Engine that does the work.

        Yields
        ------
        result : object
            Result of the function.
        """
        return engine.map(partial(_on_part, function), self, parts)

    def __getstate__(self) -> dict:
        return vars(self) | {"pool": None}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        device = own_device()
        self.module.to(device)
        self.walk.device = vars(self.walk.net)["device"] = device

    def batch(self, indices) -> Any:
        """Return the samples at ``indices`` as a batch for the module."""
        return self.walk.batch(self.pool, indices)

    def batches(self, batch_size: int) -> Iterator[Any]:
        """Yield all samples in order, ``batch_size`` at a time."""
        return self.walk.batches(self.pool, batch_size)

    def batch_size(self, given: int | None, with_graph: bool = False) -> int:
        """Return the given batch size, or one chosen from the memory a sample needs."""
        if given is not None:
            return given
        x = self.batch([0])
        if not isinstance(x, Tensor):
            return _BATCH_SIZE
        if self.walk.sample_bytes is None:
            self.walk.sample_bytes = sample_bytes(self.module, x)
        return batch_size_for(self.walk.sample_bytes, x, with_graph)

    def for_attack(self) -> TorchNet:
        """Return the net ready for DeepFool: with logits of its decision.

        Raises
        ------
        TypeError
            If the batches are token numbers, or consist of several inputs.
        ValueError
            If a binary net has a ``threshold`` that leaves no decision to make.
        """
        net = replace(self, module=self.module.of_decision())
        x = self.batch([0])
        if isinstance(x, Tensor) and x.is_floating_point():
            return net
        if isinstance(x, Tensor):
            walk = copy.copy(self.walk)
            walk.casts_integers = True
            as_float = replace(net, walk=walk)
            if net._answers_alike(as_float, x):
                return as_float
        what = f"tensors of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"{self.name} takes {what}, which have no gradient to follow. DeepFool "
            "needs one floating point tensor; entropy, margin, BALD, EGL and CORE-SET "
            "accept any input that the net accepts."
        )

    def in_precision_of_X(self) -> TorchNet:
        """Return the net in float64 if the samples are, using a copy of the module."""
        X = self.walk.samples(self.pool, [0])
        is_double = getattr(X, "dtype", None) in (np.float64, torch.float64)
        if not is_double or not has_doubles(self.device):
            return self
        walk = copy.copy(self.walk)
        walk.dtype = torch.float64
        return replace(self, module=self.module.double(), walk=walk)

    def _answers_alike(self, other: TorchNet, x: Tensor) -> bool:
        with evaluation_mode(self.module), torch.no_grad():
            try:
                return torch.allclose(
                    self.module(x), self.module(other.batch([0])), rtol=1e-4
                )
            except (RuntimeError, ValueError, IndexError, TypeError):
                return False

    def logits(self, batch_size: int | None = None) -> Tensor:
        """Return the logits of all samples, shape (n_samples, n_classes)."""
        with evaluation_mode(self.module), torch.no_grad():
            batches = self.batches(self.batch_size(batch_size))
            return self.finite(torch.cat([self.module(x) for x in batches]))

    def proba(self, batch_size: int | None = None) -> np.ndarray:
        """Return class probabilities of shape (n_samples, n_classes)."""
        return in_double(self.logits(batch_size)).softmax(1).cpu().numpy()

    def finite(self, answers):
        """Return results for finite samples, one row each, if they are finite.

        Raises
        ------
        ValueError
            If they contain NaN or infinity.
        """
        check_outputs(answers, self.walk.module)
        return answers

    def features(
        self, batch_size: int | None = None, layer: str | nn.Module | None = None
    ) -> Tensor:
        """Return the input of the last linear layer, or the output of ``layer``.

        The result is flattened to shape (n_samples, n_features).
        """
        batch_size = self.batch_size(batch_size)
        seen: list[Tensor | None] = []
        if layer is None:
            hook = self._last_hidden().register_forward_pre_hook(
                lambda _, args, kwargs: seen.append(_rows(first_input(args, kwargs))),
                with_kwargs=True,
            )
        else:
            hook = self._layer(layer).register_forward_hook(
                lambda _, args, out: seen.append(_rows(first_output(out)))
            )
        features = []
        with hook, evaluation_mode(self.module), torch.no_grad():
            for x in self.batches(batch_size):
                n_rows = len(self.module(x))
                if not seen or seen[-1] is None or len(seen[-1]) != n_rows:
                    raise ValueError(
                        f"{layer=} gives no row for each sample in a forward pass of "
                        f"{self.name}. Name a layer that runs once per batch."
                    )
                features.append(seen[-1])
                seen.clear()
        return self.finite(torch.cat(features))

    def _last_hidden(self) -> nn.Linear:
        if self.linear is None:
            raise ValueError(
                f"{self.name} has no linear layer whose input could serve as features. "
                "Name a layer, such as layer='features'."
            )
        return self.linear

    def _layer(self, layer: str | nn.Module) -> nn.Module:
        """Find a layer by its name in the user's module, or check a given module."""
        layers = dict(self.module.get_submodule("module").named_modules())
        for name, module in layers.items():
            if layer is module or layer == name:
                return module
        raise ValueError(
            f"{layer=} is not in {self.name}. Its layers are {', '.join(layers)[2:]}."
        )

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """Transform samples from the net's input space back to that of the pool.

        Raises
        ------
        TypeError
            If a step of the Pipeline, or the net's dataset, cannot be inverted.
        """
        for name, step in reversed(self.walk.steps):
            if not _has_inverse(step):
                raise TypeError(
                    f"Step {name!r} ({type(step).__name__}) of the Pipeline has no "
                    "inverse_transform, so adversarial samples cannot be mapped back "
                    "to the Pipeline's input space. Add one, or apply the step to X "
                    "beforehand."
                )
            X = step.inverse_transform(X)
        return np.asarray(X)

    def check_dataset_keeps_samples(self) -> None:
        """Raise if the net's dataset changes samples, which cannot be undone."""
        n = min(8, len(self))
        X = self.walk.samples(self.pool, np.arange(n))
        x = self.batch(np.arange(n))
        if not isinstance(X, np.ndarray | Tensor):
            return
        # Not as_tensor, which warns of read-only arrays, as data frames have.
        X = (X if isinstance(X, Tensor) else torch.tensor(X)).to(x)
        if X.shape != x.shape or not torch.allclose(X, x, rtol=1e-5, atol=1e-6):
            raise TypeError(
                f"The dataset of the net ({self.walk.net.dataset.__name__}) changes "
                "its samples, and this cannot be undone, so a twin would go through it "
                "twice. Move the change into the module, or into a Pipeline step with "
                "inverse_transform."
            )


def _rows(out: Any) -> Tensor | None:
    """Copy and flatten the output of a layer, since later layers may work in place."""
    if not isinstance(out, Tensor) or not out.ndim:
        return None
    return (out.flatten(1) if out.ndim > 1 else out.unsqueeze(1)).clone()


def _on_part(function: Callable, net: TorchNet, part: Pool) -> Any:
    return function(net.of(part))


def _has_inverse(step) -> bool:
    # FunctionTransformer has an inverse_transform that does nothing without a function
    if hasattr(step, "inverse_func"):
        return step.inverse_func is not None or step.func is None
    return hasattr(step, "inverse_transform")

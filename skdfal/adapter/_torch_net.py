"""A fitted net as a strategy needs it: a module of logits, and batches to give it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skdfal._utils._torch import (
    HALVES,
    as_two_classes,
    choose_batch_size,
    evaluation_mode,
    first_output,
    map_tensors,
)
from skdfal.adapter._batches import Walk, lean_copy
from skdfal.adapter._find import (
    class_labels,
    fitted_within,
    is_learner,
    leads_to_net,
    members,
    nets_within,
)
from skdfal.adapter._outputs import Convention, output_convention
from skdfal.pool import Pool, as_pool

_SOFTMAX = {torch.softmax, torch.nn.functional.softmax, Tensor.softmax}

# Samples by which it is told whether the members of a Committee see the same.
_N_COMPARED = 64
# Samples that a classifier without a net is given at a time.
_ROWS_A_BLOCK = 4096


class _SoftmaxTap(TorchFunctionMode):
    """Remember the input of the last softmax, whose output may be the module's."""

    logits = probabilities = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in _SOFTMAX:
            self.logits = args[0] if args else kwargs["input"]
            self.probabilities = out
        return out


class LogitModule(nn.Module):
    """A net's module with its output turned into logits of shape (n, C), C >= 2.

    Differences of log-probabilities are differences of logits; where the module ends
    in a softmax, its input is read instead, which loses nothing where probabilities
    underflow. Outputs beyond the known classes are cut here, and nowhere else.

    Parameters
    ----------
    net : skorch net
        The batch goes through its ``infer``.
    convention : Convention
        What it returns.
    n_classes : int or None
        Known classes, the first of its outputs; None takes all.
    """

    def __init__(self, net, convention: Convention, n_classes: int | None) -> None:
        super().__init__()
        self.module = net.module_
        self.infer: Callable = net.infer
        self.net = net
        self.convention = convention
        self.n_classes = n_classes

    def forward(self, x: Any) -> Tensor:
        # A copy, since a layer may work in place; in the module's own precision.
        x = map_tensors(self._rounded, x)
        logits = self._all_logits(x)[:, : self.n_classes]
        return logits.float() if logits.dtype in HALVES else logits

    def _all_logits(self, x: Any) -> Tensor:
        if self.convention.kind == "logits":
            return as_two_classes(first_output(self.infer(x)))
        with _SoftmaxTap() as tap:
            proba = self.convention.nonlinearity(first_output(self.infer(x)))
        if tap.probabilities is proba:
            return tap.logits
        if proba.ndim == 1 or proba.shape[1] == 1:  # BCELoss: P(class 1)
            proba = proba.reshape(len(proba), 1)
            proba = torch.cat([1 - proba, proba], dim=1)
        return proba.clamp_min(torch.finfo(proba.dtype).tiny).log()  # never log 0

    def _rounded(self, x: Tensor) -> Tensor:
        dtype = next(
            (p.dtype for p in self.parameters() if p.is_floating_point()), None
        )
        is_half = dtype in HALVES and x.is_floating_point()
        return x.to(dtype) if is_half and x.dtype != dtype else x.clone()

    def double(self) -> LogitModule:
        """Return it in float64, on a copy of the module."""
        net = lean_copy(self.net)
        net.module_ = copy.deepcopy(self.module).double()
        return LogitModule(net, self.convention, self.n_classes)


class Consensus(nn.Module):
    """A committee as one classifier: the log of its members' mean probabilities."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        log_proba = torch.stack([m(x).log_softmax(1) for m in self.members])
        return log_proba.logsumexp(0) - np.log(len(self.members))

    def double(self) -> Consensus:
        """Return it in float64, on copies of the modules."""
        return Consensus([member.double() for member in self.members])


@dataclass(frozen=True)
class TorchNet:
    """A net, and the pool that it is to look at.

    Attributes
    ----------
    module : nn.Module
        Maps a batch to logits of shape (n, n_classes), n_classes >= 2.
    pool : Pool
        The samples, as the user has them.
    walk : Walk
        From samples to batches in the net's own input space.
    n_classes : int
        Number of logits.
    n_outputs : int
        Of the module, which may have some that are no classes.
    name : str
        Class of the user's module, for messages.
    linear : nn.Linear or None
        The last linear layer that a forward pass runs through.
    members : tuple of TorchNet
        Of a Committee; empty otherwise.
    """

    module: nn.Module
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
        """Where the module is."""
        return self.walk.device

    @property
    def rows(self) -> np.ndarray:
        """Numbers of the samples in the pool that all views stem from."""
        return getattr(self.pool, "indices", np.arange(len(self)))

    def of(self, pool: Pool) -> TorchNet:
        """Return the same net for other samples."""
        members = tuple(member.of(pool) for member in self.members)
        return replace(self, pool=pool, members=members)

    def batch(self, indices) -> Any:
        """Return the samples at ``indices`` as a batch for the module."""
        return self.walk.batch(self.pool, indices)

    def batches(self, batch_size: int) -> Iterator[Any]:
        """Yield all samples in order, ``batch_size`` at a time."""
        return self.walk.batches(self.pool, batch_size)

    def batch_size(self, given: int | None, with_graph: bool = False) -> int:
        """Return a batch size as given, or one for the memory that a sample needs."""
        if given is not None:
            return given
        x = self.batch([0])
        if not isinstance(x, Tensor):
            return 128
        return choose_batch_size(self.module, x, with_graph=with_graph)

    def for_attack(self) -> TorchNet:
        """Return the net with batches that can be perturbed.

        Raises
        ------
        TypeError
            If the batches are token numbers, or several inputs.
        """
        x = self.batch([0])
        if isinstance(x, Tensor) and x.is_floating_point():
            return self
        if isinstance(x, Tensor):
            walk = copy.copy(self.walk)
            walk.casts_integers = True
            as_float = replace(self, walk=walk)
            if self._answers_alike(as_float, x):
                return as_float
        what = f"tensors of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"{self.name} takes {what}, of which there is no gradient to follow. "
            "DeepFool needs one floating point tensor; entropy, margin, BALD, EGL "
            "and CORE-SET take what the net takes."
        )

    def in_precision_of_X(self) -> TorchNet:
        """Return the net in float64 if the samples are, on a copy of the module."""
        X = self.walk.samples(self.pool, [0])
        if getattr(X, "dtype", None) not in (np.float64, torch.float64):
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
        batch_size = self.batch_size(batch_size)
        with evaluation_mode(self.module), torch.no_grad():
            return torch.cat([self.module(x) for x in self.batches(batch_size)])

    def proba(self, batch_size: int | None = None) -> np.ndarray:
        """Return class probabilities of shape (n_samples, n_classes)."""
        return self.logits(batch_size).double().softmax(1).cpu().numpy()

    def features(
        self, batch_size: int | None = None, layer: str | nn.Module | None = None
    ) -> Tensor:
        """Return what goes into the last linear layer, or comes out of ``layer``.

        Flattened, of shape (n_samples, n_features).
        """
        batch_size = self.batch_size(batch_size)
        seen: list[Tensor] = []
        if layer is None:
            hook = self._last_hidden().register_forward_pre_hook(
                lambda _, args: seen.append(args[0].flatten(1))
            )
        else:
            hook = self._layer(layer).register_forward_hook(
                lambda _, args, out: seen.append(first_output(out).flatten(1))
            )
        features = []
        try:
            with evaluation_mode(self.module), torch.no_grad():
                for x in self.batches(batch_size):
                    n_rows = len(self.module(x))
                    if not seen or len(seen[-1]) != n_rows:
                        raise ValueError(
                            f"{layer=} gives no row for each sample in a forward pass "
                            f"of {self.name}. Name a layer that it runs once a batch."
                        )
                    features.append(seen[-1].clone())
                    seen.clear()
        finally:
            hook.remove()
        return torch.cat(features)

    def _last_hidden(self) -> nn.Linear:
        if self.linear is None:
            raise ValueError(
                f"{self.name} has no linear layer whose input could serve as features. "
                "Name a layer, such as layer='features'."
            )
        return self.linear

    def _layer(self, layer: str | nn.Module) -> nn.Module:
        """Find a layer by the name that it has in the user's module, or by itself."""
        layers = dict(self.module.module.named_modules())
        if layer in layers:
            return layers[layer]
        if any(layer is module for module in layers.values()):
            return layer
        raise ValueError(
            f"{layer=} is not in {self.name}. Its layers are {', '.join(layers)[2:]}."
        )

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """Bring samples from the net's input space back to that of the pool.

        Raises
        ------
        TypeError
            If a step of the Pipeline, or the net's dataset, has no way back.
        """
        for name, step in reversed(self.walk.steps):
            if not _has_inverse(step):
                raise TypeError(
                    f"Step {name!r} ({type(step).__name__}) of the Pipeline has no "
                    "inverse_transform, so adversarial samples cannot be brought back "
                    "to the Pipeline's input space. Give it one, or move the step "
                    "before the estimator."
                )
            X = step.inverse_transform(X)
        return np.asarray(X)

    def check_dataset_keeps_samples(self) -> None:
        """Raise where the net's dataset changes samples: there is no way back."""
        n = min(8, len(self))
        X = self.walk.samples(self.pool, np.arange(n))
        x = self.batch(np.arange(n))
        if not isinstance(X, np.ndarray | Tensor):
            return
        X = torch.as_tensor(X).to(x)
        if X.shape != x.shape or not torch.allclose(X, x, rtol=1e-5, atol=1e-6):
            raise TypeError(
                f"The dataset of the net ({self.walk.net.dataset.__name__}) changes "
                "its samples, and there is no way back from a batch to a sample, so "
                "that a twin would go through it twice. Do what it does in the module, "
                "or in a Pipeline step with inverse_transform."
            )


def torch_nets(estimator, X) -> list[TorchNet]:
    """Unwrap a fitted estimator into its nets, each with ``X`` as its pool.

    The list has one entry, but for a Committee whose members transform ``X``
    differently and so share no input space.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no skorch net at the end of it.
    ValueError
        If ``X`` is empty, or its first sample not finite or of a shape that the net
        cannot take.
    """
    found = nets_within(estimator)
    pool = as_pool(X)
    nets = [_probe(net, steps, pool, type(estimator).__name__) for steps, net in found]
    if len({net.n_classes for net in nets}) > 1:
        raise ValueError(
            "The members of the Committee have different numbers of classes: "
            f"{[net.n_classes for net in nets]}. Give all modules the same."
        )
    if len(nets) == 1 or not _see_the_same(nets):
        return nets
    consensus = Consensus([net.module for net in nets])
    return [replace(nets[0], module=consensus, linear=None, members=tuple(nets))]


def member_nets(estimator, X) -> list[TorchNet]:
    """Unwrap an estimator as :func:`torch_nets` does, a Committee into its members."""
    nets = torch_nets(estimator, X)
    return list(nets[0].members) or nets


def predict_proba(estimator, X, batch_size: int | None = None) -> np.ndarray:
    """Class probabilities of nets, or of any classifier that has them.

    A committee's are the mean over its members.

    Parameters
    ----------
    estimator : fitted estimator
        A net, what leads to nets, or any classifier.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        A column for each class that is known.
    """
    if leads_to_net(estimator):
        nets = torch_nets(estimator, X)
        return np.mean([net.proba(batch_size) for net in nets], axis=0)
    if members(estimator):
        return _mean_of_members(estimator, X, batch_size)
    within = fitted_within(estimator) if is_learner(estimator) else estimator
    check_is_fitted(within)
    pool = as_pool(X)
    blocks = [
        np.asarray(within.predict_proba(_block(pool, start)), dtype=float)
        for start in range(0, len(pool), _ROWS_A_BLOCK)
    ]
    return np.concatenate(blocks)


def _block(pool, start):
    return pool.take(np.arange(start, min(start + _ROWS_A_BLOCK, len(pool))))


def _mean_of_members(committee, X, batch_size) -> np.ndarray:
    """Mean over learners of which each may know other classes."""
    found = [predict_proba(learner, X, batch_size) for learner in members(committee)]
    labels = [
        class_labels(learner, proba.shape[1])
        for learner, proba in zip(members(committee), found, strict=True)
    ]
    known = np.unique(np.concatenate(labels))
    total = np.zeros((len(found[0]), len(known)))
    for proba, columns in zip(found, labels, strict=True):
        total[:, np.searchsorted(known, columns)] += proba / len(found)
    return total


def proba_of_classes(estimator, X, n_classes: int, batch_size=None) -> np.ndarray:
    """Probabilities of the classes with the codes 0, ..., ``n_classes`` - 1.

    Parameters
    ----------
    estimator : fitted estimator
        Trained on codes; it need not have seen all of them.
    X : pool or array-like of shape (n_samples, ...)
        Samples.
    n_classes : int
        Number of classes.
    batch_size : int, default=None
        Samples in one forward pass.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        0 for a class that a classifier without a net has never seen.

    Raises
    ------
    ValueError
        If a module has fewer outputs than there are classes.
    """
    proba = predict_proba(estimator, X, batch_size)
    labels = class_labels(estimator, proba.shape[1])
    if proba.shape[1] < n_classes and leads_to_net(estimator):
        raise ValueError(
            f"The module has {proba.shape[1]} outputs, but y has {n_classes} "
            f"classes. Give it {n_classes} outputs."
        )
    placed = np.zeros((len(proba), n_classes))
    is_known = labels < n_classes
    placed[:, labels[is_known].astype(int)] = proba[:, is_known]
    if not is_known.all():
        placed /= placed.sum(axis=1, keepdims=True)
    return placed


def hidden_features(estimator, X, batch_size: int | None = None, layer=None):
    """Features by :meth:`TorchNet.features`, (n, D); a Committee's side by side."""
    nets = member_nets(estimator, X)
    parts = [net.features(batch_size, layer).double().cpu() for net in nets]
    return torch.cat(parts, dim=1).numpy()


def _probe(net, steps: list, pool: Pool, outermost: str) -> TorchNet:
    """Check the net against its input by a forward pass of one sample, twice."""
    name = type(getattr(net.module_, "_orig_mod", net.module_)).__name__
    if is_regressor(net):
        raise TypeError(
            f"{outermost} is a regressor, and has no classes between which there "
            "could be a boundary. Use a classifier such as NeuralNetClassifier."
        )
    walk = Walk(net, steps)
    with evaluation_mode(walk.module), torch.no_grad():
        with _last_linear(walk.module) as linear:
            x, out = _first_pass(walk, pool, name)
        convention = output_convention(net, out, name)
        _check_output(out, name, convention.is_binary, len(pool), x)
        if not out.isfinite().all():
            raise ValueError(_not_finite(walk, x, name))
        module = LogitModule(walk.net, convention, _n_known_classes(net))
        n_classes = module(x).shape[1]
    n_outputs = max(2, out.shape[-1]) if out.ndim == 2 else 2
    last = linear[-1] if linear else None
    return TorchNet(module, pool, walk, n_classes, n_outputs, name, last)


def _first_pass(walk, pool, name):
    """Return the first sample, twice, and what the module answers.

    Two rows, since a convolution takes a single 3-d array for one unbatched image.
    Integers go in as they are, and as floats if the module cannot take them so.
    """
    x = walk.batch(pool, [0, 0])
    try:
        return x, _raw_output(walk, x)
    except _CANNOT_TAKE as exc:
        if isinstance(x, Tensor) and not x.is_floating_point():
            walk.casts_integers = True
            x = walk.batch(pool, [0, 0])
            try:
                return x, _raw_output(walk, x)
            except _CANNOT_TAKE:
                pass
        shape = (len(pool), *x.shape[1:]) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"{name} cannot take X of shape {shape}: {exc} Pass X as in fit, "
            "(n_samples, n_channels, height, width) for a CNN."
        ) from exc


_CANNOT_TAKE = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)


def _raw_output(walk, x):
    dtype = next(
        (p.dtype for p in walk.module.parameters() if p.is_floating_point()), None
    )

    def as_module(part):
        is_half = part.is_floating_point() and dtype in HALVES
        return part.to(dtype) if is_half else part.clone()

    return first_output(walk.net.infer(map_tensors(as_module, x)))


def _not_finite(walk, x, name: str) -> str:
    """Say why a finite sample has no finite answer."""
    parameters = list(walk.module.parameters())
    if any(p.dtype in HALVES for p in parameters) and all(
        p.isfinite().all() for p in parameters
    ):
        net = lean_copy(walk.net)
        net.module_ = copy.deepcopy(walk.module).float()
        if first_output(net.infer(map_tensors(torch.clone, x))).isfinite().all():
            return (
                f"{name} overflows in its half precision for a finite X, while in "
                "float32 it does not. Scale X, or use bfloat16 or float32."
            )
    return (
        f"{name} returns NaN or infinity for a finite X: its training has "
        "diverged. Lower the learning rate or scale X, and fit again."
    )


def _check_output(out, name: str, is_binary: bool, n_samples: int, x) -> None:
    shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    of_x = (n_samples, *x.shape[1:]) if isinstance(x, Tensor) else type(x).__name__
    fact = f"{name} returns shape {shape} for 2 samples of X of shape {of_x}"
    if not isinstance(out, Tensor) or out.ndim not in (1, 2) or len(out) != 2:
        raise ValueError(
            f"{fact}; expected (n_samples, n_classes). Flatten what is left over, or "
            "check the number of dimensions of X."
        )
    if not is_binary and (out.ndim == 1 or out.shape[1] < 2):
        raise ValueError(
            f"{fact}: one class only, so there is no decision boundary. Give the "
            "module at least two classes, or use NeuralNetBinaryClassifier."
        )


def _n_known_classes(net) -> int | None:
    """How many outputs are classes, as far as the net was told, or None.

    ``classes_`` are what it was told or, without that, the codes it was trained on.
    """
    try:
        classes = np.asarray(net.classes_)
    except AttributeError:
        return None
    if not classes.size or classes.dtype.kind not in "iu" or classes.min() < 0:
        return None
    return max(2, int(classes.max()) + 1)


@contextmanager
def _last_linear(module: nn.Module) -> Iterator[list[nn.Linear]]:
    """Collect the linear layers in the order in which a forward pass runs them."""
    seen: list[nn.Linear] = []
    hooks = [
        m.register_forward_hook(lambda layer, *_: seen.append(layer))
        for m in module.modules()
        if isinstance(m, nn.Linear)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _see_the_same(nets: list[TorchNet]) -> bool:
    """Whether the members of a Committee turn samples into the same batches."""
    n = len(nets[0])
    some = np.unique(np.linspace(0, n - 1, min(n, _N_COMPARED)).astype(int))
    first, *others = [net.batch(some) for net in nets]
    return all(_same(first, other) for other in others)


def _same(x, z) -> bool:
    if isinstance(x, Mapping) and isinstance(z, Mapping):
        return x.keys() == z.keys() and all(_same(x[name], z[name]) for name in x)
    if not isinstance(x, Tensor) or not isinstance(z, Tensor):
        return x is z
    return x.shape == z.shape and x.dtype == z.dtype and torch.equal(x, z.to(x.device))


def _has_inverse(step) -> bool:
    # FunctionTransformer has an inverse_transform that does nothing without a function
    if hasattr(step, "inverse_func"):
        return step.inverse_func is not None or step.func is None
    return hasattr(step, "inverse_transform")

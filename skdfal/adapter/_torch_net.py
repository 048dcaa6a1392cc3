"""From a fitted estimator to what a strategy needs: a module of logits and its input.

The one file that knows what a skorch net, a Pipeline, a modAL learner or a search is.
They are recognised by what they have, outermost first, down to the nets.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skdfal._utils._torch import as_two_classes, evaluation_mode

_SOFTMAX = {torch.softmax, torch.nn.functional.softmax, Tensor.softmax}


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

    ``output`` says what the module returns: "logits", or "probabilities" (the
    convention of skorch for NLLLoss and BCELoss). Differences of log-probabilities are
    differences of logits; where the module ends in a softmax, its input is read
    instead, which loses nothing where probabilities underflow.
    """

    def __init__(self, module: nn.Module, output: str) -> None:
        super().__init__()
        self.module = module
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        if self.output == "logits":
            return as_two_classes(_first(self.module(x)))
        with _SoftmaxTap() as tap:
            proba = _first(self.module(x))
        if tap.probabilities is proba:
            return tap.logits
        if proba.ndim == 1 or proba.shape[1] == 1:  # BCELoss: P(class 1)
            proba = proba.reshape(len(proba), 1)
            proba = torch.cat([1 - proba, proba], dim=1)
        return proba.clamp_min(torch.finfo(proba.dtype).tiny).log()  # never log 0


class Consensus(nn.Module):
    """A committee as one classifier: the log of its members' mean probabilities."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        log_proba = torch.stack([m(x).log_softmax(1) for m in self.members])
        return log_proba.logsumexp(0) - np.log(len(self.members))


@dataclass(frozen=True)
class TorchNet:
    """A net and the samples to score, in the net's own input space.

    Attributes
    ----------
    module : nn.Module
        Maps a batch to logits of shape (n, n_classes), n_classes >= 2.
    X : ndarray or Tensor of shape (n_samples, ...)
        The samples after the steps of a Pipeline, where there is one.
    device, dtype : torch.device, torch.dtype
        Of the module's parameters.
    n_classes : int
        Number of logits.
    name : str
        Class of the user's module, for messages.
    steps : list of (name, transformer)
        What came before the net in a Pipeline.
    linear : nn.Linear or None
        The last linear layer that a forward pass runs through.
    members : list of TorchNet
        Of a Committee; empty otherwise.
    """

    module: nn.Module
    X: Any
    device: torch.device
    dtype: torch.dtype
    n_classes: int
    name: str
    steps: list
    linear: nn.Linear | None
    members: tuple = ()

    def __len__(self) -> int:
        return len(self.X)

    def take(self, indices) -> TorchNet:
        """Return the same net with fewer samples."""
        members = tuple(m.take(indices) for m in self.members)
        return replace(self, X=self.X[indices], members=members)

    def in_precision_of_X(self) -> TorchNet:
        """Return the net in float64 if ``X`` is, on a copy of the module."""
        if self.X.dtype not in (np.float64, torch.float64):
            return self
        module = copy.deepcopy(self.module).double()
        return replace(self, module=module, dtype=torch.float64)

    def batch(self, indices) -> Tensor:
        """Return the samples at ``indices`` as a tensor for the module."""
        x = self.X[indices]
        if not isinstance(x, Tensor):
            x = np.ascontiguousarray(x)
            x = torch.from_numpy(x if x.flags.writeable else x.copy())
        return x.to(self.device, self.dtype)

    def batches(self, batch_size: int) -> Iterator[Tensor]:
        """Yield all samples in order, ``batch_size`` at a time."""
        for start in range(0, len(self), batch_size):
            yield self.batch(slice(start, start + batch_size))

    def logits(self, batch_size: int) -> Tensor:
        """Return the logits of all samples, shape (n_samples, n_classes)."""
        with evaluation_mode(self.module), torch.no_grad():
            return torch.cat([self.module(x) for x in self.batches(batch_size)])

    def proba(self, batch_size: int) -> np.ndarray:
        """Return class probabilities of shape (n_samples, n_classes)."""
        return self.logits(batch_size).double().softmax(1).cpu().numpy()

    def features(self, batch_size: int, layer: str | nn.Module | None = None) -> Tensor:
        """Return what goes into the last linear layer, or comes out of ``layer``.

        Flattened, of shape (n_samples, n_features).
        """
        seen: list[Tensor] = []
        if layer is None:
            hook = self._last_hidden().register_forward_pre_hook(
                lambda _, args: seen.append(args[0].flatten(1))
            )
        else:
            hook = self._layer(layer).register_forward_hook(
                lambda _, args, out: seen.append(_first(out).flatten(1))
            )
        features = []
        try:
            with evaluation_mode(self.module), torch.no_grad():
                for x in self.batches(batch_size):
                    self.module(x)
                    if not seen or len(seen[-1]) != len(x):
                        raise ValueError(
                            f"{layer=} gives no row a sample in a forward pass of "
                            f"{self.name}. Name a layer that it runs once a batch."
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
        """Bring samples from the net's input space back to the Pipeline's."""
        for name, step in reversed(self.steps):
            if not _has_inverse(step):
                raise TypeError(
                    f"Step {name!r} ({type(step).__name__}) of the Pipeline has no "
                    "inverse_transform, so adversarial samples cannot be brought back "
                    "to the Pipeline's input space. Give it one, or move the step "
                    "before the estimator."
                )
            X = step.inverse_transform(X)
        return np.asarray(X)


def torch_nets(estimator, X) -> list[TorchNet]:
    """Unwrap a fitted estimator into its nets, each with ``X`` as that net sees it.

    The list has one entry, but for a Committee whose members transform ``X``
    differently and so share no input space.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no skorch net at the end of it.
    ValueError
        If ``X`` is empty, not finite, or of a shape that the net cannot take.
    """
    nets = [
        _probe(net, steps, X_in, type(estimator).__name__)
        for steps, net, X_in in _unwrap(estimator, X, type(estimator).__name__)
    ]
    if len({net.n_classes for net in nets}) > 1:
        raise ValueError(
            "The members of the Committee have different numbers of classes: "
            f"{[net.n_classes for net in nets]}. Give all modules the same."
        )
    if len(nets) == 1 or not all(_same(net.X, nets[0].X) for net in nets[1:]):
        return nets
    consensus = Consensus([net.module for net in nets])
    return [replace(nets[0], module=consensus, linear=None, members=tuple(nets))]


def member_nets(estimator, X) -> list[TorchNet]:
    """Unwrap an estimator as :func:`torch_nets` does, a Committee into its members."""
    nets = torch_nets(estimator, X)
    return list(nets[0].members) or nets


def predict_proba(estimator, X, batch_size: int) -> np.ndarray:
    """Class probabilities, (n, C), of nets or of any classifier that has them.

    A committee's are the mean over its members.
    """
    if _has_net(estimator) or not hasattr(type(estimator), "predict_proba"):
        nets = torch_nets(estimator, X)
        return np.mean([net.proba(batch_size) for net in nets], axis=0)
    for learner in getattr(estimator, "learner_list", [estimator]):
        is_modal = hasattr(learner, "X_training")
        check_is_fitted(learner.estimator if is_modal else learner)
    return np.asarray(estimator.predict_proba(X), dtype=float)


def hidden_features(estimator, X, batch_size: int, layer=None) -> np.ndarray:
    """Features by :meth:`TorchNet.features`, (n, D); a Committee's side by side."""
    nets = member_nets(estimator, X)
    parts = [net.features(batch_size, layer).double().cpu() for net in nets]
    return torch.cat(parts, dim=1).numpy()


def class_labels(estimator, n_classes: int) -> np.ndarray:
    """Return what ``predict`` answers for each column of :func:`predict_proba`.

    A net answers the number of the column: its ``classes_`` are only those that it
    saw in training.
    """
    if is_net(estimator):
        return np.arange(n_classes)
    if hasattr(estimator, "steps"):
        return class_labels(estimator.steps[-1][1], n_classes)
    if hasattr(estimator, "best_estimator_"):
        return class_labels(estimator.best_estimator_, n_classes)
    if hasattr(estimator, "learner_list"):
        if _has_net(estimator):
            return class_labels(estimator.learner_list[0], n_classes)
    elif hasattr(estimator, "X_training"):
        return class_labels(estimator.estimator, n_classes)
    return np.asarray(estimator.classes_)


def labeled_samples(estimator):
    """Return the samples that a modAL learner or committee was taught, or None."""
    X = getattr(estimator, "X_training", None)
    learners = getattr(estimator, "learner_list", None)
    if X is None and learners:
        return getattr(learners[0], "X_training", None)
    return X


def is_net(estimator) -> bool:
    """Whether an estimator is a skorch net, initialized or not."""
    return hasattr(estimator, "get_iterator") and hasattr(estimator, "initialize")


def wants_float_targets(estimator) -> bool:
    """Whether the net in ``estimator``, fitted or not, has a binary criterion."""
    while not is_net(estimator):
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator"):
            estimator = estimator.estimator
        else:
            return False
    loss = estimator.criterion
    loss = loss if isinstance(loss, type) else type(loss)
    return issubclass(loss, nn.BCEWithLogitsLoss | nn.BCELoss)


def _has_net(estimator) -> bool:
    """Whether there is a skorch net somewhere inside, fitted or not."""
    if is_net(estimator):
        return True
    if hasattr(estimator, "learner_list"):
        return any(_has_net(learner) for learner in estimator.learner_list)
    if hasattr(estimator, "steps"):
        return not estimator.steps or _has_net(estimator.steps[-1][1])
    inner = getattr(estimator, "estimator", None)
    return inner is not None and _has_net(inner)


def _unwrap(estimator, X, outermost: str) -> list[tuple[list, Any, Any]]:
    """List (pipeline steps, net, transformed X) of every net within ``estimator``."""
    if isinstance(estimator, nn.Module) or isinstance(estimator, type):
        raise TypeError(
            f"{outermost} is not a fitted skorch net. Wrap the module in "
            "skorch.NeuralNetClassifier and fit it, or call deepfool(module, x)."
        )
    if hasattr(estimator, "module_"):
        return [([], estimator, X)]
    if is_net(estimator):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' "
            "with labelled samples before a query."
        )
    if hasattr(estimator, "steps"):
        return _unwrap_pipeline(estimator, X, outermost)
    if hasattr(estimator, "learner_list"):
        return [
            found
            for learner in estimator.learner_list
            for found in _unwrap(learner, X, outermost)
        ]
    for inner in ("best_estimator_", "estimator_"):
        if hasattr(estimator, inner):
            return _unwrap(getattr(estimator, inner), X, outermost)
    if hasattr(estimator, "query_strategy") and hasattr(estimator, "X_training"):
        return _unwrap(estimator.estimator, X, outermost)
    if isinstance(getattr(estimator, "estimator", ""), BaseEstimator | None):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' "
            "with labelled samples before a query."
        )
    raise TypeError(
        f"{outermost} is not a torch net: expected a fitted skorch net (such as "
        "NeuralNetClassifier), a Pipeline that ends in one, or a modAL learner or "
        "committee around them."
    )


def _unwrap_pipeline(pipeline, X, outermost: str) -> list[tuple[list, Any, Any]]:
    if not pipeline.steps:
        raise TypeError(f"{outermost} has no steps: expected a skorch net at its end.")
    *before, (_, last) = pipeline.steps
    if isinstance(last, str) or last is None:
        raise TypeError(f"{outermost} ends in {last!r} rather than in a skorch net.")
    _unwrap(last, None, outermost)  # not fitted or not a net: say so before any work
    steps = [
        (name, step)
        for name, step in before
        if step is not None
        and step != "passthrough"
        # imbalanced-learn's samplers act on fit only
        and not (hasattr(step, "fit_resample") and type(pipeline) is not Pipeline)
    ]
    if X is not None:
        for _, step in steps:
            X = step.transform(X)
    return [(steps + inner, net, Z) for inner, net, Z in _unwrap(last, X, outermost)]


def _probe(net, steps: list, X, outermost: str) -> TorchNet:
    """Check the input against the net by a forward pass of one sample, twice."""
    module = net.module_
    name = type(module).__name__
    device, dtype = _device_and_dtype(net)
    if is_regressor(net):
        raise TypeError(
            f"{outermost} is a regressor, and has no classes between which there "
            "could be a boundary. Use a classifier such as NeuralNetClassifier."
        )
    X = _check_X(X)
    _check_range(X, dtype)
    logits = LogitModule(module, _output_convention(net))
    found = TorchNet(logits, X, device, dtype, 0, name, steps, None)
    # Two rows, since a convolution takes a single 3-d array for one unbatched image.
    x = found.batch(slice(0, 1))
    with evaluation_mode(module), torch.no_grad(), _last_linear(module) as linear:
        try:
            out = _first(module(torch.cat([x, x])))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as exc:
            raise ValueError(
                f"{name} cannot take X of shape {tuple(X.shape)}: {exc} Pass X as in "
                "fit, (n_samples, n_channels, height, width) for a CNN."
            ) from exc
    _check_output(out, name, is_binary=_is_binary(net), X=X)
    if not out.isfinite().all():
        raise ValueError(
            f"{name} returns NaN or infinity for a finite X: its training has "
            "diverged. Lower the learning rate or scale X, and fit again."
        )
    if (out < 0).any():  # no probabilities: a log-softmax under a plain NeuralNet
        logits.output = "logits"
    n_classes = 2 if out.ndim == 1 or out.shape[1] == 1 else out.shape[1]
    return replace(found, n_classes=n_classes, linear=linear[-1] if linear else None)


def _check_X(X):
    """Return X as a numeric array or tensor, not empty and finite."""
    if isinstance(X, Tensor):
        X = X.detach()
        if X.layout != torch.strided or X.is_meta:
            raise TypeError("X is a sparse or meta tensor; pass a dense one with data.")
        if X.is_complex() or X.dtype == torch.bool:
            raise ValueError(f"X of dtype {X.dtype} should be of real numbers.")
        if not len(X.shape) or not len(X):
            raise ValueError(
                f"Found tensor with 0 sample(s) (shape={tuple(X.shape)}) while a "
                "minimum of 1 is required."
            )
        if X.is_floating_point() and not X.isfinite().all():
            raise ValueError("Input X contains NaN or infinity.")
    else:
        if hasattr(X, "toarray"):
            X = X.toarray()
        X = check_array(
            X, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="X"
        )
        if X.dtype.kind not in "biuf":
            raise ValueError(f"X of dtype {X.dtype} should be of real numbers.")
        if X.dtype.kind == "f" and X.dtype.itemsize > 8:
            X = X.astype(np.float64)
        X = X.astype(X.dtype.newbyteorder("="), copy=False)
    if X.ndim < 2:
        raise ValueError(
            f"Expected X of shape (n_samples, ...), got shape {tuple(X.shape)}. "
            "For a single sample use X[None]."
        )
    return X


def _check_range(X, dtype: torch.dtype) -> None:
    """Raise where finite values overflow in the precision of the net."""
    largest = torch.finfo(dtype).max
    is_wider = X.dtype in (np.float64, torch.float64) and dtype != torch.float64
    if is_wider and not -largest <= X.min() <= X.max() <= largest:
        raise ValueError(f"X has values beyond {largest:.2g}, the range of {dtype}.")


def _check_output(out, name: str, is_binary: bool, X) -> None:
    shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    fact = f"{name} returns shape {shape} for 2 samples of X of shape {tuple(X.shape)}"
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


def _is_binary(net) -> bool:
    loss = getattr(net.criterion_, "_orig_mod", net.criterion_)
    return isinstance(loss, nn.BCEWithLogitsLoss | nn.BCELoss)


def _output_convention(net) -> str:
    """What the module returns, by skorch's conventions for its criterion."""
    loss = getattr(net.criterion_, "_orig_mod", net.criterion_)
    return "probabilities" if isinstance(loss, nn.NLLLoss | nn.BCELoss) else "logits"


def _device_and_dtype(net) -> tuple[torch.device, torch.dtype]:
    for parameter in net.module_.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return torch.device(net.device or "cpu"), torch.get_default_dtype()


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


def _first(out):
    """Return the first of several outputs, the one that skorch predicts from."""
    return out[0] if isinstance(out, tuple) else out


def _same(X, Z) -> bool:
    if X is Z:
        return True
    if type(X) is not type(Z) or X.shape != Z.shape:
        return False
    return bool((X == Z).all())


def _has_inverse(step) -> bool:
    # FunctionTransformer has an inverse_transform that does nothing without a function
    if hasattr(step, "inverse_func"):
        return step.inverse_func is not None or step.func is None
    return hasattr(step, "inverse_transform")

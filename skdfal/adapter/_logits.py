"""A net's module as a module that returns logits."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skdfal._utils._torch import (
    HALVES,
    as_two_classes,
    first_float,
    first_output,
    map_tensors,
)
from skdfal.adapter._batches import lean_copy
from skdfal.adapter._outputs import Convention
from skdfal.adversarial import AffineForm, affine_form
from skdfal.nets import RestartingClassifier

# `infer` methods that only send a batch through the module. The second also removes a
# last axis of size one, the third takes the logits from an object that holds them.
_PLAIN_PASSES = {
    NeuralNet.infer,
    NeuralNetBinaryClassifier.infer,
    RestartingClassifier.infer,
}
# A logit that is smaller than another by this much: its probability is 0.
_OUT_OF_REACH = 1e30
_SOFTMAX = {torch.softmax, torch.nn.functional.softmax, Tensor.softmax}


class _SoftmaxTap(TorchFunctionMode):
    """Record the input of the last softmax, whose output may be the module's."""

    logits = probabilities = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in _SOFTMAX:
            self.logits = args[0] if args else kwargs["input"]
            self.probabilities = out
        return out


def as_module_takes(module: nn.Module, x: Any) -> Any:
    """Return a copy of a batch, since a layer may work in place.

    For a module of half precision, samples are rounded to its precision.
    """
    weights = first_float(module)
    dtype = None if weights is None else weights.dtype

    def copied(part: Tensor) -> Tensor:
        if dtype in HALVES and part.is_floating_point():
            return part.to(dtype, copy=True)
        return part.clone()

    return map_tensors(copied, x)


class LogitModule(nn.Module):
    """A net's module with its output turned into logits of shape (n, C), C >= 2.

    Differences of log-probabilities are differences of logits. If the module ends in a
    softmax, its input is read instead, so nothing is lost when probabilities underflow.
    Outputs beyond the known classes are removed here, and nowhere else.

    Parameters
    ----------
    net : skorch net
        Net whose ``infer`` is applied to the batch.
    convention : Convention
        Meaning of the module's output.
    n_classes : int or None
        Number of known classes, the first of its outputs. If None, all outputs are
        classes.
    threshold : float, default=0.5
        Probability above which the estimator predicts class 1 of two.
    log_odds : float, default=0.0
        Log-odds of class 1 at which the logits of two classes are equal. With 0, their
        softmax is ``predict_proba``.
    """

    def __init__(
        self,
        net,
        convention: Convention,
        n_classes: int | None,
        threshold: float = 0.5,
        log_odds: float = 0.0,
    ) -> None:
        super().__init__()
        self.module = net.module_
        self.infer: Callable = net.infer
        self.net = net
        self.convention = convention
        self.n_classes = n_classes
        self.threshold = threshold
        self.log_odds = log_odds

    def forward(self, x: Any) -> Tensor:
        logits = self._all_logits(as_module_takes(self.module, x))[:, : self.n_classes]
        logits = logits.float() if logits.dtype in HALVES else logits
        # A class masked by -inf is never predicted; this way, no difference is NaN.
        lowest = logits.detach().amax(1, keepdim=True) - _OUT_OF_REACH
        return self._shifted(torch.maximum(logits, lowest))

    def _shifted(self, f: Tensor) -> Tensor:
        """Lower the logit of class 1 by the log-odds."""
        return f - f.new_tensor([0.0, self.log_odds]) if self.log_odds else f

    def of_decision(self) -> LogitModule:
        """Return the module whose largest logit is the class that ``predict`` returns.

        Raises
        ------
        ValueError
            If the threshold puts all samples into one class.
        """
        threshold = self.threshold
        if threshold == 0.5:
            return self
        if not 0 < threshold < 1:
            raise ValueError(
                f"{threshold=} puts all samples into one class, so there is no "
                "decision boundary. Set a threshold between 0 and 1."
            )
        log_odds = math.log(threshold / (1 - threshold))
        return self._with(self.net, log_odds)

    def _with(self, net, log_odds: float) -> LogitModule:
        given = self.convention, self.n_classes, self.threshold, log_odds
        return LogitModule(net, *given)

    def _answer(self, x: Any) -> Tensor:
        out = first_output(self.infer(x))
        if out.ndim == 1 and not self.convention.is_binary:
            out = out.unsqueeze(0)  # a lone sample whose axis was squeezed away
        return out

    def _all_logits(self, x: Any) -> Tensor:
        if self.convention.kind == "logits":
            return as_two_classes(self._answer(x))
        with _SoftmaxTap() as tap:
            proba = self.convention.nonlinearity(self._answer(x))
        if tap.probabilities is proba:
            return tap.logits
        if proba.ndim == 1 or proba.shape[1] == 1:  # BCELoss: P(class 1)
            proba = proba.reshape(len(proba), 1)
            proba = torch.cat([1 - proba, proba], dim=1)
        return proba.clamp_min(torch.finfo(proba.dtype).tiny).log()  # never log 0

    def affine_form(self) -> AffineForm | None:
        """Return the logits as ``W x + b`` if they certainly are, otherwise None."""
        layers = self.module
        if self.convention.kind == "probabilities" and _ends_in_softmax(layers):
            layers = layers[:-1]
        elif self.convention.kind != "logits":
            return None
        form = affine_form(layers)
        if form is None or type(self.net).infer not in _PLAIN_PASSES:
            return None
        W, b = form.W[: self.n_classes], form.b[: self.n_classes]
        return AffineForm(W, self._shifted(b))

    def double(self) -> LogitModule:
        """Return this module in float64, as a copy."""
        net = lean_copy(self.net)
        net.module_ = copy.deepcopy(self.module).double()
        return self._with(net, self.log_odds)


def _ends_in_softmax(module: nn.Module) -> bool:
    """Whether this is a ``Sequential`` that ends in a softmax, both without hooks."""
    if type(module) is not nn.Sequential or len(module) < 2:
        return False
    last = module[-1]
    if any(m._forward_hooks or m._forward_pre_hooks for m in (module, last)):
        return False
    return type(last) is nn.Softmax and last.dim in (1, -1)


class Consensus(nn.Module):
    """A committee as one classifier: the log of its members' mean probabilities."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def of_decision(self) -> Consensus:
        """Return this module: its members' thresholds play no role in a mean."""
        return self

    def affine_form(self) -> None:
        """Return None: a mean of probabilities is not affine."""

    def forward(self, x: Tensor) -> Tensor:
        log_proba = torch.stack([m(x).log_softmax(1) for m in self.members])
        return log_proba.logsumexp(0) - np.log(len(self.members))

    def double(self) -> Consensus:
        """Return this module in float64, with copies of its members."""
        return Consensus([member.double() for member in self.members])

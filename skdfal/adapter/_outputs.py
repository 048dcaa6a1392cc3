"""What a module returns according to its net: logits or probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from skdfal._utils._torch import uncompiled
from skdfal._utils._warnings import warn_caller
from skdfal.nets import RestartingClassifier

_ROUNDING = 1e-3  # of a sum of probabilities, in half precision


class Convention(NamedTuple):
    """How to interpret the output of a module.

    Attributes
    ----------
    kind : {"logits", "probabilities"}
        What ``nonlinearity`` turns the output into.
    nonlinearity : callable
        Function from output to probabilities, for the second kind; the identity if the
        module returns them itself.
    is_binary : bool
        Whether one output represents two classes.
    """

    kind: str
    nonlinearity: Callable[[Tensor], Tensor]
    is_binary: bool

    def tells_classes(self, out: Tensor) -> bool:
        """Whether a binary net has one output, or several of which one is true."""
        is_one = out.ndim == 1 or out.shape[1] == 1
        has_proba = self.kind == "probabilities"
        return is_one or (has_proba and _are_probabilities(self.nonlinearity(out)))


def output_convention(net, out, name: str) -> Convention:
    """Infer the convention from criterion, nonlinearity for predictions, and an output.

    Parameters
    ----------
    net : skorch net
        Fitted net.
    out : Tensor
        Output of its module for two samples.
    name : str
        Class name of the module, for messages.

    Returns
    -------
    convention : Convention
        Convention whose probabilities equal those of the net's ``predict_proba``.

    Warns
    -----
    UserWarning
        If the module returns probabilities although the criterion expects logits, or
        the other way round, or if this is unknown and they are treated as what they
        look like.
    """
    loss = uncompiled(net.criterion_)
    is_binary = isinstance(loss, nn.BCEWithLogitsLoss | nn.BCELoss)
    if not isinstance(out, Tensor) or out.ndim not in (1, 2):
        return Convention("logits", _identity, is_binary)  # rejected later, by shape
    if _takes_logarithm(net, loss) and not _are_probabilities(out):
        warn_caller(
            f"{name} returns numbers that are no probabilities, but "
            f"{type(net).__name__} takes their logarithm for NLLLoss, so the training "
            "is of no use. Set criterion=torch.nn.CrossEntropyLoss for logits, or end "
            "the module in a softmax.",
            UserWarning,
        )
    if net.predict_nonlinearity != "auto":
        return _custom(net, out, is_binary)
    if isinstance(loss, nn.NLLLoss | nn.BCELoss):
        # Negative numbers come from a log-softmax under a plain NeuralNet.
        kind = "logits" if (out < 0).any() else "probabilities"
        return Convention(kind, _identity, is_binary)
    if isinstance(loss, nn.CrossEntropyLoss) and _are_probabilities(out):
        warn_caller(
            f"{name} returns probabilities under CrossEntropyLoss, which expects "
            "logits: it is trained and evaluated on the softmax of a softmax. Remove "
            "the last softmax from the module, or use NLLLoss.",
            UserWarning,
        )
    is_known = isinstance(loss, nn.CrossEntropyLoss | nn.BCEWithLogitsLoss)
    if not is_known and _are_probabilities(out):
        warn_caller(
            f"{name} returns numbers that sum to 1, but it is not known whether "
            f"{type(loss).__name__} expects probabilities or logits. They are treated "
            "as probabilities; set predict_nonlinearity of the net to settle this.",
            UserWarning,
        )
        return Convention("probabilities", _identity, is_binary)
    return Convention("logits", _identity, is_binary)


def _takes_logarithm(net, loss) -> bool:
    """Whether the net passes the logarithm of the module's output to the loss."""
    own = getattr(type(net), "get_loss", None)
    of_skorch = NeuralNetClassifier.get_loss, RestartingClassifier.get_loss
    return isinstance(loss, nn.NLLLoss) and own in of_skorch


def _custom(net, out: Tensor, is_binary: bool) -> Convention:
    """Use the net's own nonlinearity, if it returns probabilities."""
    nonlinearity = net.predict_nonlinearity or _identity
    proba = nonlinearity(out)
    if isinstance(proba, Tensor) and _are_probabilities(proba):
        return Convention("probabilities", nonlinearity, is_binary)
    return Convention("logits", _identity, is_binary)


def _are_probabilities(p: Tensor) -> bool:
    """Whether each row is a distribution over two or more classes."""
    if p.ndim != 2 or p.shape[1] < 2 or not p.is_floating_point():
        return False
    total = p.float().sum(1)
    is_one = torch.allclose(total, torch.ones_like(total), atol=_ROUNDING)
    return bool((p >= 0).all()) and is_one


def _identity(out: Tensor) -> Tensor:
    return out

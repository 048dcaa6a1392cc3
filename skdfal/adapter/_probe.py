"""From a fitted estimator to its nets, each tested on the first sample of the pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import is_regressor
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skdfal._utils._torch import evaluation_mode, first_output, uncompiled
from skdfal._utils._warnings import warn_caller
from skdfal.adapter._batches import Walk
from skdfal.adapter._check import in_short
from skdfal.adapter._find import decision_threshold, nets_within
from skdfal.adapter._logits import Consensus, LogitModule, as_module_takes
from skdfal.adapter._not_finite import check_outputs
from skdfal.adapter._outputs import output_convention
from skdfal.adapter._torch_net import TorchNet
from skdfal.pool import Pool, as_pool, engine_for

# Number of samples used to test whether Committee members get the same input.
_N_COMPARED = 64


def torch_nets(estimator, X) -> list[TorchNet]:
    """Extract the nets from a fitted estimator, each with ``X`` as its pool.

    The list has one entry, unless the members of a Committee transform ``X``
    differently and therefore share no input space.

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
    engine_for(pool)  # raises if the workers cannot be reached, before any reading
    is_one = len(found) == 1
    nets = [
        _probe(
            net,
            steps,
            pool,
            type(estimator).__name__,
            decision_threshold(estimator if is_one else net),
        )
        for steps, net in found
    ]
    if len({net.n_classes for net in nets}) > 1:
        raise ValueError(
            "The members of the Committee have different numbers of classes: "
            f"{[net.n_classes for net in nets]}. Give all modules the same number."
        )
    if len(nets) == 1 or not _see_the_same(nets):
        return nets
    consensus = Consensus([net.module for net in nets])
    return [replace(nets[0], module=consensus, linear=None, members=tuple(nets))]


def member_nets(estimator, X) -> list[TorchNet]:
    """Extract nets like :func:`torch_nets`, but split a Committee into its members."""
    nets = torch_nets(estimator, X)
    return list(nets[0].members) or nets


def _probe(net, steps: list, pool: Pool, outermost: str, threshold) -> TorchNet:
    """Check the net against its input with a forward pass of one sample, twice."""
    name = type(uncompiled(net.module_)).__name__
    if is_regressor(net):
        raise TypeError(
            f"{outermost} is a regressor, so it has no classes and no decision "
            "boundary. Use a classifier such as NeuralNetClassifier."
        )
    walk = Walk(net, steps)
    _check_module(walk, name)
    with evaluation_mode(walk.module), torch.no_grad():
        with _last_linear(walk.module) as linear:
            x, out = _first_pass(walk, pool, name)
        convention = output_convention(net, out, name)
        _check_output(out, name, convention, len(pool), x)
        n_known = _n_known_classes(net)
        module = LogitModule(walk.net, convention, n_known, threshold)
        logits = module(x)
        check_outputs(logits[:1], walk.module)
        _warn_of_cut(net, out, n_known, name)
    n_outputs = max(2, out.shape[-1]) if out.ndim == 2 else 2
    last = linear[-1] if linear else None
    return TorchNet(module, pool, walk, logits.shape[1], n_outputs, name, last)


def _check_module(walk, name: str) -> None:
    if walk.device.type == "meta":
        raise ValueError(
            f"The weights of {name} are on the device 'meta', which holds no values. "
            "Load or train them on another device."
        )
    for where, layer in walk.module.named_modules():
        if isinstance(layer, _BatchNorm) and layer.running_mean is None:
            raise ValueError(
                f"Layer {where!r} of {name} is a {type(layer).__name__} without "
                "running statistics: what the net answers to a sample depends on the "
                "others in its batch, so no sample has a score of its own. Set "
                "track_running_stats=True."
            )


def _first_pass(walk, pool, name):
    """Return the first sample, twice, and the output of the module for it.

    Two rows are needed, since a convolution takes a single 3-d array for one unbatched
    image. Integers are passed unchanged, and as floats if the module rejects them.
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
            f"{name} cannot take X of shape {shape}: {in_short(exc)}. Pass X as in "
            "fit, (n_samples, n_channels, height, width) for a CNN."
        ) from exc


_CANNOT_TAKE = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)


def _raw_output(walk, x):
    return first_output(walk.net.infer(as_module_takes(walk.module, x)))


def _check_output(out, name: str, convention, n_samples: int, x) -> None:
    of_x = (n_samples, *x.shape[1:]) if isinstance(x, Tensor) else type(x).__name__
    if not isinstance(out, Tensor):
        raise ValueError(
            f"{name} returns a {type(out).__name__} for X of shape {of_x}; expected a "
            "tensor of shape (n_samples, n_classes), a tuple that starts with it, or "
            "an object that has it as .logits."
        )
    fact = f"{name} returns shape {tuple(out.shape)} for 2 samples of X of shape {of_x}"
    if out.ndim not in (1, 2) or len(out) != 2:
        raise ValueError(
            f"{fact}; expected (n_samples, n_classes). Flatten the remaining axes, or "
            "check the number of dimensions of X."
        )
    if convention.is_binary and not convention.tells_classes(out):
        raise ValueError(
            f"{fact} under a binary criterion, which treats each output as a separate "
            "yes-or-no question. Here a sample has exactly one class: use "
            "CrossEntropyLoss, or give the module one output for two classes."
        )
    if not convention.is_binary and (out.ndim == 1 or out.shape[1] < 2):
        raise ValueError(
            f"{fact}: only one class, so there is no decision boundary. Give the "
            "module at least two classes, or use NeuralNetBinaryClassifier."
        )


def _n_known_classes(net) -> int | None:
    """Number of outputs that are classes, as far as the net was told, or None.

    ``classes_`` contains the classes it was told or, otherwise, the codes it was
    trained on.
    """
    try:
        classes = np.asarray(net.classes_)
    except AttributeError:
        return None
    if not classes.size or classes.dtype.kind not in "iu" or classes.min() < 0:
        return None
    return max(2, int(classes.max()) + 1)


def _warn_of_cut(net, out, n_known: int | None, name: str) -> None:
    """Warn if outputs are ignored that may belong to classes of another training.

    After a ``partial_fit`` on some classes, a net no longer knows about the others.
    """
    was_told = getattr(net, "classes", None) is not None
    if n_known is None or was_told or out.ndim == 1 or out.shape[1] <= n_known:
        return
    warn_caller(
        f"{name} has {out.shape[1]} outputs, but the labels of its last training go up "
        f"to {n_known - 1}: the outputs beyond are ignored. State how many classes "
        "there are, for example with NeuralNetClassifier(..., "
        f"classes=range({out.shape[1]})).",
        UserWarning,
    )


@contextmanager
def _last_linear(module: nn.Module) -> Iterator[list[nn.Linear]]:
    """Collect the linear layers in the order in which a forward pass runs them."""
    seen: list[nn.Linear] = []
    with ExitStack() as hooks:
        for m in module.modules():
            if isinstance(m, nn.Linear):
                hook = m.register_forward_hook(lambda layer, *_: seen.append(layer))
                hooks.enter_context(hook)
        yield seen


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

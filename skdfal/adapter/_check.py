"""Check before any training that a net accepts the samples and has all outputs."""

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skdfal._utils._seeds import seeded
from skdfal._utils._torch import HALVES, evaluation_mode, first_output, uncompiled
from skdfal.adapter._batches import generators_kept, sees_samples_as_they_are
from skdfal.adapter._find import wants_float_targets
from skdfal.nets import VGG8, LeNet5, ResNet18
from skdfal.nets._layers import CHANNELS_LAST, has_channels_last

_OWN = (LeNet5, VGG8, ResNet18)
_KNOWN_PACKAGES = {"skorch", "skdfal"}


def check_net(estimator, pool, classes):
    """Raise if a net cannot take the samples of a pool, or has too few outputs.

    This takes one forward pass of a clone in evaluation mode, on two random samples. No
    sample is read, and no random generator changes its state.

    Cases that this check cannot decide are left to the training: estimators that are
    not nets, steps or datasets that change samples, samples of unknown shape, modules
    of half precision or with errors of their own, and nets that are only completed
    during training.

    Parameters
    ----------
    estimator : estimator
        Unfitted estimator to be trained.
    pool : Pool
        Samples, with the dtype used for training.
    classes : ndarray of shape (n_classes,)
        All labels that exist.

    Raises
    ------
    ValueError
        If the module rejects the samples, or has fewer outputs than there are classes.
    """
    shape = pool.sample_shape
    if not shape or pool.dtype is None or not sees_samples_as_they_are(estimator):
        return
    with generators_kept(), seeded(0):
        net = clone(estimator).initialize()
        if _is_made_ready_in_training(net):
            return
        module = vars(net)["module_"] = uncompiled(net.module_)  # compiling takes long
        if any(p.dtype in HALVES for p in module.parameters()):
            return
        name = type(module).__name__
        try:
            with evaluation_mode(module), torch.no_grad():
                out = first_output(net.infer(_draw(shape, pool.dtype, net.device)))
        except (RuntimeError, ValueError, IndexError) as exc:
            if isinstance(module, _OWN):
                raise  # the message explains the shape of its images
            raise ValueError(
                f"{name} cannot take X of shape {(len(pool), *shape)}: "
                f"{in_short(exc)}. {_remedy(shape)}"
            ) from exc
        except Exception:
            return  # another parameter, an attribute set in training, its own check
    if not isinstance(out, Tensor) or out.ndim not in (1, 2):
        return
    n_outputs = out.shape[1] if out.ndim == 2 else 1
    is_binary = n_outputs == 1 and wants_float_targets(net)
    if is_binary and len(classes) > 2:
        raise ValueError(
            f"{name} has one output, which distinguishes two classes, but there are "
            f"{len(classes)}, {_some(classes)}. Give it one output per class, and use "
            "CrossEntropyLoss."
        )
    if 1 < n_outputs < len(classes):
        raise ValueError(
            f"{name} has {n_outputs} outputs, but there are {len(classes)} classes, "
            f"{_some(classes)}. Give it one output per class, for example with "
            "n_classes in make_classifier."
        )


def in_short(exc):
    """Return the first line of an error, without a full stop."""
    return str(exc).partition("\n")[0].strip().rstrip(".")


def _draw(shape, dtype, device):
    """Return two samples: numbers in [0, 1), or zeros for integers."""
    if not isinstance(dtype, torch.dtype):
        dtype = torch.from_numpy(np.zeros(0, dtype)).dtype
    return torch.rand(2, *shape).to(dtype).to(device)


def _is_made_ready_in_training(net):
    """Whether a method of the user's may change net or samples when a fit starts."""
    watchers = [callback for _, callback in net.callbacks_]
    methods = [type(watcher).on_train_begin for watcher in watchers]
    names = ("fit", "partial_fit", "fit_loop", "on_train_begin", "get_dataset")
    methods += [getattr(type(net), name) for name in names]
    packages = {str(method.__module__).partition(".")[0] for method in methods}
    return not packages <= _KNOWN_PACKAGES


def _remedy(shape):
    """Say what to do if samples and module do not fit together."""
    if has_channels_last(shape):
        return CHANNELS_LAST
    return (
        "Pass X of shape (n_samples, n_channels, height, width) to a CNN, and build "
        "the module for samples of this shape."
    )


def _some(classes):
    shown = [repr(label) for label in classes.tolist()]
    return ", ".join(shown if len(shown) <= 5 else [*shown[:3], "...", shown[-1]])

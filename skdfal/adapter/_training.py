"""Training of an estimator inside another one: input types, errors, default net."""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from skorch.utils import to_tensor
from torch import nn
from torch.utils.data import Dataset

from skdfal._utils._interrupts import noting_interrupts
from skdfal._utils._seeds import seeded
from skdfal._utils._torch import first_float, first_output, uncompiled
from skdfal._utils._warnings import warn_caller
from skdfal.adapter._find import inner_net, is_net, wants_float_targets
from skdfal.adapter._not_finite import check_weights
from skdfal.nets import MLP, RestartingClassifier, make_classifier
from skdfal.nets._layers import has_channels_last
from skdfal.pool import Pool, as_pool

# They fail on a batch of one; for the others, it may still have several values per
# channel.
_NEEDS_SEVERAL = (nn.BatchNorm1d, nn.LazyBatchNorm1d)
_NO_LONE_SAMPLE = (
    "batch normalization needs more than one sample in each batch. Set another "
    "batch_size or iterator_train__drop_last=True, or create the net with "
    "make_classifier, which makes batches of even size."
)


def as_numpy(X):
    """Convert a tensor to an array on the CPU; return anything else unchanged."""
    return X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else X


def as_whole(X):
    """Convert a tensor, pool or Dataset to an array; return anything else unchanged."""
    if isinstance(X, Pool | Dataset):
        return as_pool(X)[:]
    return as_numpy(X)


def fit_encoded(estimator, X, y):
    """Fit on float32 samples and labels 0, ..., n_classes - 1, as nets expect them."""
    return fit_samples(estimator, np.asarray(X, dtype=np.float32), y)


def fit_samples(estimator, X, y, **fit_params):
    """Fit on samples as given, and on labels of the dtype that the loss expects."""
    y = np.asarray(y, dtype=np.float32 if wants_float_targets(estimator) else np.int64)
    try:
        with _interruptible():
            estimator.fit(X, y, **fit_params)
    except (TypeError, IndexError, RuntimeError, ValueError) as exc:
        _raise_with_remedy(exc, estimator, X, y)
        raise
    module = getattr(inner_net(estimator), "module_", None)
    if module is not None:
        check_weights(uncompiled(module))
    return estimator


def _raise_with_remedy(exc, estimator, X, y):
    """Raise an error that says what to do, if that is known."""
    net, message = inner_net(estimator), str(exc)
    if isinstance(exc, TypeError) and "forward() got an unexpected keyword" in message:
        raise TypeError(
            f"{exc}: skorch passes the columns of a data frame to the module by name. "
            "If a step before the net returns one, call "
            "set_output(transform='default') on it."
        ) from exc
    if isinstance(exc, TypeError) and "'input' (position 1) must be Tensor" in message:
        raise TypeError(
            f"The criterion cannot take the output of the module ({exc}). Create the "
            "classifier with skdfal.make_classifier, which uses the field .logits of "
            "the outputs of transformer models, or return a tensor from forward."
        ) from exc
    if isinstance(exc, IndexError | ValueError) and "out of bounds" in message:
        raise ValueError(
            f"Label {int(y.max())} of y (as a code from 0) is out of bounds: the "
            "module has too few outputs. Give it one output per class."
        ) from exc
    if isinstance(exc, RuntimeError) and "same dtype" in message and net is not None:
        dtypes = {str(p.dtype) for p in _module_of(net).parameters()}
        raise ValueError(
            f"The module has weights of {', '.join(sorted(dtypes))} and does not take "
            f"samples of {getattr(X, 'dtype', type(X).__name__)}. Cast them in its "
            "forward, or train in float32 (with torch.autocast for speed)."
        ) from exc
    if isinstance(exc, ValueError) and "more than 1 value per channel" in message:
        raise ValueError(
            f"A batch of the {len(y)} training samples consists of one sample, but "
            f"{_NO_LONE_SAMPLE}"
        ) from exc
    is_split = "n_splits" in message and getattr(net, "train_split", 0)
    if isinstance(exc, ValueError) and is_split:
        raise ValueError(
            f"The net cannot split {len(y)} samples into training and validation set: "
            f"{exc} Set its train_split=None, or create it with make_classifier, whose "
            "split is not stratified."
        ) from exc


def check_trainable(estimator, n_samples):
    """Raise if a net cannot be trained on this many samples, before they are labelled.

    The check only uses what the settings of the net tell for certain. With a
    ``train_split``, the number of training samples depends on more than ``n_samples``.

    Parameters
    ----------
    estimator : estimator
        Skorch net, fitted or not, or a Pipeline or parameter search that contains one.
        Other estimators pass the check.
    n_samples : int
        Number of samples of a future training.

    Raises
    ------
    ValueError
        If ``drop_last`` would drop all samples, or if a net with ``BatchNorm1d`` would
        get a batch of one sample.
    """
    net = inner_net(estimator)
    if net is None:
        return
    settings = net.get_params_for("iterator_train")
    batch_size = settings.get("batch_size", net.batch_size)
    if batch_size == -1:
        batch_size = n_samples
    if settings.get("drop_last"):
        if n_samples < batch_size:
            raise ValueError(
                f"iterator_train__drop_last=True drops all {n_samples} training "
                f"samples, since they are fewer than {batch_size=}: nothing would be "
                f"trained. Remove this option, or set batch_size <= {n_samples}."
            )
        return
    is_even = isinstance(net, RestartingClassifier) and net.even_batches
    is_even = is_even and 1 < batch_size < n_samples
    has_lone_sample = batch_size == 1 or n_samples % batch_size == 1
    if has_lone_sample and not net.train_split and not is_even:
        if any(isinstance(m, _NEEDS_SEVERAL) for m in _module_of(net).modules()):
            raise ValueError(
                f"A training on {n_samples} samples in batches of {batch_size} has one "
                f"batch of a single sample, but {_NO_LONE_SAMPLE}"
            )


def _module_of(net):
    if not hasattr(net, "module_"):
        with seeded(0):
            net = clone(net).initialize()
    return net.module_


@contextmanager
def _interruptible():
    """Let Ctrl-C stop everything; skorch would only stop the training of one net."""
    with noting_interrupts() as interrupts:
        try:
            yield
        finally:
            if interrupts:
                raise KeyboardInterrupt


def fit_own(estimator, X, y, n_classes, random_state=None):
    """Fit a clone of ``estimator``, or the default net if it is None, on codes."""
    if estimator is None:
        estimator = default_classifier(X, n_classes)
        if random_state is None:
            random_state = 0  # the net belongs to the meta-estimator: no chance
    X = X.astype(training_dtype(estimator, as_pool(X)), copy=False)
    if random_state is None:
        return fit_samples(clone(estimator), X, y)
    with seeded(check_random_state(random_state).randint(2**31 - 1)):
        return fit_samples(clone(estimator), X, y)


def training_dtype(estimator, pool):
    """Return the dtype of samples on which ``estimator``, a template, is trained.

    Floating samples get the precision of the module. Integers are kept if the module
    accepts nothing else, as for tokens. Otherwise, and without a net, float32 is used.
    """
    net = inner_net(estimator)
    if net is None:
        return np.dtype(np.float32)
    with seeded(0):
        net = clone(net).initialize()
    weights = first_float(net.module_)
    is_double = weights is not None and weights.dtype == torch.float64
    wanted = np.dtype(np.float64 if is_double else np.float32)
    if is_net(estimator) and _is_integer(pool.dtype):
        x = as_numpy(pool.take([0, 0] if len(pool) > 1 else [0]))
        as_integers = _answer(net, x.astype(np.int64))
        if as_integers is None or (
            np.can_cast(x.dtype, wanted)  # pixels; token numbers may be larger
            and _are_alike(as_integers, _answer(net, x.astype(wanted)))
        ):
            return wanted
        return np.dtype(np.int64)
    return wanted


def _is_integer(dtype):
    if isinstance(dtype, torch.dtype):
        return not dtype.is_floating_point
    return np.dtype(dtype).kind in "iu"


def _answer(net, x):
    """Return the output of the module for an unchanged batch, or None."""
    net.module_.eval()
    try:
        with torch.no_grad():
            return first_output(net.infer(to_tensor(x, device=net.device)))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return None


def _are_alike(out, other):
    both = isinstance(out, torch.Tensor) and isinstance(other, torch.Tensor)
    return both and out.shape == other.shape and torch.allclose(out, other)


def default_classifier(X, n_classes, net_params=None):
    """Return a small net for the shape of ``X``: LeNet5 for images, otherwise an MLP.

    ``net_params`` are further parameters of ``make_classifier`` that a strategy needs.
    """
    shape = X.shape[1:]
    if has_channels_last(shape):
        warn_caller(
            f"X has samples of shape {tuple(shape)}, like images with the channels "
            "last, but the default net takes the first axis for the channels. Pass "
            "X.transpose(0, 3, 1, 2), or your own net if these are not images.",
            UserWarning,
        )
    net_params = dict(net_params or {})
    if "loss_prediction" in net_params:
        net_params["sample_shape"] = tuple(shape)
    if len(shape) == 3 and min(shape[1:]) >= 16:
        return make_classifier(
            "lenet5",
            n_classes=n_classes,
            in_channels=shape[0],
            image_size=shape[1:],
            **net_params,
        )
    return make_classifier(
        MLP,
        module__n_features=int(np.prod(shape)),
        module__n_classes=n_classes,
        max_epochs=30,
        lr=0.01,
        **net_params,
    )

"""Extensions of skorch: a split that follows torch's seed, a classifier that can
restart, and batches of even size.
"""

import copy
import math
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback
from skorch.dataset import get_len
from torch import nn
from torch.utils.data import BatchSampler, random_split

from skdfal._utils._interrupts import noting_interrupts
from skdfal._utils._progress import progress
from skdfal._utils._torch import first_float
from skdfal._utils._validation import COUNT
from skdfal._utils._warnings import warn_caller
from skdfal.nets._layers import CHANNELS_LAST, has_channels_last
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._mlp import MLP
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vgg8 import VGG8

# Beyond these values, pixels count as not scaled: for floating point numbers, which may
# be standardized, and for integers.
_REACH, _REACH_OF_INTEGERS = 20, 1
_scale_is_told = ContextVar("scale_is_told", default=False)


@contextmanager
def telling_no_scale():
    """Fit without a warning about the range of the pixels that was given before."""
    token = _scale_is_told.set(True)
    try:
        yield
    finally:
        _scale_is_told.reset(token)


def _random_fifth(dataset, y=None):
    """Split at random, without stratification; a fifth (at least one) for validation.

    skorch's `ValidSplit` uses numpy's generator. This split uses torch's, like weights,
    shuffling and dropout, so a single seed makes a fit reproducible.
    """
    n_samples = len(dataset)
    if n_samples < 2:
        raise ValueError(
            f"Found n_samples={n_samples}, but a split into training and validation "
            "needs at least 2. Label more, or set train_split=None."
        )
    n_valid = max(1, n_samples // 5)
    return random_split(dataset, [n_samples - n_valid, n_valid])


class _EvenBatches:
    """Batches of indices whose sizes differ by one at most; none has a single index."""

    def __init__(self, sampler, n_samples, batch_size):
        self.sampler = sampler
        n_batches = math.ceil(n_samples / batch_size)
        self.n_batches = min(n_batches, max(1, n_samples // 2))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        for part in np.array_split(list(self.sampler), self.n_batches):
            yield part.tolist()


class _BatchLimit(Callback):
    """End training after the epoch that reaches a given number of batches.

    It stops training in the same way as skorch's `EarlyStopping`.
    """

    def __init__(self, max_batches):
        self.max_batches = max_batches

    def on_train_begin(self, net, **kwargs):
        self.n_batches_ = 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.n_batches_ += training

    def on_epoch_end(self, net, **kwargs):
        if self.n_batches_ >= self.max_batches:
            if net.verbose:
                print(f"Stopping after {self.n_batches_} batches.")
            raise KeyboardInterrupt


class _LateDrop(Callback):
    """Train the last fifth of the epochs of a fit with a tenth of the learning rate.

    The number of epochs is the real one: `_BatchLimit` may end the fit early. A fit
    that continues from another one starts with the full rate again.
    """

    def __init__(self, max_batches):
        self.max_batches = max_batches

    def initialize(self):
        self.n_before_, self.n_batches_, self.rates_ = 0, 0, []
        return self

    def on_train_begin(self, net, **kwargs):
        self._restore(net)  # if the previous fit ended in an error
        self.n_before_, self.n_batches_ = len(net.history), 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.n_batches_ += training

    def on_epoch_begin(self, net, **kwargs):
        epoch = len(net.history) - 1 - self.n_before_  # of this fit
        n_epochs = net._n_epochs
        if self.max_batches is not None and self.n_batches_:
            a_epoch = self.n_batches_ / epoch
            n_epochs = min(n_epochs, math.ceil(self.max_batches / a_epoch))
        if epoch == max(1, n_epochs * 4 // 5):
            groups = net.optimizer_.param_groups
            self.rates_ = [group["lr"] for group in groups]
            for group in groups:
                group["lr"] /= 10

    def on_train_end(self, net, **kwargs):
        self._restore(net)

    def _restore(self, net):
        if self.rates_:
            for group, rate in zip(
                net.optimizer_.param_groups, self.rates_, strict=True
            ):
                group["lr"] = rate
        self.rates_ = []


class RestartingClassifier(skorch.NeuralNetClassifier):
    """A skorch classifier that fits several times and keeps the best net.

    A net trained on ten samples depends strongly on its initial weights. Each restart
    trains from scratch. All restarts use the same split into training and validation
    set, and the net with the smallest validation loss is kept.

    Parameters
    ----------
    module : type, function or nn.Module
        Network, as in skorch. Unlike in skorch, an instance is copied at each fit, so
        every fit starts from its original weights and never changes them.
    *args : tuple
        Positional parameters of ``skorch.NeuralNetClassifier``.
    n_restarts : int, default=1
        Number of fits from scratch; values > 1 require a ``train_split``.
    even_batches : bool, default=True
        Whether the batches of an epoch have the same size, or sizes that differ by one;
        see Notes. If False, the last batch takes what is left, as usual in torch.
    **kwargs : dict
        Parameters of ``skorch.NeuralNetClassifier``.

    Attributes
    ----------
    valid_losses_ : list of float
        Validation loss of each restart with its final weights. Absent with
        ``n_restarts=1``.

    See Also
    --------
    make_classifier : Create such a classifier with the settings of the paper.

    Notes
    -----
    Training sets that grow by queries may have any size, so the last batch may have few
    samples. Its step is as long as any other, though its gradient is noise; when labels
    are few, this costs many points of accuracy. Batch normalization suffers as well,
    and fails on a single sample. So 100 samples in batches of at most 32 are trained on
    as four batches of 25 rather than as 32, 32, 32 and 4, in as many steps. Nothing is
    changed with ``iterator_train__drop_last`` or a batch sampler of your own.

    The module may return an object with a field ``logits``, as transformer models do.

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import LeNet5, RestartingClassifier
    >>> RestartingClassifier(LeNet5, n_restarts=5).get_params()["n_restarts"]
    5
    """

    def __init__(self, module, *args, n_restarts=1, even_batches=True, **kwargs):
        super().__init__(module, *args, **kwargs)
        self.n_restarts = n_restarts
        self.even_batches = even_batches

    def fit(self, X, y, **fit_params):
        """Train from scratch once per restart, and keep the best net.

        Ctrl-C ends the current restart, as in skorch, and skips the remaining ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels, from 0 to n_classes - 1; None if X is a Dataset with labels.
        **fit_params : dict
            Passed to the module and to ``train_split``.

        Returns
        -------
        self : RestartingClassifier
            Classifier with the smallest validation loss.

        Raises
        ------
        ValueError
            If there are several restarts but no validation set to compare them, or if
            ``warm_start`` is set, which contradicts restarting.

        Warns
        -----
        UserWarning
            If an image network of this package gets pixels that are not scaled, such as
            bytes from 0 to 255. The network does not rescale them.
        """
        self._check_restarts()
        vars(self).pop("valid_losses_", None)
        self.looks_ = not _scale_is_told.get()  # at the scale of the first batch
        try:
            return self._fit_the_best(X, y, **fit_params)
        finally:
            vars(self).pop("looks_", None)

    def _fit_the_best(self, X, y, **fit_params):
        if self.n_restarts == 1:
            return super().fit(X, y, **fit_params)

        self._split = self.get_split_datasets(X, y, **fit_params)
        losses, best = [], {}
        try:
            with noting_interrupts() as interrupts:
                while len(losses) < self.n_restarts and not interrupts:
                    super().fit(X, y, **fit_params)
                    losses.append(self._valid_loss())
                    # If all losses are NaN, the first restart is kept.
                    if not best or losses[-1] < np.nanmin([*losses[:-1], np.inf]):
                        # initialize() recreates all of these, so references suffice.
                        best = {k: v for k, v in vars(self).items() if k.endswith("_")}
        finally:
            del self._split
        vars(self).update(best)
        self.valid_losses_ = losses
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs, with a progress bar for long trainings without output.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels.
        epochs : int or None, default=None
            Number of epochs. If None, ``max_epochs``.
        **fit_params : dict
            Passed to the module and to ``train_split``.

        Returns
        -------
        self : RestartingClassifier
            This classifier.
        """
        train = partial(super().fit_loop, X, y, epochs, **fit_params)
        self._n_epochs = self.max_epochs if epochs is None else epochs
        try:
            if self.verbose:  # skorch prints the progress
                return train()
            with progress(self._n_epochs, "Training", unit="epochs") as self._advance:
                return train()
        finally:  # an attribute left behind would count as a parameter
            vars(self).pop("_advance", None)
            del self._n_epochs

    def on_epoch_end(self, net, **kwargs):
        """Advance the progress bar.

        Parameters
        ----------
        net : RestartingClassifier
            This classifier, as skorch passes it to all callbacks.
        **kwargs : dict
            Training and validation set.
        """
        super().on_epoch_end(net, **kwargs)
        if hasattr(self, "_advance"):
            self._advance(1)

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return training and validation set, the same for all restarts of a fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels.
        **fit_params : dict
            Passed to ``train_split``.

        Returns
        -------
        dataset_train, dataset_valid : torch Dataset
            Training and validation set; the latter is None without ``train_split``.
        """
        if hasattr(self, "_split"):
            return self._split
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset, training=False):
        """Create the batches, of even size when training.

        Parameters
        ----------
        dataset : torch Dataset
            Samples, or samples and labels.
        training : bool, default=False
            Whether to use the settings for training or those for prediction.

        Returns
        -------
        iterator : iterable
            Result of ``iterator_train`` or ``iterator_valid``, by default a
            ``torch.utils.data.DataLoader``.

        Raises
        ------
        ValueError
            If ``drop_last`` drops the only batch, so that there is nothing to train on.
        """
        iterator = super().get_iterator(dataset, training)
        batches = getattr(iterator, "batch_sampler", None)
        is_sized = isinstance(batches, BatchSampler) and hasattr(dataset, "__len__")
        if not training or not is_sized:
            return iterator
        if len(dataset) and not len(batches):
            raise ValueError(
                f"iterator_train__drop_last=True drops all {len(dataset)} samples, "
                f"since they are fewer than batch_size={batches.batch_size}: nothing "
                "would be trained. Remove this option, or use smaller batches."
            )
        # A sampler of the user's may draw more or fewer samples than there are.
        n_samples, size = len(batches.sampler), batches.batch_size
        is_plain = type(batches) is BatchSampler and not batches.drop_last
        is_even = n_samples <= size or n_samples % size == 0
        if not self.even_batches or not is_plain or is_even or size == 1:
            return iterator
        params = self.get_params_for("iterator_train")
        for name in ("batch_size", "shuffle", "sampler", "drop_last"):
            params.pop(name, None)
        even = _EvenBatches(batches.sampler, n_samples, size)
        return self.iterator_train(dataset, batch_sampler=even, **params)

    def initialize(self):
        """Create module, criterion, optimizer and callbacks on the device.

        Returns
        -------
        self : RestartingClassifier
            This classifier, ready to be trained.

        Raises
        ------
        ValueError
            If this machine has no such device, or the device cannot hold numbers.
        """
        if self.device is not None:
            check_device(self.device)
        return super().initialize()

    def initialize_module(self):
        """Create the module.

        Returns
        -------
        self : RestartingClassifier
            This classifier with its ``module_``.

        Raises
        ------
        TypeError
            If ``module`` is a function that returns something else.
        """
        super().initialize_module()
        if not isinstance(self.module_, nn.Module):
            raise TypeError(
                f"module={self.module!r} created a {type(self.module_).__name__}, but "
                "an nn.Module is needed. Pass the network's class, an instance, or a "
                "function that returns one."
            )
        return self

    def initialized_instance(self, instance_or_cls, kwargs):
        """Create a module, criterion or similar from a class, or copy an instance.

        Parameters
        ----------
        instance_or_cls : type or nn.Module
            Class or instance that was passed to skorch.
        kwargs : dict
            Parameters of the constructor.

        Returns
        -------
        instance : nn.Module
            New object.
        """
        if isinstance(instance_or_cls, nn.Module):
            instance_or_cls = copy.deepcopy(instance_or_cls)
        return super().initialized_instance(instance_or_cls, kwargs)

    def infer(self, x, **fit_params):
        """Apply the module to a batch.

        Parameters
        ----------
        x : tensor, or dict or tuple of such
            Batch of samples. Floating point numbers, such as numpy's doubles, are cast
            to the precision of the module. For networks of this package, integers are
            cast too.
        **fit_params : dict
            Passed to the module.

        Returns
        -------
        output : Tensor or tuple
            Output of the module. If this is an object with a field ``logits``, as
            returned by transformer models, that field.

        Raises
        ------
        ValueError
            If the module is an image network of this package, and the batch does not
            consist of images of its channels and size.
        """
        kind = type(self.module_)  # not a subclass, which may take anything
        is_of_images = kind in (LeNet5, VGG8, ResNet18)
        if is_of_images:
            _check_images(x, self.module_)
            if vars(self).pop("looks_", False):
                _check_scale(x, type(self.module_).__name__)
        is_own = is_of_images or kind is MLP
        if isinstance(x, torch.Tensor) and (is_own or x.is_floating_point()):
            weights = first_float(self.module_)
            x = x if weights is None else x.to(weights.dtype)
        output = super().infer(x, **fit_params)
        return getattr(output, "logits", output)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Return the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor
            Output of the module.
        y_true : Tensor
            Labels.
        *args : tuple
            Passed to skorch.
        **kwargs : dict
            Passed to skorch.

        Returns
        -------
        loss : Tensor
            Result of the criterion.

        Raises
        ------
        ValueError
            If the criterion is the cross-entropy, and labels are not integers from 0 to
            n_classes - 1.
        """
        if isinstance(self.criterion_, nn.CrossEntropyLoss):
            _check_labels(y_pred, y_true, self.criterion_.ignore_index)
        return super().get_loss(y_pred, y_true, *args, **kwargs)

    def _check_restarts(self):
        if not COUNT.is_satisfied_by(self.n_restarts):
            raise ValueError(
                f"n_restarts={self.n_restarts!r} should be an integer >= 1."
            )
        if self.n_restarts > 1 and not self.train_split:
            raise ValueError(
                f"n_restarts={self.n_restarts} needs a validation split to tell which "
                "restart is best, but train_split is None. Set patience (or "
                "train_split), or n_restarts=1."
            )
        if self.n_restarts > 1 and self.warm_start:
            raise ValueError(
                f"n_restarts={self.n_restarts} starts from scratch, but "
                "warm_start=True continues training. Choose one of the two."
            )

    def _valid_loss(self):
        """Mean loss of the current weights on the validation set."""
        _, dataset_valid = self._split
        batches = list(self.get_iterator(dataset_valid, training=False))
        losses = [self.validation_step(batch)["loss"].item() for batch in batches]
        n_samples = [get_len(batch[0]) for batch in batches]
        return float(np.average(losses, weights=n_samples))


def _check_images(x, module):
    """Raise a ValueError unless a batch consists of images that a network takes."""
    shape, name = tuple(np.shape(x)), type(module).__name__
    if len(shape) != 4:
        remedy = " For grey images, pass X[:, None]." if len(shape) == 3 else ""
        raise ValueError(
            f"X gave a batch of shape {shape}, but {name} takes images of shape "
            f"(n_samples, n_channels, height, width).{remedy}"
        )
    (n_channels, *size), wanted = shape[1:], module.image_size
    if n_channels == module.in_channels and wanted in (None, tuple(size)):
        return
    takes = (module.in_channels, *(wanted or ("height", "width")))
    if has_channels_last(shape[1:]):
        remedy = CHANNELS_LAST
    else:
        remedy = (
            f"Build the network for these images: in_channels={n_channels}, "
            f"image_size={tuple(size)}."
        )
    raise ValueError(
        f"X has images of shape {shape[1:]}, but this {name} takes images of shape "
        f"({', '.join(map(str, takes))}). {remedy}"
    )


def _check_labels(y_pred, y, ignored):
    """Raise a ValueError unless the labels of a batch are those of the outputs.

    torch's own errors name neither y nor a remedy, and on a GPU end the process.
    """
    if not isinstance(y, torch.Tensor) or y_pred.ndim != 2 or y.shape == y_pred.shape:
        return  # labels per pixel, or probabilities
    n_classes = y_pred.shape[1]
    remedy = (
        f"This net has {n_classes} outputs, for labels from 0 to {n_classes - 1}. "
        "Encode the labels, as with scikit-learn's LabelEncoder, or give it one output "
        "per class; ActiveLearningClassifier and LabelingSession take labels of any "
        "kind."
    )
    if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(
            f"y gave labels of {y.dtype} and shape {tuple(y.shape)} for a batch of "
            f"{len(y_pred)}; expected one integer per sample. {remedy}"
        )
    strange = y[((y < 0) | (y >= n_classes)) & (y != ignored)]
    if len(strange):
        raise ValueError(f"Label {strange[0].item()} of y is out of bounds. {remedy}")


def _check_scale(x, name):
    """Warn if the pixels of a batch are not scaled, such as bytes."""
    if not isinstance(x, torch.Tensor) or not x.numel():
        return
    low, high = x.min().item(), x.max().item()
    reach = _REACH if x.is_floating_point() else _REACH_OF_INTEGERS
    if reach < max(-low, high) < math.inf:  # NaN is handled elsewhere
        warn_caller(
            f"{name} receives pixels from {low:g} to {high:g}. It does not scale them, "
            "and learns badly from such values. Divide pixels from 0 to 255 by 255, or "
            "standardize them, beforehand or in the first step of a Pipeline.",
            UserWarning,
        )


def check_device(device):
    """Raise a ValueError unless tensors with values can be created on a device."""
    reason = None
    try:
        if torch.empty(0, device=device).device.type == "meta":
            reason = "it holds no values"
    except (RuntimeError, AssertionError, NotImplementedError):
        reason = "this machine has none, or torch is not built for it"
    if reason:
        raise ValueError(
            f"device={str(device)!r} cannot be used for training: {reason}. Use 'cpu', "
            "'cuda' if torch.cuda.is_available(), or 'mps' if "
            "torch.backends.mps.is_available()."
        )

"""Thin layers over skorch: a split that draws from torch's generator, a classifier that
can restart, batches of which none has a single sample.
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
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, random_split

from skdfal._utils._interrupts import noting_interrupts
from skdfal._utils._progress import progress
from skdfal._utils._torch import first_float
from skdfal._utils._validation import COUNT
from skdfal._utils._warnings import warn_caller
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vgg8 import VGG8

# Beyond these no pixels were scaled: of floating point numbers, which may be
# standardized, and of integers.
_REACH, _REACH_OF_INTEGERS = 20, 1
_scale_is_told = ContextVar("scale_is_told", default=False)


@contextmanager
def telling_no_scale():
    """Fit without a word on the range of the pixels, where a fit before had it."""
    token = _scale_is_told.set(True)
    try:
        yield
    finally:
        _scale_is_told.reset(token)


def _random_fifth(dataset, y=None):
    """Split at random, not stratified, with a fifth (at least one) for validation.

    skorch's `ValidSplit` draws from numpy. This one draws from torch's generator,
    as weights, shuffling and dropout do, so one seed makes a fit reproducible.
    """
    n_samples = len(dataset)
    if n_samples < 2:
        raise ValueError(
            f"Found n_samples={n_samples}, but a split into training and validation "
            "needs at least 2. Label more, or set train_split=None."
        )
    n_valid = max(1, n_samples // 5)
    return random_split(dataset, [n_samples - n_valid, n_valid])


class _FoldedBatches:
    """Batches of indices, of which the last one, of one sample, joins the one before.

    A layer that normalizes by the batch cannot be trained on a batch of one.
    """

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches) - 1

    def __iter__(self):
        *batches, left_over = self.batches
        batches[-1] = [*batches[-1], *left_over]
        return iter(batches)


class _BatchLimit(Callback):
    """End a training with the epoch that reaches a number of batches.

    The way to end one is that of skorch's `EarlyStopping`.
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
    """Train the last fifth of a fit's epochs with a tenth of the learning rate.

    Of those that there will be: `_BatchLimit` may end the fit before the last one.
    A fit that carries on from another one begins with the whole rate again.
    """

    def __init__(self, max_batches):
        self.max_batches = max_batches

    def initialize(self):
        self.n_before_, self.n_batches_, self.rates_ = 0, 0, []
        return self

    def on_train_begin(self, net, **kwargs):
        self._restore(net)  # after an error in the fit before
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
    """Classifier of skorch that fits several times and keeps the best net.

    A net trained on ten samples depends much on its first weights. Each restart
    starts from scratch, all see the same split into training and validation, and
    the net with the smallest validation loss is kept.

    Parameters
    ----------
    module : type, function or nn.Module
        As in skorch. Unlike there, an instance is copied at each fit, which so
        starts from the weights it was given with and never changes them.
    *args : tuple
        Positional parameters of ``skorch.NeuralNetClassifier``.
    n_restarts : int, default=1
        Number of fits from scratch; more than 1 needs a ``train_split``.
    **kwargs : dict
        Parameters of ``skorch.NeuralNetClassifier``.

    Attributes
    ----------
    valid_losses_ : list of float
        Validation loss of each restart, of the weights with which it ended. Absent
        with ``n_restarts=1``.

    See Also
    --------
    make_classifier : Such a classifier with the settings of the paper.

    Notes
    -----
    A training set grows by queries, and any size may come up. Where the last batch
    would be of one sample and the module has batch normalization, which cannot be
    trained on it, the sample joins the batch before. Nothing else is changed.

    A module may return an object with a field ``logits``, as those of transformers do.

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import LeNet5, RestartingClassifier
    >>> RestartingClassifier(LeNet5, n_restarts=5).get_params()["n_restarts"]
    5
    """

    def __init__(self, module, *args, n_restarts=1, **kwargs):
        super().__init__(module, *args, **kwargs)
        self.n_restarts = n_restarts

    def fit(self, X, y, **fit_params):
        """Fit from scratch, as often as there are restarts, and keep the best.

        Ctrl-C ends the restart at hand, as in skorch, and leaves out the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels, from 0 to n_classes - 1; None where X is a Dataset with labels.
        **fit_params : dict
            Handed to the module and to ``train_split``.

        Returns
        -------
        self : RestartingClassifier
            The classifier with the smallest validation loss.

        Raises
        ------
        ValueError
            If there are several restarts but nothing to tell the best by, or
            ``warm_start`` is set, which would carry on rather than restart.

        Warns
        -----
        UserWarning
            If a network of this package for images gets pixels that are not scaled, as
            bytes from 0 to 255 are: it does not rescale.
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
                    # The first restart stays where all losses are NaN.
                    if not best or losses[-1] < np.nanmin([*losses[:-1], np.inf]):
                        # initialize() makes all of these anew: references suffice.
                        best = {k: v for k, v in vars(self).items() if k.endswith("_")}
        finally:
            del self._split
        vars(self).update(best)
        self.valid_losses_ = losses
        return self

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs, with a bar where that takes long and nobody tells.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels.
        epochs : int or None, default=None
            How many; None is ``max_epochs``.
        **fit_params : dict
            Handed to the module and to ``train_split``.

        Returns
        -------
        self : RestartingClassifier
            The classifier.
        """
        train = partial(super().fit_loop, X, y, epochs, **fit_params)
        self._n_epochs = self.max_epochs if epochs is None else epochs
        try:
            if self.verbose:  # skorch tells
                return train()
            with progress(self._n_epochs, "Training", unit="epochs") as self._advance:
                return train()
        finally:  # what is left behind would be a parameter
            vars(self).pop("_advance", None)
            del self._n_epochs

    def on_epoch_end(self, net, **kwargs):
        """Move the bar on.

        Parameters
        ----------
        net : RestartingClassifier
            This one, as skorch hands it to all who watch.
        **kwargs : dict
            Training and validation set.
        """
        super().on_epoch_end(net, **kwargs)
        if hasattr(self, "_advance"):
            self._advance(1)

    def get_split_datasets(self, X, y=None, **fit_params):
        """Training and validation set, the same for all restarts of a fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels.
        **fit_params : dict
            Handed to ``train_split``.

        Returns
        -------
        dataset_train, dataset_valid : torch Dataset
            The second is None without ``train_split``.
        """
        if hasattr(self, "_split"):
            return self._split
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset, training=False):
        """Make the batches; none of one sample where the module cannot train on it.

        Parameters
        ----------
        dataset : torch Dataset
            Samples, or samples and labels.
        training : bool, default=False
            Whether to take the settings for training, or those for prediction.

        Returns
        -------
        iterator : iterable
            What ``iterator_train`` or ``iterator_valid`` makes of them, by default a
            ``torch.utils.data.DataLoader``.

        Raises
        ------
        ValueError
            If there is no batch to train on, since ``drop_last`` drops the only one.
        """
        iterator = super().get_iterator(dataset, training)
        batches = getattr(iterator, "batch_sampler", None)
        is_sized = isinstance(batches, BatchSampler) and hasattr(dataset, "__len__")
        if not training or not is_sized:
            return iterator
        if len(dataset) and not len(batches):
            raise ValueError(
                f"iterator_train__drop_last=True drops all {len(dataset)} samples: "
                f"they are fewer than batch_size={batches.batch_size}, so nothing "
                "would be trained. Leave it out, or take smaller batches."
            )
        n_left_over = 0 if batches.drop_last else len(dataset) % batches.batch_size
        if n_left_over != 1 or len(batches) == 1 or not self._normalizes_by_batch():
            return iterator
        params = self.get_params_for("iterator_train")
        for name in ("batch_size", "shuffle", "sampler", "drop_last"):
            params.pop(name, None)
        folded = _FoldedBatches(batches)
        return self.iterator_train(dataset, batch_sampler=folded, **params)

    def initialize(self):
        """Make module, criterion, optimizer and callbacks, on the device.

        Returns
        -------
        self : RestartingClassifier
            The classifier, ready to be trained.

        Raises
        ------
        ValueError
            If there is no such device on this machine, or it holds no numbers.
        """
        if self.device is not None:
            _check_device(self.device)
        return super().initialize()

    def initialize_module(self):
        """Make the module.

        Returns
        -------
        self : RestartingClassifier
            The classifier with its ``module_``.

        Raises
        ------
        TypeError
            If ``module`` is a function that returns something else.
        """
        super().initialize_module()
        if not isinstance(self.module_, nn.Module):
            raise TypeError(
                f"module={self.module!r} made a {type(self.module_).__name__}, but an "
                "nn.Module is needed. Pass the network's class, an instance, or a "
                "function that returns one."
            )
        return self

    def initialized_instance(self, instance_or_cls, kwargs):
        """Module, criterion or their like from a class, or from a copy of an instance.

        Parameters
        ----------
        instance_or_cls : type or nn.Module
            What skorch was given.
        kwargs : dict
            Parameters of the constructor.

        Returns
        -------
        instance : nn.Module
            A new object.
        """
        if isinstance(instance_or_cls, nn.Module):
            instance_or_cls = copy.deepcopy(instance_or_cls)
        return super().initialized_instance(instance_or_cls, kwargs)

    def infer(self, x, **fit_params):
        """Give a batch to the module.

        Parameters
        ----------
        x : tensor, or dict or tuple of such
            A batch. Floating point numbers, such as numpy's doubles, are cast to the
            precision of the module; to a network of this package integers are, too.
        **fit_params : dict
            Handed to the module.

        Returns
        -------
        output : Tensor or tuple
            What the module returns; of an object with a field ``logits``, as models
            of transformers return, that field.

        Raises
        ------
        ValueError
            If the module is a network of this package for images, and the batch is
            none of images with channels.
        """
        is_own = type(self.module_) in (LeNet5, VGG8, ResNet18)  # no subclass of them
        if is_own:
            _check_images(x)
            if vars(self).pop("looks_", False):
                _check_scale(x, type(self.module_).__name__)
        if isinstance(x, torch.Tensor) and (is_own or x.is_floating_point()):
            weights = first_float(self.module_)
            x = x if weights is None else x.to(weights.dtype)
        output = super().infer(x, **fit_params)
        return getattr(output, "logits", output)

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
                "warm_start=True carries on. Choose one of the two."
            )

    def _normalizes_by_batch(self):
        return any(isinstance(m, _BatchNorm) for m in self.module_.modules())

    def _valid_loss(self):
        """Mean loss of the present weights on the validation set."""
        _, dataset_valid = self._split
        batches = list(self.get_iterator(dataset_valid, training=False))
        losses = [self.validation_step(batch)["loss"].item() for batch in batches]
        n_samples = [get_len(batch[0]) for batch in batches]
        return float(np.average(losses, weights=n_samples))


def _check_images(x):
    """Raise a ValueError unless a batch has the axes of images."""
    shape = tuple(np.shape(x))
    if len(shape) != 4:
        remedy = " For grey images, pass X[:, None]." if len(shape) == 3 else ""
        raise ValueError(
            f"X gave a batch of shape {shape}, but the network takes images of shape "
            f"(n_samples, n_channels, height, width).{remedy}"
        )


def _check_scale(x, name):
    """Warn where the pixels of a batch are not scaled, as bytes are not."""
    if not isinstance(x, torch.Tensor) or not x.numel():
        return
    low, high = x.min().item(), x.max().item()
    reach = _REACH if x.is_floating_point() else _REACH_OF_INTEGERS
    if reach < max(-low, high) < math.inf:  # NaN is another matter
        warn_caller(
            f"{name} sees pixels from {low:g} to {high:g}. It does not scale them, and "
            "learns badly from such: divide those from 0 to 255 by 255, or standardize "
            "them, before or as the first step of a Pipeline.",
            UserWarning,
        )


def _check_device(device):
    """Raise a ValueError unless tensors with numbers can be made on a device."""
    reason = None
    try:
        if torch.empty(0, device=device).device.type == "meta":
            reason = "it holds no numbers"
    except (RuntimeError, AssertionError, NotImplementedError):
        reason = "there is none here, or torch is not built for it"
    if reason:
        raise ValueError(
            f"device={str(device)!r} cannot be trained on: {reason}. Take 'cpu', "
            "'cuda' where torch.cuda.is_available(), or 'mps' where "
            "torch.backends.mps.is_available()."
        )

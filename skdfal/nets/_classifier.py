"""A network of this package, or the user's own, as a ready scikit-learn classifier.

Three thin layers over skorch: a dataset that hands out whole batches, a split that
draws from torch's generator, a classifier that can restart.
"""

import copy
import inspect
from functools import partial
from numbers import Integral, Real

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.utils.data import random_split

from skdfal._utils._validation import HasMethods, Interval, StrOptions, validate_params
from skdfal.nets._dataset import ArrayDataset, collate
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._vgg8 import VGG8

_MODULES = {"lenet5": LeNet5, "vgg8": VGG8}


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


class RestartingClassifier(skorch.NeuralNetClassifier):
    """Classifier of skorch that fits several times and keeps the best net.

    A net trained on ten samples depends much on its first weights. Each restart
    starts from scratch, all see the same split into training and validation, and
    the net with the smallest validation loss is kept.

    Parameters
    ----------
    module : type or nn.Module
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
        """
        self._check_restarts()
        if self.n_restarts == 1:
            return super().fit(X, y, **fit_params)

        self._split = self.get_split_datasets(X, y, **fit_params)
        losses, best = [], {}
        try:
            for _ in range(self.n_restarts):
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

    def _check_restarts(self):
        if not isinstance(self.n_restarts, Integral) or self.n_restarts < 1:
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

    def _valid_loss(self):
        """Mean loss of the present weights on the validation set."""
        _, dataset_valid = self._split
        batches = list(self.get_iterator(dataset_valid, training=False))
        losses = [self.validation_step(batch)["loss"].item() for batch in batches]
        return float(np.average(losses, weights=[len(batch[0]) for batch in batches]))


@validate_params(
    {
        "module": [StrOptions(set(_MODULES)), HasMethods("forward")],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "in_channels": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple],
        "width": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_batches": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def make_classifier(
    module="lenet5",
    *,
    n_classes=10,
    in_channels=1,
    image_size=28,
    width=1.0,
    max_epochs=50,
    max_batches=None,
    lr=0.001,
    batch_size=32,
    patience=None,
    n_restarts=1,
    device="cpu",
    verbose=0,
    **kwargs,
):
    """Make a classifier with the hyper-parameters of the DFAL paper [1]_.

    Adam, learning rate 0.001, batches of 32, cross-entropy on the logits. The result
    is a skorch net: an estimator of scikit-learn that clones, pickles and searches.

    Parameters
    ----------
    module : {"lenet5", "vgg8"}, type or nn.Module, default="lenet5"
        The network, which should give logits. A class is constructed with those of
        the next four parameters that its constructor names. An instance is taken as
        it is: each fit starts from its weights, on a copy.
    n_classes : int, default=10
        Number of classes; labels are 0 to ``n_classes - 1``.
    in_channels : int, default=1
        Channels of the images.
    image_size : int or tuple of (int, int), default=28
        Height and width of the images in pixels.
    width : float, default=1.0
        Factor on the number of units of every hidden layer.
    max_epochs : int, default=50
        Passes over the training set; 100 in the paper's own code, which stops early.
    max_batches : int or None, default=None
        A number ends the training earlier, with the epoch that reaches so many
        batches: a bound on its time where samples are many, as pseudo-labels are.
    lr : float, default=0.001
        Learning rate of Adam.
    batch_size : int, default=32
        Samples a step.
    patience : int or None, default=None
        None trains on all labels for ``max_epochs``. A number keeps a random fifth of
        the labels for validation, stops once its loss has not improved for so many
        epochs, and takes the weights of the best epoch; 5 in the paper's own code.
    n_restarts : int, default=1
        Fits from scratch, of which the one with the smallest validation loss is kept;
        5 in the paper's own code. More than 1 needs ``patience``.
    device : str or torch.device, default="cpu"
        Where to train.
    verbose : int, default=0
        1 prints a line an epoch.
    **kwargs : dict
        Further parameters of skorch, such as ``module__dropout=0.2`` or
        ``callbacks``; they override the ones above.

    Returns
    -------
    net : RestartingClassifier
        Unfitted ``skorch.NeuralNetClassifier``.

    Raises
    ------
    InvalidParameterError
        A ValueError, if a parameter is out of its range.

    See Also
    --------
    LeNet5 : The smaller network.
    VGG8 : The larger network.

    Notes
    -----
    All that is random in a fit (weights, split, shuffling, dropout) comes from torch's
    global generator: after ``torch.manual_seed(0)`` it is the same on each CPU run.

    The split is not stratified, so classes with a single label are no obstacle.

    Two things make small nets train faster here than with skorch's defaults: batches
    are taken by one indexing, and no accuracy is computed after an epoch. Adam is
    torch's fused one. Pass ``dataset``, ``callbacks__valid_acc`` or ``optimizer`` for
    others.

    References
    ----------
    .. [1] M. Ducoffe and F. Precioso, "Adversarial Active Learning for Deep
           Networks: a Margin Based Approach", 2018.
           https://arxiv.org/abs/1802.09841

    Examples
    --------
    >>> import torch
    >>> from skdfal.datasets import load_digits
    >>> from skdfal.nets import make_classifier
    >>> digits = load_digits()
    >>> _ = torch.manual_seed(0)
    >>> net = make_classifier("lenet5", image_size=24, max_epochs=20)
    >>> net = net.fit(digits.X_train[:200], digits.y_train[:200])
    >>> bool(net.score(digits.X_test, digits.y_test) > 0.7)
    True
    """
    settings = {
        "criterion": nn.CrossEntropyLoss,
        # A fused step is one call instead of ten a parameter; SGD and others may be
        # set later without inheriting an option they lack.
        "optimizer": partial(torch.optim.Adam, fused=True),
        "lr": lr,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "n_restarts": n_restarts,
        "train_split": None,
        "dataset": ArrayDataset,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": collate,
        "iterator_valid__collate_fn": collate,
        "callbacks__valid_acc": None,
        "device": device,
        "verbose": verbose,
    }
    callbacks = []
    if patience is not None:
        stopping = EarlyStopping(patience=patience, threshold=0, load_best=True)
        settings["train_split"] = _random_fifth
        callbacks.append(("early_stopping", stopping))
    if not isinstance(kwargs.get("callbacks"), str):  # skorch's "disable"
        callbacks += kwargs.pop("callbacks", None) or []
        if max_batches is not None:  # last, so that the others see the last epoch
            callbacks.append(("batch_limit", _BatchLimit(max_batches)))
        settings["callbacks"] = callbacks or None
    elif max_batches is not None:
        raise ValueError(
            f"max_batches={max_batches} is kept by a callback, but callbacks="
            f"{kwargs['callbacks']!r}. Leave one of them out."
        )

    module = _MODULES.get(module, module) if isinstance(module, str) else module
    shape = {
        "n_classes": n_classes,
        "in_channels": in_channels,
        "image_size": image_size,
        "width": width,
    }
    if isinstance(module, type):
        named = inspect.signature(module).parameters
        if module not in _MODULES.values() and width == 1:
            del shape["width"]  # a user's own width may be a number of units
        settings |= {f"module__{k}": v for k, v in shape.items() if k in named}
        if "n_classes" in named:
            # The columns of predict_proba, also where a class has no label yet.
            settings["classes"] = range(n_classes)
    return RestartingClassifier(module, **(settings | kwargs))
